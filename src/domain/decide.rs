//! What follows from an attempt: the one place where it is decided, and nothing else.

use serde::{Deserialize, Serialize};
use std::time::Duration;

use crate::domain::backoff;
use crate::domain::outcome::{AttemptOutcome, Phase};
use crate::domain::reason::Reason;
use crate::domain::retry_policy::RetryPolicy;
use crate::domain::timestamp::Timestamp;

/// What happens to a delivery next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    /// It is delivered.
    Done,
    /// The next attempt is made then.
    RetryAt(Timestamp),
    /// It is given up.
    DeadLetter(Reason),
}

/// What follows for the endpoint itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consequence {
    /// Nothing.
    None,
    /// It asked to be left alone for so long.
    Pause(Duration),
    /// It is gone for good.
    Disable,
}

/// The facts about a delivery that a decision needs.
#[derive(Debug, Clone, Copy)]
pub struct Standing {
    /// Number of the attempt that gave the outcome, from 1.
    pub attempt: u32,
    /// When the round began, or the job's turn in its group came.
    pub accepted_at: Timestamp,
    /// The job's own limit.
    pub expires_at: Option<Timestamp>,
}

/// Decides. `chance` is a random number in `0.0..1.0`, for the jitter.
pub fn decide(
    outcome: &AttemptOutcome,
    standing: Standing,
    policy: &RetryPolicy,
    now: Timestamp,
    chance: f64,
) -> Disposition {
    match outcome {
        AttemptOutcome::Answered { status: 200..=299, .. } => return Disposition::Done,
        AttemptOutcome::Answered { status: 410, .. } if policy.gone_disables => {
            return Disposition::DeadLetter(Reason::EndpointGone);
        }
        AttemptOutcome::Answered { never_again: true, .. } if policy.negative_retry_after_stops => {
            return Disposition::DeadLetter(Reason::Rejected);
        }
        AttemptOutcome::Answered { status, .. } if !policy.retries(*status) => {
            return Disposition::DeadLetter(Reason::Rejected);
        }
        AttemptOutcome::Failed { phase: Phase::Dns | Phase::Blocked }
            if !policy.retry_unresolved =>
        {
            return Disposition::DeadLetter(Reason::Rejected);
        }
        AttemptOutcome::Failed { phase } if phase.is_ambiguous() && !policy.retry_ambiguous => {
            return Disposition::DeadLetter(Reason::Ambiguous);
        }
        AttemptOutcome::Answered { .. } | AttemptOutcome::Failed { .. } => {}
    }
    if standing.attempt >= policy.max_attempts {
        return Disposition::DeadLetter(Reason::AttemptsExhausted);
    }
    let asked = outcome.retry_after().unwrap_or_default();
    let wait = backoff::delay(policy, standing.attempt, chance).max(asked.min(policy.max_delay));
    let next = now.plus(wait);
    match too_late(standing, policy, next) {
        Some(reason) => Disposition::DeadLetter(reason),
        None => Disposition::RetryAt(next),
    }
}

/// Why no attempt may be made at `at`, if none may.
pub fn too_late(standing: Standing, policy: &RetryPolicy, at: Timestamp) -> Option<Reason> {
    if standing.expires_at.is_some_and(|limit| at >= limit) {
        return Some(Reason::Expired);
    }
    (at.since(standing.accepted_at) > policy.max_age).then_some(Reason::TooOld)
}

/// What an outcome means for the endpoint and its other deliveries.
pub fn consequence(outcome: &AttemptOutcome, policy: &RetryPolicy) -> Consequence {
    match outcome {
        AttemptOutcome::Answered { status: 410, .. } if policy.gone_disables => {
            Consequence::Disable
        }
        AttemptOutcome::Answered { status: 200..=299, .. } | AttemptOutcome::Failed { .. } => {
            Consequence::None
        }
        AttemptOutcome::Answered { .. } => outcome
            .retry_after()
            .filter(|wait| !wait.is_zero())
            .map_or(Consequence::None, Consequence::Pause),
    }
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
