//! Renews the leases of the messages in hand, until they are dropped.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;

use crate::delivery::Pipeline;
use crate::ports::queue::Handle;
use crate::telemetry::Tally;

type Kept = Arc<Mutex<HashSet<Handle>>>;

/// How much longer than a lease a renewal may take before the loop counts as hanging.
const PATIENCE: Duration = Duration::from_secs(30);

/// Renews every third of a lease.
pub struct Heartbeat {
    kept: Kept,
    tally: Arc<Tally>,
    task: AbortHandle,
}

/// A message in hand: its lease is renewed until this is dropped.
pub struct KeptLease {
    kept: Kept,
    handle: Handle,
}

impl Heartbeat {
    /// Begins.
    pub fn start(pipeline: Arc<Pipeline>) -> Self {
        let kept = Kept::default();
        let (leases, tally) = (Arc::clone(&kept), Arc::clone(&pipeline.tally));
        let task = tokio::spawn(async move {
            let lease = pipeline.queue.lease();
            let mut beat = tokio::time::interval(lease / 3);
            loop {
                pipeline.tally.leases.expect(lease + PATIENCE);
                beat.tick().await;
                let handles: Vec<Handle> =
                    leases.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect();
                if !handles.is_empty()
                    && let Err(error) = pipeline.queue.extend(&handles).await
                {
                    pipeline.tally.fault(&error, "leases");
                }
            }
        });
        Self { kept, tally, task: task.abort_handle() }
    }

    /// Keeps the lease of `handle`.
    pub fn keep(&self, handle: Handle) -> KeptLease {
        let kept = Arc::clone(&self.kept);
        kept.lock().unwrap_or_else(PoisonError::into_inner).insert(handle.clone());
        KeptLease { kept, handle }
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.task.abort();
        self.tally.leases.rest();
    }
}

impl Drop for KeptLease {
    fn drop(&mut self) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.handle);
    }
}
