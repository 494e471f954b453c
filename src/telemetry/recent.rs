//! What the worker of this process did in the last half hour, for people to look at. Bounded: a ring of
//! counters, and at most [`MOST_ENDPOINTS`] endpoints that fail.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::decide::Disposition;
use crate::domain::delivery::DeliveryKey;
use crate::domain::ids::{CustomerId, EndpointId};
use crate::domain::outcome::{Attempt, AttemptOutcome};
use crate::domain::timestamp::Timestamp;

/// How much time one step of the ring covers.
pub const STEP: Duration = Duration::from_secs(10);
/// How many steps are kept: half an hour.
pub const STEPS: usize = 180;
/// The upper ends of the classes of latency, in milliseconds; a last class has all that is longer.
pub const LATENCIES: [u64; 12] =
    [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000];
/// Most endpoints of which failures are counted in a quarter of an hour; further ones are left out.
pub const MOST_ENDPOINTS: usize = 1_000;
/// So many steps are one generation of endpoints: the one before is kept beside it.
const GENERATION: i64 = 90;

/// What happened in one step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Step {
    /// Deliveries made.
    pub delivered: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Jobs given up.
    pub given_up: u64,
    /// Attempts by how long they took: see [`LATENCIES`].
    pub latencies: [u64; LATENCIES.len() + 1],
}

impl Step {
    /// Both together.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        self.delivered += other.delivered;
        self.failed += other.failed;
        self.given_up += other.given_up;
        for (own, other) in self.latencies.iter_mut().zip(other.latencies) {
            *own += other;
        }
        self
    }

    /// How long the given share of the attempts took at most, in milliseconds: the end of a class. `None`
    /// if there were none.
    pub fn latency(&self, share: f64) -> Option<u64> {
        let all: u64 = self.latencies.iter().sum();
        let wanted = (all as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (class, count) in self.latencies.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Some(LATENCIES.get(class).copied().unwrap_or(u64::MAX));
            }
        }
        None
    }
}

/// An endpoint that fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailingEndpoint {
    /// Whose.
    pub customer_id: CustomerId,
    /// Which.
    pub endpoint_id: EndpointId,
    /// Attempts that failed.
    pub failed: u64,
    /// Attempts that succeeded since the first of them.
    pub delivered: u64,
    /// When it failed last.
    pub last_at: Timestamp,
    /// What that gave.
    pub last: AttemptOutcome,
}

type Endpoints = HashMap<(CustomerId, EndpointId), FailingEndpoint>;

#[derive(Debug, Default)]
struct Kept {
    /// The newest step's number since 1970, and the steps up to it, oldest first.
    newest: i64,
    steps: VecDeque<Step>,
    generation: i64,
    now: Endpoints,
    before: Endpoints,
}

/// What happened lately.
#[derive(Debug, Default)]
pub struct Recent(Mutex<Kept>);

impl Recent {
    /// An attempt was made, and this follows.
    pub fn attempted(&self, key: &DeliveryKey, attempt: &Attempt, disposition: Disposition) {
        let at = attempt.at.plus(Duration::from_millis(attempt.duration_ms));
        let class = LATENCIES.iter().position(|end| attempt.duration_ms <= *end);
        let is_done = disposition == Disposition::Done;
        let mut kept = self.kept();
        kept.turn_to(at);
        if let Some(step) = kept.step(at) {
            step.latencies[class.unwrap_or(LATENCIES.len())] += 1;
            if is_done {
                step.delivered += 1;
            } else {
                step.failed += 1;
            }
        }
        if kept.now.is_empty() && is_done {
            return;
        }
        let name = (key.customer_id.clone(), key.endpoint_id.clone());
        if is_done {
            if let Some(endpoint) = kept.now.get_mut(&name) {
                endpoint.delivered += 1;
            }
            return;
        }
        if kept.now.len() >= MOST_ENDPOINTS && !kept.now.contains_key(&name) {
            return;
        }
        let new = || FailingEndpoint {
            customer_id: key.customer_id.clone(),
            endpoint_id: key.endpoint_id.clone(),
            failed: 0,
            delivered: 0,
            last_at: at,
            last: attempt.outcome.clone(),
        };
        let endpoint = kept.now.entry(name).or_insert_with(new);
        endpoint.failed += 1;
        endpoint.last_at = at;
        endpoint.last = attempt.outcome.clone();
    }

    /// A job was given up.
    pub fn given_up(&self, at: Timestamp) {
        let mut kept = self.kept();
        kept.turn_to(at);
        if let Some(step) = kept.step(at) {
            step.given_up += 1;
        }
    }

    /// The last [`STEPS`] steps up to `now`, oldest first.
    pub fn steps(&self, now: Timestamp) -> Vec<Step> {
        let mut kept = self.kept();
        kept.turn_to(now);
        kept.steps.iter().copied().collect()
    }

    /// The endpoints with the most failures in the last 15 to 30 minutes.
    pub fn worst(&self, now: Timestamp, most: usize) -> Vec<FailingEndpoint> {
        let mut kept = self.kept();
        kept.turn_to(now);
        let mut all = kept.before.clone();
        for (name, endpoint) in &kept.now {
            let same = all.entry(name.clone()).or_insert_with(|| FailingEndpoint {
                failed: 0,
                delivered: 0,
                ..endpoint.clone()
            });
            same.failed += endpoint.failed;
            same.delivered += endpoint.delivered;
            same.last_at = endpoint.last_at;
            same.last.clone_from(&endpoint.last);
        }
        let mut all: Vec<FailingEndpoint> = all.into_values().collect();
        all.sort_by(|a, b| {
            let name = |e: &FailingEndpoint| (e.customer_id.clone(), e.endpoint_id.clone());
            b.failed.cmp(&a.failed).then_with(|| name(a).cmp(&name(b)))
        });
        all.truncate(most);
        all
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The number of the step that has this time.
pub fn step_number(at: Timestamp) -> i64 {
    at.as_millis() / STEP.as_millis() as i64
}

impl Kept {
    /// Makes room up to `at`. Time that goes backwards changes nothing.
    fn turn_to(&mut self, at: Timestamp) {
        let number = step_number(at);
        if number <= self.newest && self.steps.len() == STEPS {
            return;
        }
        let missing = (number - self.newest).clamp(0, STEPS as i64) as usize;
        self.newest = self.newest.max(number);
        self.steps.extend(std::iter::repeat_n(Step::default(), missing));
        let surplus = self.steps.len().saturating_sub(STEPS);
        self.steps.drain(..surplus);
        while self.steps.len() < STEPS {
            self.steps.push_front(Step::default());
        }
        let generation = number / GENERATION;
        if generation > self.generation {
            let now = std::mem::take(&mut self.now);
            self.before = if generation == self.generation + 1 { now } else { Endpoints::new() };
            self.generation = generation;
        }
    }

    /// The step of a time that is not too long ago.
    fn step(&mut self, at: Timestamp) -> Option<&mut Step> {
        let ago = usize::try_from(self.newest - step_number(at)).ok()?;
        let index = self.steps.len().checked_sub(ago + 1)?;
        self.steps.get_mut(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::outcome::Phase;

    fn at(steps: i64) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000 + steps * 10_000)
    }

    fn attempt(recent: &Recent, endpoint: &str, when: Timestamp, is_done: bool) {
        let key = DeliveryKey {
            customer_id: "acme".parse().unwrap(),
            endpoint_id: endpoint.parse().unwrap(),
            job_id: "evt_1".parse().unwrap(),
            round: 1,
            message_id: "m".to_owned(),
        };
        let outcome = AttemptOutcome::Failed { phase: Phase::Connect };
        let (number, detail) = (1, String::new());
        let attempt = Attempt { number, at: when, duration_ms: 30, address: None, outcome, detail };
        let then = if is_done { Disposition::Done } else { Disposition::RetryAt(when) };
        recent.attempted(&key, &attempt, then);
    }

    #[test]
    fn what_happened_stands_in_its_step_and_leaves_after_half_an_hour() {
        let recent = Recent::default();
        attempt(&recent, "orders", at(0), true);
        attempt(&recent, "orders", at(0), false);
        recent.given_up(at(1));
        let steps = recent.steps(at(2));
        assert_eq!(steps.len(), STEPS);
        let seen = |n: usize| (steps[n].delivered, steps[n].failed, steps[n].given_up);
        assert_eq!(seen(STEPS - 3), (1, 1, 0));
        assert_eq!(seen(STEPS - 2), (0, 0, 1));
        assert_eq!(steps[STEPS - 3].latency(0.5), Some(50));
        let later = recent.steps(at(STEPS as i64));
        assert_eq!(later.iter().map(|step| step.delivered).sum::<u64>(), 0);
        assert_eq!(later[0].given_up, 1, "the step after it is still there");
    }

    #[test]
    fn a_pause_longer_than_the_ring_leaves_nothing_behind() {
        let recent = Recent::default();
        attempt(&recent, "orders", at(0), false);
        assert!(recent.steps(at(10_000)).iter().all(|step| *step == Step::default()));
        assert!(recent.worst(at(10_000), 5).is_empty());
    }

    #[test]
    fn the_worst_endpoints_come_first_and_are_forgotten_when_they_fail_no_more() {
        let recent = Recent::default();
        for endpoint in ["a", "b", "b", "b", "c", "c"] {
            attempt(&recent, endpoint, at(0), false);
        }
        attempt(&recent, "b", at(1), true);
        let worst = recent.worst(at(2), 2);
        let names: Vec<&str> = worst.iter().map(|e| e.endpoint_id.as_str()).collect();
        assert_eq!((names, worst[0].failed, worst[0].delivered), (vec!["b", "c"], 3, 1));
        assert_eq!(recent.worst(at(GENERATION), 5).len(), 3, "the generation before is kept");
        assert!(recent.worst(at(2 * GENERATION), 5).is_empty());
    }

    #[test]
    fn no_number_of_failing_endpoints_fills_the_memory() {
        let recent = Recent::default();
        for n in 0..MOST_ENDPOINTS + 10 {
            attempt(&recent, &format!("e{n}"), at(0), false);
        }
        assert_eq!(recent.worst(at(0), usize::MAX).len(), MOST_ENDPOINTS);
    }
}
