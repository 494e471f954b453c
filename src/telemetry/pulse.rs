//! Whether the loops of the worker turn.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// A loop says by when it will be heard of again. One that has not begun, or has ended, is never late.
#[derive(Debug)]
pub struct Pulse {
    begun: Instant,
    /// Milliseconds after `begun`.
    due: AtomicU64,
}

impl Default for Pulse {
    fn default() -> Self {
        Self { begun: Instant::now(), due: AtomicU64::new(u64::MAX) }
    }
}

impl Pulse {
    /// The loop will be heard of again within this time.
    pub fn expect(&self, within: Duration) {
        let due = self.begun.elapsed() + within;
        self.due.store(u64::try_from(due.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The loop has ended, or waits for something that may take as long as it likes.
    pub fn rest(&self) {
        self.due.store(u64::MAX, Ordering::Relaxed);
    }

    /// Whether it should have been heard of.
    pub fn is_late(&self) -> bool {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        now > self.due.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_loop_is_late_when_it_was_not_heard_of_in_time() {
        let pulse = Pulse::default();
        assert!(!pulse.is_late());
        pulse.expect(Duration::from_secs(10));
        tokio::time::advance(Duration::from_secs(9)).await;
        assert!(!pulse.is_late());
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(pulse.is_late());
        pulse.rest();
        assert!(!pulse.is_late());
    }
}
