//! Ports that fail by a script: before what they are asked for is done, or after.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use sealpost::domain::dead_letter::{DeadLetter, DeadLetterFilter};
use sealpost::domain::delivery::DeliveryKey;
use sealpost::domain::fan_out::FanOutKey;
use sealpost::domain::health::{Health, HealthRecord};
use sealpost::domain::ids::{CustomerId, EndpointId, SecretId};
use sealpost::domain::secret::{SealedSecret, SealedVersion};
use sealpost::domain::secret_record::SecretRecord;
use sealpost::domain::timestamp::Timestamp;
use sealpost::ports::deliveries::{AttemptRecord, Claim, ClaimRequest, LetterClaim, LetterPage};
use sealpost::ports::endpoints::StoredEndpoint;
use sealpost::ports::health::RecordedHealth;
use sealpost::ports::keys::{Context, Unwrapped};
use sealpost::ports::queue::{Depth, Handle, NewMessage, Received, Redrive, Sought};
use sealpost::ports::{
    Deliveries, Error, HealthStore, OpenKeys, Queue, ReadEndpoints, ReadSecrets, Result,
};

/// Most failures of one call in a row: what fails for longer is given up by some callers.
const IN_A_ROW: u32 = 3;

/// Says of each call whether it fails.
pub struct Faults(Mutex<Script>);

struct Script {
    bytes: Vec<u8>,
    next: usize,
    /// So many of 256 calls fail.
    rate: u8,
    in_a_row: u32,
}

enum Strike {
    None,
    Before,
    After,
}

impl Faults {
    pub fn new(bytes: Vec<u8>, rate: u8) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Script { bytes, next: 0, rate, in_a_row: 0 })))
    }

    /// Nothing fails any more.
    pub fn heal(&self) {
        self.0.lock().unwrap().rate = 0;
    }

    fn strike(&self) -> Strike {
        let mut script = self.0.lock().unwrap();
        let byte = script.bytes[script.next % script.bytes.len()];
        script.next += 1;
        if byte >= script.rate || script.in_a_row == IN_A_ROW {
            script.in_a_row = 0;
            return Strike::None;
        }
        script.in_a_row += 1;
        if byte.is_multiple_of(2) { Strike::Before } else { Strike::After }
    }

    async fn call<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        match self.strike() {
            Strike::None => call.await,
            Strike::Before => Err(Error::new(operation, "out of order")),
            Strike::After => {
                call.await?;
                Err(Error::new(operation, "the answer was lost"))
            }
        }
    }
}

/// A port that fails.
pub struct Faulty<P: ?Sized> {
    pub inner: Arc<P>,
    pub faults: Arc<Faults>,
}

impl<P: ?Sized> Faulty<P> {
    pub fn new(inner: Arc<P>, faults: &Arc<Faults>) -> Arc<Self> {
        Arc::new(Self { inner, faults: Arc::clone(faults) })
    }
}

#[async_trait]
impl Queue for Faulty<dyn Queue> {
    fn keeps_order(&self) -> bool {
        self.inner.keeps_order()
    }
    async fn send(&self, messages: Vec<NewMessage>) -> Result<Vec<String>> {
        self.faults.call("queue.send", self.inner.send(messages)).await
    }
    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<Received>> {
        self.faults.call("queue.receive", self.inner.receive(max, wait)).await
    }
    fn lease(&self) -> Duration {
        self.inner.lease()
    }
    async fn extend(&self, handles: &[Handle]) -> Result<()> {
        self.faults.call("queue.extend", self.inner.extend(handles)).await
    }
    async fn release(&self, handle: &Handle, delay: Duration) -> Result<()> {
        self.faults.call("queue.release", self.inner.release(handle, delay)).await
    }
    async fn acknowledge(&self, handle: &Handle) -> Result<()> {
        self.faults.call("queue.acknowledge", self.inner.acknowledge(handle)).await
    }
    async fn replace(&self, handle: &Handle, next: NewMessage) -> Result<()> {
        self.faults.call("queue.replace", self.inner.replace(handle, next)).await
    }
    async fn dead_letter(
        &self,
        handle: &Handle,
        letter: &DeadLetter,
        state: Option<Bytes>,
    ) -> Result<()> {
        let call = self.inner.dead_letter(handle, letter, state);
        self.faults.call("queue.dead_letter", call).await
    }
    async fn peek_dead(&self, id: &str) -> Result<Option<Bytes>> {
        self.inner.peek_dead(id).await
    }
    async fn redrive(&self, letters: Vec<Redrive>) -> Result<Sought> {
        self.faults.call("queue.redrive", self.inner.redrive(letters)).await
    }
    async fn purge_dead(&self, ids: &[String]) -> Result<Sought> {
        self.faults.call("queue.purge_dead", self.inner.purge_dead(ids)).await
    }
    async fn depth(&self) -> Result<Depth> {
        self.inner.depth().await
    }
}

#[async_trait]
impl Deliveries for Faulty<dyn Deliveries> {
    async fn claim(&self, request: ClaimRequest) -> Result<Claim> {
        self.faults.call("deliveries.claim", self.inner.claim(request)).await
    }
    async fn record(&self, key: &DeliveryKey, token: &str, record: &AttemptRecord) -> Result<bool> {
        self.faults.call("deliveries.record", self.inner.record(key, token, record)).await
    }
    async fn abandon(&self, key: &DeliveryKey, token: &str) -> Result<()> {
        self.faults.call("deliveries.abandon", self.inner.abandon(key, token)).await
    }
    async fn fan_out(&self, key: &FanOutKey, now: Timestamp) -> Result<Option<Vec<EndpointId>>> {
        self.faults.call("deliveries.fan_out", self.inner.fan_out(key, now)).await
    }
    async fn fix_fan_out(
        &self,
        key: &FanOutKey,
        endpoints: &[EndpointId],
        now: Timestamp,
    ) -> Result<Vec<EndpointId>> {
        let call = self.inner.fix_fan_out(key, endpoints, now);
        self.faults.call("deliveries.fix_fan_out", call).await
    }
    async fn forget_fences(&self, before: Timestamp) -> Result<u64> {
        self.inner.forget_fences(before).await
    }
    async fn put_dead_letter(&self, letter: &DeadLetter) -> Result<()> {
        self.faults.call("deliveries.put", self.inner.put_dead_letter(letter)).await
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

#[async_trait]
impl HealthStore for Faulty<dyn HealthStore> {
    async fn read(
        &self,
        customer: &CustomerId,
        endpoint: &EndpointId,
        version: u64,
    ) -> Result<HealthRecord> {
        self.faults.call("health.read", self.inner.read(customer, endpoint, version)).await
    }
    async fn list(&self, customer: &CustomerId) -> Result<Vec<RecordedHealth>> {
        self.faults.call("health.list", self.inner.list(customer)).await
    }
    async fn set(
        &self,
        customer: &CustomerId,
        endpoint: &EndpointId,
        version: u64,
        health: &Health,
    ) -> Result<bool> {
        let call = self.inner.set(customer, endpoint, version, health);
        self.faults.call("health.set", call).await
    }
    async fn change(
        &self,
        customer: &CustomerId,
        endpoint: &EndpointId,
        version: u64,
        seen: &HealthRecord,
        next: &HealthRecord,
    ) -> Result<bool> {
        let call = self.inner.change(customer, endpoint, version, seen, next);
        self.faults.call("health.change", call).await
    }
}

#[async_trait]
impl ReadEndpoints for Faulty<dyn ReadEndpoints> {
    async fn get(
        &self,
        customer: &CustomerId,
        endpoint: &EndpointId,
    ) -> Result<Option<StoredEndpoint>> {
        self.faults.call("endpoints.get", self.inner.get(customer, endpoint)).await
    }
    async fn list(&self, customer: Option<&CustomerId>) -> Result<Vec<StoredEndpoint>> {
        self.faults.call("endpoints.list", self.inner.list(customer)).await
    }
}

#[async_trait]
impl ReadSecrets for Faulty<dyn ReadSecrets> {
    async fn get(&self, customer: &CustomerId, secret: &SecretId) -> Result<Option<SealedSecret>> {
        self.faults.call("secrets.get", self.inner.get(customer, secret)).await
    }
    async fn record(&self, customer: &CustomerId, secret: &SecretId) -> Result<SecretRecord> {
        self.inner.record(customer, secret).await
    }
    async fn history(
        &self,
        customer: &CustomerId,
        secret: &SecretId,
    ) -> Result<Vec<SealedVersion>> {
        self.inner.history(customer, secret).await
    }
    async fn list(
        &self,
        customer: Option<&CustomerId>,
    ) -> Result<Vec<(CustomerId, SecretId, SealedSecret)>> {
        self.inner.list(customer).await
    }
}

#[async_trait]
impl OpenKeys for Faulty<dyn OpenKeys> {
    async fn unwrap(&self, wrapped: &[u8], context: &Context) -> Result<Unwrapped> {
        self.faults.call("keys.unwrap", self.inner.unwrap(wrapped, context)).await
    }
}
