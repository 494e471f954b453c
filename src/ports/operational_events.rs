//! What the operator is told of, beside the log.

use std::time::Duration;

use async_trait::async_trait;

use crate::domain::operational_event::OperationalEvent;

/// Tells the operator. Whoever tells something neither waits nor fails: what cannot be told is dropped
/// and counted.
#[async_trait]
pub trait OperationalEvents: Send + Sync {
    /// Tells of an event.
    fn tell(&self, event: OperationalEvent);

    /// Waits until what was told before is durable or given up, but not for longer than `patience`.
    async fn flush(&self, patience: Duration);

    /// How many events were dropped since the process began.
    fn dropped(&self) -> u64;
}

/// Tells nobody: the log has it all.
pub struct LogOnly;

#[async_trait]
impl OperationalEvents for LogOnly {
    fn tell(&self, _: OperationalEvent) {}
    async fn flush(&self, _: Duration) {}
    fn dropped(&self) -> u64 {
        0
    }
}
