//! Endpoints that fail for days: they are disabled, their jobs wait or are given up, and a probe or a
//! hand enables them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sealpost::app::App;
use sealpost::domain::dead_letter::DeadLetterFilter;
use sealpost::domain::endpoint::Health;
use sealpost::domain::health::HealthRecord;
use sealpost::domain::ids::{CustomerId, EndpointId};
use sealpost::domain::parking::most_parks;
use sealpost::domain::reason::Reason;
use sealpost::ports::health::RecordedHealth;
use sealpost::ports::queue::NewMessage;
use sealpost::ports::{Clock, HealthStore, Result};
use serde_json::{Value, json};

use crate::bench::{Bench, enqueue, loopback, put};
use crate::web::Web;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A server that answers with the status that it is told.
async fn server(status: u16) -> (Web, Arc<AtomicU16>) {
    let told = Arc::new(AtomicU16::new(status));
    let status = Arc::clone(&told);
    let answer = move |_: &str| (format!("{} X", status.load(Ordering::SeqCst)), String::new());
    (Web::start(answer).await, told)
}

fn endpoint(web: &Web, health: Value) -> Value {
    json!({"customerId": "c", "endpointId": "e", "url": format!("{}/", web.origin),
           "healthPolicy": health, "limits": {"breaker": false},
           "retry": {"maxAge": "7days", "baseDelay": "1h", "maxDelay": "6h"}})
}

async fn bench(web: &Web, health: Value) -> Bench {
    let bench = Bench::open(loopback()).await;
    put(&bench.app, endpoint(web, health)).await;
    bench
}

async fn deliver_all_due(bench: &Bench) {
    while bench.deliver_due().await > 0 {}
}

async fn pending(bench: &Bench) -> u64 {
    bench.app.queue.depth().await.unwrap().pending
}

async fn record(bench: &Bench) -> HealthRecord {
    bench.app.health.read(&"c".parse().unwrap(), &"e".parse().unwrap(), 1).await.unwrap()
}

/// Counts what is written.
struct Counting {
    inner: Arc<dyn HealthStore>,
    writes: Arc<AtomicUsize>,
}

#[async_trait]
impl HealthStore for Counting {
    async fn read(&self, c: &CustomerId, e: &EndpointId, version: u64) -> Result<HealthRecord> {
        self.inner.read(c, e, version).await
    }
    async fn list(&self, customer: &CustomerId) -> Result<Vec<RecordedHealth>> {
        self.inner.list(customer).await
    }
    async fn set(&self, c: &CustomerId, e: &EndpointId, v: u64, health: &Health) -> Result<bool> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        self.inner.set(c, e, v, health).await
    }
    async fn change(
        &self,
        customer: &CustomerId,
        endpoint: &EndpointId,
        version: u64,
        seen: &HealthRecord,
        next: &HealthRecord,
    ) -> Result<bool> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        self.inner.change(customer, endpoint, version, seen, next).await
    }
}

fn count_writes(bench: &mut Bench) -> Arc<AtomicUsize> {
    let writes = Arc::new(AtomicUsize::new(0));
    let inner = Arc::clone(&bench.app.health);
    bench.pipeline.health = Arc::new(Counting { inner, writes: Arc::clone(&writes) });
    writes
}

#[tokio::test]
async fn five_days_of_failures_disable_an_endpoint_with_few_writes() {
    let (web, _) = server(500).await;
    let mut bench = bench(&web, json!({})).await;
    let writes = count_writes(&mut bench);
    let start = bench.clock.now();
    while bench.health().await == Health::Active {
        enqueue(&bench.app, 1).await;
        deliver_all_due(&bench).await;
        bench.clock.advance(HOUR);
    }
    let took = bench.clock.now().since(start);
    assert!((5 * DAY..5 * DAY + 7 * HOUR).contains(&took), "{took:?}");
    assert!(web.count() > 240, "{} calls", web.count());
    assert!(writes.load(Ordering::SeqCst) <= 22, "{writes:?}");
    assert_eq!(record(&bench).await.failing.unwrap().since, start);
    // By default its jobs are given up, those that wait to be tried again too.
    let called = web.count();
    enqueue(&bench.app, 1).await;
    bench.clock.advance(12 * HOUR);
    deliver_all_due(&bench).await;
    assert_eq!((web.count(), pending(&bench).await), (called, 0));
    let reason = Some(Reason::EndpointDisabled);
    let filter = DeadLetterFilter { reason, ..DeadLetterFilter::default() };
    let letters = bench.app.deliveries.list_dead_letters(&filter, None, 100).await.unwrap();
    assert!(letters.len() > 1, "{letters:?}");
}

#[tokio::test]
async fn an_endpoint_that_fails_half_of_the_time_is_not_disabled_and_costs_no_write() {
    let (web, status) = server(200).await;
    let mut bench = bench(&web, json!({"disableAfter": "2h"})).await;
    let writes = count_writes(&mut bench);
    for minute in 0..600 {
        status.store(if minute % 4 < 2 { 204 } else { 500 }, Ordering::SeqCst);
        enqueue(&bench.app, 1).await;
        bench.deliver_due().await;
        bench.clock.advance(MINUTE);
    }
    assert!(web.count() >= 600);
    assert_eq!((bench.health().await, writes.load(Ordering::SeqCst)), (Health::Active, 0));
}

#[tokio::test]
async fn one_call_that_goes_well_begins_the_time_anew_whichever_worker_makes_it() {
    let (web, status) = server(500).await;
    let bench = bench(&web, json!({"disableAfter": "1day"})).await;
    // The other one keeps no memory of this one's failures.
    let other = bench.elsewhere().await;
    let other = other.pipeline().unwrap();
    for hour in 0..40 {
        status.store(if hour == 20 { 204 } else { 500 }, Ordering::SeqCst);
        enqueue(&bench.app, 1).await;
        let stop = tokio_util::sync::CancellationToken::new();
        for message in bench.app.queue.receive(100, Duration::ZERO).await.unwrap() {
            let pipeline = if hour == 20 { &other } else { &bench.pipeline };
            pipeline.deliver(&message, &stop).await;
        }
        bench.clock.advance(HOUR);
    }
    assert_eq!(bench.health().await, Health::Active);
    assert!(record(&bench).await.failing.is_some());
}

/// An endpoint that answered 410, with this policy, and `jobs` more jobs for it.
async fn gone(web: &Web, health: Value, jobs: usize) -> Bench {
    let bench = bench(web, health).await;
    enqueue(&bench.app, 1).await;
    deliver_all_due(&bench).await;
    assert!(bench.health().await.is_disabled());
    assert_eq!(bench.dead_letters().await[0].reason, Reason::EndpointGone);
    enqueue(&bench.app, jobs).await;
    deliver_all_due(&bench).await;
    bench
}

#[tokio::test]
async fn held_jobs_cost_a_bounded_number_of_parks_and_are_given_up_at_their_age() {
    let (web, _) = server(410).await;
    let bench = gone(&web, json!({"onDisabled": "hold"}), 10).await;
    assert_eq!(pending(&bench).await, 10);
    while pending(&bench).await > 0 {
        bench.clock.advance(5 * MINUTE);
        deliver_all_due(&bench).await;
    }
    assert_eq!(web.count(), 1, "no attempt is made");
    let counts = bench.app.tally.counts();
    let most = u64::from(most_parks(MINUTE, 7 * DAY)) + 1;
    assert!(counts.parked <= 10 * most, "{} of {}", counts.parked, 10 * most);
    assert_eq!(counts.dead_lettered, 11);
    let letters = bench.dead_letters().await;
    let disabled: Vec<_> =
        letters.iter().filter(|letter| letter.reason == Reason::EndpointDisabled).collect();
    assert_eq!(disabled.len(), 8, "of the nine that are listed");
    assert!(disabled[0].message.contains("410"), "{}", disabled[0].message);
}

async fn enable(app: &App) {
    let (customer, id) = ("c".parse().unwrap(), "e".parse().unwrap());
    let seen = app.health.read(&customer, &id, 1).await.unwrap();
    assert!(app.health.change(&customer, &id, 1, &seen, &seen.well()).await.unwrap());
}

#[tokio::test]
async fn held_jobs_go_out_when_the_endpoint_is_enabled_by_hand_or_put_again() {
    for by_hand in [true, false] {
        let (web, status) = server(410).await;
        let bench = gone(&web, json!({"onDisabled": "hold"}), 20).await;
        bench.clock.advance(3 * HOUR);
        deliver_all_due(&bench).await;
        status.store(204, Ordering::SeqCst);
        let elsewhere = bench.elsewhere().await;
        match by_hand {
            true => enable(&elsewhere).await,
            false => put(&elsewhere, endpoint(&web, json!({}))).await,
        }
        // Until then the worker may go by what it remembers.
        tokio::time::sleep(Duration::from_millis(1100)).await;
        for _ in 0..32 {
            bench.clock.advance(MINUTE);
            deliver_all_due(&bench).await;
        }
        assert_eq!((web.count(), pending(&bench).await), (21, 0));
    }
}

#[tokio::test]
async fn one_job_an_hour_is_the_probe_and_one_that_goes_well_lets_all_others_out() {
    let (web, status) = server(410).await;
    let bench = gone(&web, json!({"onDisabled": "hold", "probe": "1h"}), 40).await;
    status.store(503, Ordering::SeqCst);
    // All held jobs come back within a quarter of an hour, and many of them at once.
    for quarter in 1..=24 {
        bench.clock.advance(15 * MINUTE);
        deliver_all_due(&bench).await;
        assert!(web.count() <= 1 + quarter / 4, "{} calls in {quarter} quarters", web.count());
    }
    let seen = web.count();
    assert!((5..=7).contains(&seen), "{seen}");
    assert!(bench.health().await.is_disabled());
    status.store(204, Ordering::SeqCst);
    while pending(&bench).await > 0 {
        bench.clock.advance(15 * MINUTE);
        deliver_all_due(&bench).await;
    }
    assert_eq!((bench.health().await, bench.app.tally.counts().delivered), (Health::Active, 40));
    assert_eq!(record(&bench).await.failing, None);
}

#[tokio::test]
async fn where_jobs_are_given_up_the_next_one_that_comes_is_the_probe() {
    let (web, status) = server(410).await;
    let bench = gone(&web, json!({"probe": "1h"}), 3).await;
    assert_eq!((web.count(), bench.app.tally.counts().dead_lettered), (1, 4));
    status.store(204, Ordering::SeqCst);
    bench.clock.advance(HOUR);
    enqueue(&bench.app, 1).await;
    deliver_all_due(&bench).await;
    assert_eq!((bench.health().await, bench.app.tally.counts().delivered), (Health::Active, 1));
}

#[tokio::test]
async fn a_disabled_endpoint_that_holds_its_jobs_gets_those_that_name_no_endpoint() {
    let (web, status) = server(410).await;
    let bench = gone(&web, json!({"onDisabled": "hold"}), 0).await;
    let fan_out = async || {
        let body = r#"{"customerId":"c","type":"t","data":1}"#.into();
        bench.app.queue.send(vec![NewMessage { body, ..NewMessage::default() }]).await.unwrap();
        deliver_all_due(&bench).await;
    };
    fan_out().await;
    assert_eq!((pending(&bench).await, bench.app.tally.counts().unmatched), (1, 0));
    status.store(204, Ordering::SeqCst);
    enable(&bench.app).await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    for _ in 0..5 {
        bench.clock.advance(15 * MINUTE);
        deliver_all_due(&bench).await;
    }
    assert_eq!((web.count(), pending(&bench).await), (2, 0));
}
