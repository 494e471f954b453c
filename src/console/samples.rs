//! How deep the queue was in the last half hour. Deliveries are counted where they are made
//! ([`crate::telemetry::recent`]); the queue has to be asked.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::{Console, Pages};
use crate::domain::timestamp::Timestamp;
use crate::ports::queue::Depth;
use crate::telemetry::recent::{STEP, STEPS, step_number};

/// How long the queue may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The queue's depth, step by step.
#[derive(Default)]
pub struct Samples(Mutex<VecDeque<(i64, Depth)>>);

impl Samples {
    fn add(&self, at: Timestamp, depth: Depth) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = step_number(at);
        kept.retain(|(step, _)| *step < number && *step > number - STEPS as i64);
        kept.push_back((number, depth));
    }

    /// The last [`STEPS`] steps up to `now`, oldest first; those without a sample are as the one before.
    /// The first is `None` until there was one.
    pub fn steps(&self, now: Timestamp) -> Vec<Option<Depth>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = step_number(now) - STEPS as i64 + 1;
        let (mut steps, mut last) = (Vec::with_capacity(STEPS), None);
        let mut samples = kept.iter().peekable();
        for step in first..first + STEPS as i64 {
            while let Some((_, depth)) = samples.next_if(|(number, _)| *number <= step) {
                last = Some(*depth);
            }
            steps.push(last);
        }
        steps
    }
}

/// Samples until it is told to stop. On AWS asking costs money, so it is done less often.
pub async fn keep(console: Pages, stop: CancellationToken) {
    let pace = if console.api.app.config.is_aws() { 6 * STEP } else { STEP };
    let mut turns = interval(pace);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = turns.tick() => {
                let _ = sample(&console).await;
            }
        }
    }
}

/// Asks the queue, and remembers what it says; tells it, too.
pub async fn sample(console: &Console) -> Option<Depth> {
    let app = &console.api.app;
    // Whether the queue fails is told by readiness.
    let depth = timeout(PATIENCE, app.queue.depth()).await.ok()?.ok()?;
    console.samples.add(app.clock.now(), depth);
    Some(depth)
}

/// For how long the job that is due for the longest has been due, where the queue can tell.
pub async fn oldest_due(console: &Console) -> Option<Duration> {
    timeout(PATIENCE, console.api.app.queue.oldest_due()).await.ok()?.ok()?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_without_a_sample_is_as_the_one_before() {
        let samples = Samples::default();
        let at = |step: i64| Timestamp::from_millis(1_800_000_000_000 + step * 10_000);
        let depth = |pending| Depth { pending, dead: 0 };
        samples.add(at(0), depth(7));
        samples.add(at(3), depth(9));
        samples.add(at(3), depth(8));
        let pending: Vec<_> =
            samples.steps(at(4)).iter().map(|depth| depth.map(|depth| depth.pending)).collect();
        assert_eq!(pending.len(), STEPS);
        assert_eq!(pending[STEPS - 6..], [None, Some(7), Some(7), Some(7), Some(8), Some(8)]);
        assert!(samples.0.lock().unwrap().len() == 2, "one a step");
    }
}
