//! A queue and stores that die at a step: before it is done, or after, when nobody learns of it.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use sealpost::domain::dead_letter::{DeadLetter, DeadLetterFilter};
use sealpost::domain::delivery::DeliveryKey;
use sealpost::domain::fan_out::FanOutKey;
use sealpost::domain::ids::EndpointId;
use sealpost::domain::replay::Replay;
use sealpost::domain::timestamp::Timestamp;
use sealpost::ports::deliveries::{AttemptRecord, Claim, ClaimRequest, LetterClaim, LetterPage};
use sealpost::ports::queue::{
    Depth, Handle, MoveProgress, MoveTask, NewMessage, Received, Redrive, Sought,
};
use sealpost::ports::{Deliveries, Error, Queue, Replays, Result};
use sealpost::replay::Replayer;

/// How many steps are left to live, and whether the last one is done.
#[derive(Clone)]
pub struct Life {
    left: Arc<AtomicUsize>,
    does_the_last: bool,
}

impl Life {
    pub fn of(steps: usize, does_the_last: bool) -> Self {
        Self { left: Arc::new(AtomicUsize::new(steps)), does_the_last }
    }

    /// Whether it was long enough.
    pub fn goes_on(&self) -> bool {
        self.left.load(Ordering::SeqCst) > 0
    }

    async fn step<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let dead = || Error::new("test", "it is dead");
        let left = self.left.load(Ordering::SeqCst).checked_sub(1).ok_or_else(dead)?;
        self.left.store(left, Ordering::SeqCst);
        if left > 0 {
            return work.await;
        }
        if self.does_the_last {
            work.await?;
        }
        Err(dead())
    }
}

/// The same replayer, for as long as it lives.
pub fn mortal(replayer: &Replayer, life: &Life) -> Replayer {
    let mut mortal = replayer.clone();
    mortal.queue = Arc::new(MortalQueue(Arc::clone(&replayer.queue), life.clone()));
    mortal.deliveries = Arc::new(MortalDeliveries(Arc::clone(&replayer.deliveries), life.clone()));
    mortal.replays = Arc::new(MortalReplays(Arc::clone(&replayer.replays), life.clone()));
    mortal
}

struct MortalQueue(Arc<dyn Queue>, Life);
struct MortalDeliveries(Arc<dyn Deliveries>, Life);
struct MortalReplays(Arc<dyn Replays>, Life);

const NEVER: &str = "a replay does not do this";

#[async_trait]
impl Replays for MortalReplays {
    async fn put(&self, replay: &Replay) -> Result<bool> {
        self.1.step(self.0.put(replay)).await
    }
    async fn get(&self, id: &str) -> Result<Option<Replay>> {
        self.1.step(self.0.get(id)).await
    }
    async fn list(&self, after: Option<&str>, limit: usize) -> Result<Vec<Replay>> {
        self.1.step(self.0.list(after, limit)).await
    }
}

#[async_trait]
impl Queue for MortalQueue {
    fn keeps_order(&self) -> bool {
        self.0.keeps_order()
    }
    async fn redrive(&self, letters: Vec<Redrive>) -> Result<Sought> {
        self.1.step(self.0.redrive(letters)).await
    }
    async fn move_all(&self, per_second: Option<NonZeroU32>) -> Result<Option<MoveTask>> {
        self.1.step(self.0.move_all(per_second)).await
    }
    async fn move_progress(&self) -> Result<Option<MoveProgress>> {
        self.1.step(self.0.move_progress()).await
    }
    async fn cancel_move(&self, name: &str) -> Result<()> {
        self.1.step(self.0.cancel_move(name)).await
    }
    async fn send(&self, messages: Vec<NewMessage>) -> Result<Vec<String>> {
        self.1.step(self.0.send(messages)).await
    }
    async fn receive(&self, _: usize, _: Duration) -> Result<Vec<Received>> {
        unreachable!("{NEVER}")
    }
    fn lease(&self) -> Duration {
        self.0.lease()
    }
    async fn extend(&self, _: &[Handle]) -> Result<()> {
        unreachable!("{NEVER}")
    }
    async fn release(&self, _: &Handle, _: Duration) -> Result<()> {
        unreachable!("{NEVER}")
    }
    async fn acknowledge(&self, _: &Handle) -> Result<()> {
        unreachable!("{NEVER}")
    }
    async fn replace(&self, _: &Handle, _: NewMessage) -> Result<()> {
        unreachable!("{NEVER}")
    }
    async fn dead_letter(&self, _: &Handle, _: &DeadLetter, _: Option<Bytes>) -> Result<()> {
        unreachable!("{NEVER}")
    }
    async fn peek_dead(&self, _: &str) -> Result<Option<Bytes>> {
        unreachable!("{NEVER}")
    }
    async fn purge_dead(&self, _: &[String]) -> Result<Sought> {
        unreachable!("{NEVER}")
    }
    async fn depth(&self) -> Result<Depth> {
        unreachable!("{NEVER}")
    }
}

#[async_trait]
impl Deliveries for MortalDeliveries {
    async fn scan_dead_letters(
        &self,
        _: &DeadLetterFilter,
        _: Option<&str>,
        _: usize,
    ) -> Result<LetterPage> {
        unreachable!("a replay lists")
    }
    async fn list_dead_letters(
        &self,
        filter: &DeadLetterFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>> {
        self.1.step(self.0.list_dead_letters(filter, after, limit)).await
    }
    async fn claim_dead_letters(
        &self,
        letters: &[DeadLetter],
        claim: &LetterClaim,
        now: Timestamp,
    ) -> Result<Vec<String>> {
        self.1.step(self.0.claim_dead_letters(letters, claim, now)).await
    }
    async fn remove_dead_letters(&self, letters: &[DeadLetter]) -> Result<()> {
        self.1.step(self.0.remove_dead_letters(letters)).await
    }
    async fn claim(&self, _: ClaimRequest) -> Result<Claim> {
        unreachable!("{NEVER}")
    }
    async fn record(&self, _: &DeliveryKey, _: &str, _: &AttemptRecord) -> Result<bool> {
        unreachable!("{NEVER}")
    }
    async fn abandon(&self, _: &DeliveryKey, _: &str) -> Result<()> {
        unreachable!("{NEVER}")
    }
    async fn fan_out(&self, _: &FanOutKey, _: Timestamp) -> Result<Option<Vec<EndpointId>>> {
        unreachable!("{NEVER}")
    }
    async fn fix_fan_out(
        &self,
        _: &FanOutKey,
        _: &[EndpointId],
        _: Timestamp,
    ) -> Result<Vec<EndpointId>> {
        unreachable!("{NEVER}")
    }
    async fn forget_fences(&self, _: Timestamp) -> Result<u64> {
        unreachable!("{NEVER}")
    }
    async fn put_dead_letter(&self, _: &DeadLetter) -> Result<()> {
        unreachable!("{NEVER}")
    }
    async fn get_dead_letter(&self, id: &str) -> Result<Option<DeadLetter>> {
        self.1.step(self.0.get_dead_letter(id)).await
    }
    async fn put_dry_run(&self, _: &str, _: &str, _: Timestamp) -> Result<()> {
        unreachable!("{NEVER}")
    }
    async fn take_dry_run(&self, _: &str, _: Timestamp) -> Result<Option<String>> {
        unreachable!("{NEVER}")
    }
}
