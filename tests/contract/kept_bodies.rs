//! The jobs of recorded deliveries: kept, sealed, and sent again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sealpost::delivery::Pipeline;
use sealpost::domain::delivery_record::{DeliveryFilter, DeliveryRecord, Recording};
use sealpost::domain::endpoint::Endpoint;
use sealpost::domain::ids::CustomerId;
use sealpost::domain::kept_body::{BodyFate, KeepBodies};
use sealpost::domain::resend::{ResendLine, ResendOrder, ResendOutcome};
use sealpost::ports::queue::{Depth, NewMessage};
use sealpost::ports::records::SealedBody;
use sealpost::replay::{Error, Resent};
use serde_json::json;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

use crate::backend::{Backend, over_both};
use crate::receiver::{Call, listen};

over_both! {
    a_job_of_any_size_is_kept_whole_and_gone_when_its_time_is_over,
    a_line_of_the_audit_is_there_once_and_in_its_place,
    a_delivery_is_sent_again_with_the_job_as_it_was_enqueued_and_under_its_own_id,
    a_child_is_sent_again_alone,
    the_same_order_twice_makes_one_call,
    a_replayed_dead_letter_and_a_resend_of_it_make_one_call,
    a_job_whose_customer_has_no_tenant_key_is_not_kept_and_its_record_says_so,
    a_shredded_tenant_key_takes_the_kept_jobs_with_it,
    a_job_that_was_moved_to_another_delivery_is_not_sent,
    an_order_that_kills_workers_ends_in_the_audit,
    failures_alone_are_kept_where_the_setting_says_so,
}

fn acme() -> CustomerId {
    "acme".parse().unwrap()
}

/// A worker that records everything and keeps jobs, and an endpoint that can be broken.
pub struct Bench {
    pub backend: Backend,
    pub pipeline: Pipeline,
    pub calls: UnboundedReceiver<Call>,
    pub is_up: Arc<AtomicBool>,
}

impl Bench {
    pub async fn new(mut backend: Backend, keep: KeepBodies) -> Self {
        let is_up = Arc::new(AtomicBool::new(true));
        let up = Arc::clone(&is_up);
        let status = move |_: &Call| if up.load(Ordering::SeqCst) { 204 } else { 500 };
        let (origin, calls) = listen(move |call| (status(call), String::new())).await;
        let config = &mut backend.app.config;
        config.deliveries.record = Recording::All;
        config.deliveries.keep_bodies = keep;
        config.egress.allow_http = true;
        config.egress.allow = vec!["127.0.0.1/32".parse().unwrap()];
        config.egress.ports = vec!["1-65535".parse().unwrap()];
        backend.app.guard = Arc::new(config.egress.guard());
        let pipeline = backend.app.pipeline().unwrap();
        let bench = Self { backend, pipeline, calls, is_up };
        for customer in ["acme", "poor"] {
            let endpoint = json!({"customerId": customer, "endpointId": "e",
                "url": format!("{origin}/in"), "eventTypes": ["t"],
                "body": {"template": "{\"n\": {{ data }}}"}, "retry": {"maxAttempts": 1}});
            let endpoint = Endpoint::from_json(&endpoint.to_string()).unwrap();
            let app = &bench.backend.app;
            app.endpoints.put(endpoint, None, app.clock.now()).await.unwrap();
        }
        bench.backend.app.vault.create_tenant_key(&acme()).await.unwrap();
        bench
    }

    pub async fn enqueue(&self, job: serde_json::Value) {
        let message = NewMessage { body: job.to_string().into(), ..NewMessage::default() };
        self.backend.app.queue.send(vec![message]).await.unwrap();
    }

    /// Works until nothing is left in the queue.
    pub async fn work_off(&self) {
        let queue = &self.backend.app.queue;
        for _ in 0..100 {
            if queue.depth().await.unwrap().pending == 0 {
                break;
            }
            for message in queue.receive(10, Duration::ZERO).await.unwrap() {
                self.pipeline.deliver(&message, &CancellationToken::new()).await;
            }
        }
        assert_eq!(queue.depth().await.unwrap().pending, 0, "the queue is worked off");
        self.pipeline.recorder.as_ref().unwrap().flush().await;
    }

    /// The recorded rounds of a customer, the newest first.
    pub async fn recorded(&self, customer: &str) -> Vec<DeliveryRecord> {
        let filter = DeliveryFilter::of(customer.parse().unwrap());
        let app = &self.backend.app;
        let mut records =
            app.records.list(&filter, None, 99, app.clock.now()).await.unwrap().records;
        records.sort_by_key(|record| std::cmp::Reverse((record.accepted_at, record.round)));
        records
    }

    /// Enqueues a job for the endpoint of a customer, delivers it and returns its record.
    pub async fn delivered(&self, customer: &str, job: &str) -> DeliveryRecord {
        self.enqueue(json!({"id": job, "customerId": customer, "endpointId": "e", "data": job}))
            .await;
        self.work_off().await;
        self.backend.clock.advance(Duration::from_secs(1));
        let records = self.recorded(customer).await;
        records.into_iter().find(|record| record.job_id.as_str() == job).unwrap()
    }

    /// What the audit of a delivery says.
    async fn audit(&self, id: &str) -> Vec<(String, ResendOutcome)> {
        let now = self.backend.app.clock.now();
        let lines = self.backend.app.records.resends(id, now).await.unwrap();
        lines.into_iter().map(|line| (line.who, line.what)).collect()
    }

    async fn resend(&self, record: &DeliveryRecord) -> Result<Resent, Error> {
        let resent = self.backend.app.replayer().resend(record, "ops-1").await;
        self.backend.clock.advance(Duration::from_secs(1));
        resent
    }

    /// Sends the order itself, whatever those who give orders would say to it.
    async fn order(&self, id: &str) {
        let order = ResendOrder { delivery_id: id.to_owned(), who: "ops-2".to_owned() };
        let state = Some(order.to_state().unwrap().into());
        let message = NewMessage { body: id.to_owned().into(), state, ..NewMessage::default() };
        self.backend.app.queue.send(vec![message]).await.unwrap();
        self.backend.clock.advance(Duration::from_secs(1));
    }

    pub fn called(&mut self) -> Vec<Call> {
        std::iter::from_fn(|| self.calls.try_recv().ok()).collect()
    }

    async fn sealed(&self, id: &str) -> Option<Vec<u8>> {
        self.backend.app.records.body(id, self.backend.app.clock.now()).await.unwrap()
    }
}

async fn a_job_of_any_size_is_kept_whole_and_gone_when_its_time_is_over(backend: Backend) {
    let (records, now) = (&backend.app.records, backend.app.clock.now());
    let until = now.plus(Duration::from_secs(3600));
    let bodies: Vec<SealedBody> = [1, 379_999, 380_000, 380_001, 1_100_000]
        .into_iter()
        .map(|size| SealedBody {
            delivery_id: format!("dv_{size}"),
            sealed: (0..size).map(|at| (at % 251) as u8).collect(),
            until,
        })
        .collect();
    records.put_bodies(&bodies).await.unwrap();
    records.put_bodies(&[bodies[0].clone(), bodies[0].clone()]).await.unwrap();
    for body in &bodies {
        let kept = records.body(&body.delivery_id, now).await.unwrap();
        assert!(kept.as_ref() == Some(&body.sealed), "{}", body.delivery_id);
    }
    assert_eq!(records.body("dv_0", now).await.unwrap(), None);
    backend.clock.advance(Duration::from_secs(3600));
    let now = backend.app.clock.now();
    for _ in 0..2 {
        assert_eq!(records.body("dv_1", now).await.unwrap(), None);
        records.forget(now).await.unwrap();
    }
}

async fn a_line_of_the_audit_is_there_once_and_in_its_place(backend: Backend) {
    let (records, now) = (&backend.app.records, backend.app.clock.now());
    let until = now.plus(Duration::from_secs(3600));
    let line = |seconds, what| ResendLine {
        at: now.plus(Duration::from_secs(seconds)),
        who: "ops-1".to_owned(),
        what,
    };
    let lines = [line(1, ResendOutcome::Ordered), line(20, ResendOutcome::Sent)];
    for line in [&lines[1], &lines[0], &lines[1]] {
        records.log_resend("dv_1", line, until).await.unwrap();
    }
    assert_eq!(records.resends("dv_1", now).await.unwrap(), lines);
    assert!(records.resends("dv_2", now).await.unwrap().is_empty());
    assert!(records.resends("dv_1", until).await.unwrap().is_empty());
}

async fn a_delivery_is_sent_again_with_the_job_as_it_was_enqueued_and_under_its_own_id(
    backend: Backend,
) {
    let mut bench = Bench::new(backend, KeepBodies::All).await;
    let first = bench.delivered("acme", "j").await;
    assert_eq!(first.body, Some(BodyFate::Kept));
    assert_eq!(bench.resend(&first).await.unwrap(), Resent::Ordered);
    bench.work_off().await;
    let calls = bench.called();
    let told: Vec<_> = calls.iter().map(|c| (c.header("webhook-id"), c.body.as_slice())).collect();
    assert_eq!(told, [("j", b"{\"n\": \"j\"}".as_slice()), ("j", b"{\"n\": \"j\"}")]);
    let expected = [("ops-1", ResendOutcome::Ordered), ("ops-1", ResendOutcome::Sent)];
    let audit = bench.audit(&first.id).await;
    assert_eq!(audit.iter().map(|(who, what)| (&**who, *what)).collect::<Vec<_>>(), expected);
    // The next round is a delivery of its own, which can be sent again in its turn.
    let rounds = bench.recorded("acme").await;
    assert_eq!((rounds.len(), rounds[0].round), (2, 2));
    assert_eq!(rounds[0].id, first.next_round_id());
    let refused = bench.resend(&first).await.unwrap_err();
    assert!(refused.to_string().contains(&rounds[0].id), "{refused}");
    assert_eq!(bench.resend(&rounds[0]).await.unwrap(), Resent::Ordered);
    bench.work_off().await;
    assert_eq!(bench.called().len(), 1);
}

async fn a_child_is_sent_again_alone(backend: Backend) {
    let mut bench = Bench::new(backend, KeepBodies::All).await;
    bench.enqueue(json!({"id": "p", "customerId": "acme", "type": "t", "data": 7})).await;
    bench.work_off().await;
    let child = bench.recorded("acme").await.remove(0);
    assert_eq!(bench.resend(&child).await.unwrap(), Resent::Ordered);
    bench.work_off().await;
    let calls = bench.called();
    assert_eq!(calls.len(), 2);
    let id = calls[0].header("webhook-id");
    assert!(id == calls[1].header("webhook-id") && id != "p", "{id}");
    assert_eq!(bench.recorded("acme").await[0].round, 2);
}

async fn the_same_order_twice_makes_one_call(backend: Backend) {
    let mut bench = Bench::new(backend, KeepBodies::All).await;
    let record = bench.delivered("acme", "j").await;
    bench.called();
    // Both are there before a worker takes one.
    bench.resend(&record).await.unwrap();
    bench.resend(&record).await.unwrap();
    bench.work_off().await;
    bench.order(&record.id).await;
    bench.work_off().await;
    assert_eq!(bench.called().len(), 1);
    let last = bench.audit(&record.id).await.pop().unwrap();
    assert_eq!(last, ("ops-2".to_owned(), ResendOutcome::AlreadySent));
    assert_eq!(bench.backend.app.queue.depth().await.unwrap(), Depth::default());
}

async fn a_replayed_dead_letter_and_a_resend_of_it_make_one_call(backend: Backend) {
    let mut bench = Bench::new(backend, KeepBodies::Failures).await;
    bench.is_up.store(false, Ordering::SeqCst);
    let record = bench.delivered("acme", "j").await;
    bench.is_up.store(true, Ordering::SeqCst);
    bench.order(&record.id).await;
    assert_eq!(bench.resend(&record).await.unwrap(), Resent::Replayed, "it has a dead letter");
    bench.work_off().await;
    assert_eq!(bench.called().len(), 2, "the failure, and one more");
    assert_eq!(bench.backend.app.queue.depth().await.unwrap(), Depth::default());
}

async fn a_job_whose_customer_has_no_tenant_key_is_not_kept_and_its_record_says_so(
    backend: Backend,
) {
    let bench = Bench::new(backend, KeepBodies::All).await;
    let record = bench.delivered("poor", "j").await;
    assert_eq!(record.body, Some(BodyFate::NoTenantKey));
    assert_eq!(bench.sealed(&record.id).await, None);
    let refused = bench.resend(&record).await.unwrap_err().to_string();
    assert!(refused.contains("`sealpost tenant-key create`"), "{refused}");
    assert!(bench.audit(&record.id).await.is_empty());
}

async fn a_shredded_tenant_key_takes_the_kept_jobs_with_it(backend: Backend) {
    let mut bench = Bench::new(backend, KeepBodies::All).await;
    let record = bench.delivered("acme", "j").await;
    bench.called();
    bench.backend.app.vault.shred_tenant_key(&acme()).await.unwrap();
    assert_eq!(bench.resend(&record).await.unwrap(), Resent::Ordered);
    bench.work_off().await;
    assert!(bench.called().is_empty());
    let last = bench.audit(&record.id).await.pop().unwrap();
    assert_eq!(last, ("ops-1".to_owned(), ResendOutcome::TenantKeyShredded));
    assert_eq!(bench.backend.app.queue.depth().await.unwrap(), Depth::default());
}

async fn a_job_that_was_moved_to_another_delivery_is_not_sent(backend: Backend) {
    let mut bench = Bench::new(backend, KeepBodies::All).await;
    let (one, two) = (bench.delivered("acme", "1").await, bench.delivered("acme", "2").await);
    bench.called();
    let sealed = bench.sealed(&one.id).await.unwrap();
    assert!(!sealed.windows(6).any(|part| part == b"\"data\""), "it is sealed");
    let until = bench.backend.app.clock.now().plus(Duration::from_secs(60));
    let moved = SealedBody { delivery_id: two.id.clone(), sealed, until };
    bench.backend.app.records.put_bodies(&[moved]).await.unwrap();
    bench.resend(&two).await.unwrap();
    bench.work_off().await;
    assert!(bench.called().is_empty());
    assert_eq!(bench.audit(&two.id).await.pop().unwrap().1, ResendOutcome::BodyNotOpened);
}

async fn an_order_that_kills_workers_ends_in_the_audit(backend: Backend) {
    let mut bench = Bench::new(backend, KeepBodies::All).await;
    let record = bench.delivered("acme", "j").await;
    bench.called();
    bench.resend(&record).await.unwrap();
    bench.pipeline.max_receives = 0;
    bench.work_off().await;
    assert!(bench.called().is_empty());
    assert_eq!(bench.audit(&record.id).await.pop().unwrap().1, ResendOutcome::CrashLoop);
    bench.pipeline.max_receives = 10;
    bench.order("dv_0").await;
    bench.work_off().await;
    assert_eq!(bench.audit("dv_0").await.pop().unwrap().1, ResendOutcome::Gone);
}

async fn failures_alone_are_kept_where_the_setting_says_so(backend: Backend) {
    let bench = Bench::new(backend, KeepBodies::Failures).await;
    assert_eq!(bench.delivered("acme", "good").await.body, None);
    bench.is_up.store(false, Ordering::SeqCst);
    let bad = bench.delivered("acme", "bad").await;
    assert_eq!(bad.body, Some(BodyFate::Kept));
    assert!(bench.sealed(&bad.id).await.is_some());
}
