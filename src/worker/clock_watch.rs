//! Tells of a clock that is set: what waits for a time of day comes too early or too late, and receivers
//! refuse signatures of another time than theirs.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::delivery::Pipeline;
use crate::domain::timestamp::Timestamp;

/// How often it is looked at.
const PACE: Duration = Duration::from_secs(10);
/// Less is how clocks are kept right.
const STEP: Duration = Duration::from_secs(5);

/// Watches until it is dropped.
pub struct ClockWatch {
    task: AbortHandle,
}

impl ClockWatch {
    /// Begins.
    pub fn start(pipeline: Arc<Pipeline>) -> Self {
        let task = tokio::spawn(async move {
            let mut last = (pipeline.clock.now(), Instant::now());
            loop {
                tokio::time::sleep(PACE).await;
                let now = (pipeline.clock.now(), Instant::now());
                if let Some(by_ms) = step(last.0, now.0, now.1 - last.1) {
                    pipeline.tally.clock_was_set(by_ms);
                }
                last = now;
            }
        });
        Self { task: task.abort_handle() }
    }
}

impl Drop for ClockWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// By how many milliseconds the clock was set while `passed`, forward or back; `None` if it was not.
fn step(before: Timestamp, after: Timestamp, passed: Duration) -> Option<i64> {
    let passed = i64::try_from(passed.as_millis()).unwrap_or(i64::MAX);
    let shown = after.as_millis().saturating_sub(before.as_millis());
    let by = shown.saturating_sub(passed);
    (u128::from(by.unsigned_abs()) >= STEP.as_millis()).then_some(by)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_runs_a_little_fast_was_not_set() {
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1000);
        let passed = Duration::from_secs(10);
        assert_eq!(step(at(100), at(114), passed), None);
        assert_eq!(step(at(100), at(106), passed), None);
        assert_eq!(step(at(100), at(110 + 86_400), passed), Some(86_400_000));
        assert_eq!(step(at(100), at(110 - 3600), passed), Some(-3_600_000));
    }
}
