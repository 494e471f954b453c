//! Keeps the jobs of recorded deliveries: seals them to their customers' tenant keys and hands them to the
//! store, before the headers that say so.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::delivery_record::RecordedAttempt;
use crate::domain::ids::CustomerId;
use crate::domain::kept_body::{BodyFate, KeepBodies};
use crate::ports::Records;
use crate::ports::records::SealedBody;
use crate::telemetry::Tally;
use crate::vault::{NotSealed, Opener};

/// Most KiB of jobs that wait to be kept. More are not kept: the store is out of order, or too slow.
const WAITING_KIB: usize = 64 * 1024;
/// Most customers of whom it is remembered that somebody was told.
const TOLD: usize = 10_000;

/// What is kept, and with what it is sealed.
pub struct Keeping {
    /// Of which deliveries.
    pub keep: KeepBodies,
    /// Seals to the public halves of tenant keys.
    pub vault: Opener,
}

/// Room for the jobs that wait.
pub(super) struct Room {
    keep: KeepBodies,
    permits: Arc<Semaphore>,
}

/// What is to become of a delivery's job.
pub(super) enum Waiting {
    /// It is not asked for.
    NotAsked,
    /// It is kept, and takes so much room until then.
    Job { job: Bytes, _room: OwnedSemaphorePermit },
    /// There is no room for it.
    NoRoom,
}

impl Room {
    pub(super) fn new(keep: KeepBodies) -> Self {
        Self { keep, permits: Arc::new(Semaphore::new(WAITING_KIB)) }
    }

    /// Takes room for the job of a delivery, if it is to be kept.
    pub(super) fn take(&self, recorded: &RecordedAttempt, job: &Bytes) -> Waiting {
        if !self.keep.wants(recorded.header.status) {
            return Waiting::NotAsked;
        }
        let kib = u32::try_from(job.len().div_ceil(1024)).unwrap_or(u32::MAX);
        match Arc::clone(&self.permits).try_acquire_many_owned(kib) {
            Ok(permit) => Waiting::Job { job: job.clone(), _room: permit },
            Err(_) => Waiting::NoRoom,
        }
    }
}

/// Seals and stores.
pub(super) struct Keeper {
    vault: Opener,
    records: Arc<dyn Records>,
    tally: Arc<Tally>,
    told: HashSet<(CustomerId, BodyFate)>,
}

impl Keeper {
    pub(super) fn new(vault: Opener, records: Arc<dyn Records>, tally: Arc<Tally>) -> Self {
        Self { vault, records, tally, told: HashSet::new() }
    }

    /// Keeps the jobs of a batch, and writes into each header what became of its own.
    pub(super) async fn keep(&mut self, batch: &mut [(RecordedAttempt, Waiting)]) {
        let mut sealed = Vec::new();
        for (recorded, waiting) in batch.iter_mut() {
            let fate = match waiting {
                Waiting::NotAsked => continue,
                Waiting::NoRoom => BodyFate::NotWritten,
                Waiting::Job { job, .. } => match self.vault.seal_body(&recorded.header, job).await
                {
                    Ok(bytes) => {
                        let (delivery_id, until) = (recorded.header.id.clone(), recorded.until);
                        sealed.push(SealedBody { delivery_id, sealed: bytes, until });
                        recorded.header.body = Some(BodyFate::Kept);
                        // A batch takes tens of milliseconds to seal: others have work, too.
                        tokio::task::yield_now().await;
                        continue;
                    }
                    Err(NotSealed::Key(fate)) => fate,
                    Err(NotSealed::Ours(error)) => {
                        self.tally.fault(&error, recorded.header.job_id.as_str());
                        BodyFate::NotWritten
                    }
                },
            };
            self.tell(&recorded.header.customer_id, fate);
            recorded.header.body = Some(fate);
        }
        if sealed.is_empty() {
            return;
        }
        if let Err(error) = self.records.put_bodies(&sealed).await {
            self.tally.fault(&error, "records");
            let kept = |body: &&mut Option<BodyFate>| **body == Some(BodyFate::Kept);
            let bodies = batch.iter_mut().map(|(recorded, _)| &mut recorded.header.body);
            bodies.filter(kept).for_each(|body| *body = Some(BodyFate::NotWritten));
        }
    }

    /// Once for each customer: every delivery says it, too.
    fn tell(&mut self, customer: &CustomerId, fate: BodyFate) {
        if self.told.len() < TOLD && self.told.insert((customer.clone(), fate)) {
            self.tally.body_not_kept(customer, fate);
        }
    }
}
