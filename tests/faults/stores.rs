//! Stores that fail at the wrong moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sealpost::app::{App, Role};
use sealpost::config::Config;
use sealpost::delivery::{Fencing, Keeping, Recorder};
use sealpost::domain::dead_letter::{DeadLetter, DeadLetterFilter};
use sealpost::domain::delivery::DeliveryKey;
use sealpost::domain::delivery_record::{
    AttemptRow, DeliveryFilter, DeliveryRecord, RecordedAttempt, Recording,
};
use sealpost::domain::endpoint::Endpoint;
use sealpost::domain::fan_out::FanOutKey;
use sealpost::domain::ids::EndpointId;
use sealpost::domain::kept_body::KeepBodies;
use sealpost::domain::resend::ResendLine;
use sealpost::domain::timestamp::Timestamp;
use sealpost::ports::deliveries::{AttemptRecord, Claim, ClaimRequest, LetterClaim, LetterPage};
use sealpost::ports::queue::{Depth, NewMessage};
use sealpost::ports::records::{Page, SealedBody};
use sealpost::ports::{Deliveries, Error, Records, Result};
use tokio_util::sync::CancellationToken;

use crate::server::{Then, listen};

/// Records no outcome, as often as it is told to.
struct Forgetful {
    inner: Arc<dyn Deliveries>,
    failures: AtomicUsize,
}

#[async_trait]
impl Deliveries for Forgetful {
    async fn record(&self, key: &DeliveryKey, token: &str, record: &AttemptRecord) -> Result<bool> {
        let left = self.failures.load(Ordering::SeqCst);
        if left > 0 {
            self.failures.store(left - 1, Ordering::SeqCst);
            return Err(Error::new("deliveries.record", "out of order"));
        }
        self.inner.record(key, token, record).await
    }
    async fn claim(&self, request: ClaimRequest) -> Result<Claim> {
        self.inner.claim(request).await
    }
    async fn abandon(&self, key: &DeliveryKey, token: &str) -> Result<()> {
        self.inner.abandon(key, token).await
    }
    async fn fan_out(&self, key: &FanOutKey, now: Timestamp) -> Result<Option<Vec<EndpointId>>> {
        self.inner.fan_out(key, now).await
    }
    async fn fix_fan_out(
        &self,
        key: &FanOutKey,
        endpoints: &[EndpointId],
        now: Timestamp,
    ) -> Result<Vec<EndpointId>> {
        self.inner.fix_fan_out(key, endpoints, now).await
    }
    async fn forget_fences(&self, before: Timestamp) -> Result<u64> {
        self.inner.forget_fences(before).await
    }
    async fn put_dead_letter(&self, letter: &DeadLetter) -> Result<()> {
        self.inner.put_dead_letter(letter).await
    }
    async fn get_dead_letter(&self, id: &str) -> Result<Option<DeadLetter>> {
        self.inner.get_dead_letter(id).await
    }
    async fn scan_dead_letters(
        &self,
        filter: &DeadLetterFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<LetterPage> {
        self.inner.scan_dead_letters(filter, after, limit).await
    }
    async fn claim_dead_letters(
        &self,
        letters: &[DeadLetter],
        claim: &LetterClaim,
        now: Timestamp,
    ) -> Result<Vec<String>> {
        self.inner.claim_dead_letters(letters, claim, now).await
    }
    async fn remove_dead_letters(&self, letters: &[DeadLetter]) -> Result<()> {
        self.inner.remove_dead_letters(letters).await
    }
    async fn put_dry_run(&self, id: &str, answer: &str, until: Timestamp) -> Result<()> {
        self.inner.put_dry_run(id, answer, until).await
    }
    async fn take_dry_run(&self, id: &str, now: Timestamp) -> Result<Option<String>> {
        self.inner.take_dry_run(id, now).await
    }
}

/// Keeps nothing.
struct Broken;

#[async_trait]
impl Records for Broken {
    async fn put(&self, _: &[RecordedAttempt]) -> Result<()> {
        Err(Error::new("records.put", "out of order"))
    }
    async fn list(
        &self,
        _: &DeliveryFilter,
        _: Option<&str>,
        _: usize,
        _: Timestamp,
    ) -> Result<Page> {
        Err(Error::new("records.list", "out of order"))
    }
    async fn get(
        &self,
        _: &str,
        _: Timestamp,
    ) -> Result<Option<(DeliveryRecord, Vec<AttemptRow>)>> {
        Err(Error::new("records.get", "out of order"))
    }
    async fn header(&self, _: &str, _: Timestamp) -> Result<Option<DeliveryRecord>> {
        Err(Error::new("records.header", "out of order"))
    }
    async fn put_bodies(&self, _: &[SealedBody]) -> Result<()> {
        Err(Error::new("records.put_bodies", "out of order"))
    }
    async fn body(&self, _: &str, _: Timestamp) -> Result<Option<Vec<u8>>> {
        Err(Error::new("records.body", "out of order"))
    }
    async fn log_resend(&self, _: &str, _: &ResendLine, _: Timestamp) -> Result<()> {
        Err(Error::new("records.log_resend", "out of order"))
    }
    async fn resends(&self, _: &str, _: Timestamp) -> Result<Vec<ResendLine>> {
        Err(Error::new("records.resends", "out of order"))
    }
    async fn forget(&self, _: Timestamp) -> Result<u64> {
        Err(Error::new("records.forget", "out of order"))
    }
}

#[tokio::test]
async fn an_attempt_that_cannot_be_recorded_costs_no_delivery() {
    let (address, seen) = listen(Then::Send(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec())).await;
    let mut config = Config::default();
    config.egress.allow_http = true;
    config.egress.allow = vec!["127.0.0.1/32".parse().unwrap()];
    config.egress.ports = vec!["1-65535".parse().unwrap()];
    let directory = tempfile::tempdir().unwrap();
    let app = App::embedded(directory.path(), config, Role::Worker).await.unwrap();
    let endpoint = format!(r#"{{"customerId":"c","endpointId":"e","url":"http://{address}/"}}"#);
    let endpoint = Endpoint::from_json(&endpoint).unwrap();
    app.endpoints.put(endpoint, None, app.clock.now()).await.unwrap();
    let body = r#"{"customerId":"c","endpointId":"e","data":1}"#.into();
    app.queue.send(vec![NewMessage { body, ..NewMessage::default() }]).await.unwrap();
    app.vault.create_tenant_key(&"c".parse().unwrap()).await.unwrap();
    let mut pipeline = app.pipeline().unwrap();
    let (clock, tally) = (Arc::clone(&app.clock), Arc::clone(&app.tally));
    let kept = Duration::from_secs(60);
    let keeping = Keeping { keep: KeepBodies::All, vault: app.vault.opener.clone() };
    let recorder = Recorder::start(Recording::All, keeping, kept, Arc::new(Broken), clock, tally);
    pipeline.recorder = recorder;
    let messages = app.queue.receive(1, Duration::ZERO).await.unwrap();
    pipeline.deliver(&messages[0], &CancellationToken::new()).await;
    pipeline.recorder.as_ref().unwrap().flush().await;
    assert_eq!(seen.connections(), 1);
    assert_eq!(app.queue.depth().await.unwrap(), Depth::default(), "it is delivered");
    // One fault of the attempt, and one of the job that was to be kept.
    assert_eq!((app.tally.counts().delivered, app.tally.counts().faults), (1, 2));
}

#[tokio::test]
async fn a_call_is_not_repeated_because_its_outcome_could_not_be_recorded() {
    for failures in [2, usize::MAX] {
        let (address, seen) = listen(Then::Send(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec())).await;
        let mut config = Config::default();
        config.egress.allow_http = true;
        config.egress.allow = vec!["127.0.0.1/32".parse().unwrap()];
        config.egress.ports = vec!["1-65535".parse().unwrap()];
        config.worker.fence = Fencing::All;
        let directory = tempfile::tempdir().unwrap();
        let app = App::embedded(directory.path(), config, Role::Worker).await.unwrap();
        let endpoint =
            format!(r#"{{"customerId":"c","endpointId":"e","url":"http://{address}/"}}"#);
        let endpoint = Endpoint::from_json(&endpoint).unwrap();
        app.endpoints.put(endpoint, None, app.clock.now()).await.unwrap();
        let body = r#"{"customerId":"c","endpointId":"e","data":1}"#.into();
        app.queue.send(vec![NewMessage { body, ..NewMessage::default() }]).await.unwrap();
        let mut pipeline = app.pipeline().unwrap();
        let inner = Arc::clone(&app.deliveries);
        pipeline.deliveries = Arc::new(Forgetful { inner, failures: AtomicUsize::new(failures) });

        let messages = app.queue.receive(1, Duration::ZERO).await.unwrap();
        pipeline.deliver(&messages[0], &CancellationToken::new()).await;
        assert_eq!(seen.connections(), 1);
        assert_eq!(app.queue.depth().await.unwrap(), Depth::default(), "it is delivered");
        assert!(app.tally.counts().faults >= 2);
    }
}
