//! When a failed delivery is tried again: one policy per endpoint.

use std::time::Duration;

use humantime_serde::re::humantime::{format_duration, parse_duration};
use serde::{Deserialize, Serialize};

use crate::domain::field::FieldError;
use crate::domain::retry_preset::RetryPreset;

/// Longest age a policy may allow: a queue keeps a message for 14 days at most
/// (Amazon SQS Developer Guide, "Amazon SQS message quotas").
pub const LONGEST_AGE: Duration = Duration::from_secs(14 * 24 * 3600);
/// Most waits in a schedule.
const MAX_SCHEDULE: usize = 100;
/// Most attempts in one round.
const MAX_ATTEMPTS: u32 = 1000;

/// How often, how long and after which failures an endpoint is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in one round, the first included; 1 to 1000.
    pub max_attempts: u32,
    /// Age, counted from acceptance, after which a delivery is given up; at most 14 days.
    pub max_age: Duration,
    /// What is waited between two attempts.
    pub waits: Waits,
    /// The longest wait that an endpoint may ask for in `Retry-After`.
    pub max_delay: Duration,
    /// Statuses that are tried again.
    pub retry_on: Vec<StatusPattern>,
    /// Whether 410 disables the endpoint; then it is never tried again.
    pub gone_disables: bool,
    /// Whether a name without an address, or with one that may not be called, is tried again.
    pub retry_unresolved: bool,
    /// Whether a negative `Retry-After` ends the delivery.
    pub negative_retry_after_stops: bool,
    /// Whether a failure after the request was written, which may have been processed, is tried
    /// again. `false` gives at most one arrival.
    pub retry_ambiguous: bool,
}

/// What is waited between two attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waits {
    /// At random below a ceiling that doubles with each failure.
    Doubling {
        /// The first ceiling.
        base: Duration,
        /// The last ceiling.
        most: Duration,
    },
    /// These, in order, and the last of them ever after. Never empty.
    Listed(Vec<Duration>),
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPreset::Sealpost.policy()
    }
}

impl RetryPolicy {
    /// Whether an answer with this status is tried again.
    pub fn retries(&self, status: u16) -> bool {
        self.retry_on.iter().any(|pattern| pattern.matches(status))
    }

    fn check(&self) -> Result<(), FieldError> {
        if !(1..=MAX_ATTEMPTS).contains(&self.max_attempts) {
            let problem = format!("expected 1 to {MAX_ATTEMPTS}");
            return Err(FieldError::new("maxAttempts", problem));
        }
        if self.max_age > LONGEST_AGE || self.max_age.is_zero() {
            return Err(FieldError::new("maxAge", "expected more than 0 and at most 14days"));
        }
        if self.max_delay > self.max_age {
            let problem = "longer than maxAge: no retry would be in time";
            return Err(FieldError::new("maxDelay", problem));
        }
        match &self.waits {
            Waits::Doubling { base, most } if base > most => {
                Err(FieldError::new("baseDelay", "longer than maxDelay"))
            }
            Waits::Doubling { .. } => Ok(()),
            Waits::Listed(waits) => self.check_schedule(waits),
        }
    }

    fn check_schedule(&self, waits: &[Duration]) -> Result<(), FieldError> {
        if waits.is_empty() || waits.len() > MAX_SCHEDULE {
            let problem =
                format!("expected 1 to {MAX_SCHEDULE} waits, as [\"5s\", \"5m\", \"1h\"]");
            return Err(FieldError::new("schedule", problem));
        }
        if let Some(index) = waits.iter().position(|wait| *wait > self.max_delay) {
            return Err(FieldError::new(format!("schedule[{index}]"), "longer than maxDelay"));
        }
        let retries = usize::try_from(self.max_attempts - 1).unwrap_or(usize::MAX);
        let total: Duration = waits.iter().take(retries).sum();
        if total > self.max_age {
            let problem =
                "its waits together are longer than maxAge: the last would not be in time";
            return Err(FieldError::new("schedule", problem));
        }
        Ok(())
    }
}

/// The policy as an endpoint's configuration has it: what is left out is the preset's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RetrySettings {
    /// Whose policy the rest is taken from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<RetryPreset>,
    /// As in [`RetryPolicy`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// As in [`RetryPolicy`].
    #[serde(with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Duration>,
    /// The ceiling of the wait after the first failure; it doubles with each further one.
    #[serde(with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    pub base_delay: Option<Duration>,
    /// As in [`RetryPolicy`].
    #[serde(with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    pub max_delay: Option<Duration>,
    /// The waits one by one, instead of `base_delay`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Vec<Wait>>,
    /// As in [`RetryPolicy`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_on: Option<Vec<StatusPattern>>,
    /// As in [`RetryPolicy`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_ambiguous: Option<bool>,
}

impl RetrySettings {
    /// The policy, with what is left out taken from the preset, or from `usual` without one.
    ///
    /// # Errors
    /// With the path of the first field that is out of the range that it documents.
    pub fn policy(&self, usual: RetryPreset) -> Result<RetryPolicy, FieldError> {
        let mut policy = self.preset.unwrap_or(usual).policy();
        if let (Some(_), Some(_)) = (&self.schedule, self.base_delay) {
            let problem = "stands beside schedule, which lists the waits: leave one of them out";
            return Err(FieldError::new("baseDelay", problem));
        }
        policy.waits = match (policy.waits, self.base_delay) {
            (Waits::Doubling { base, most }, own) => {
                let most = self.max_delay.unwrap_or(most.min(self.max_age.unwrap_or(most)));
                Waits::Doubling { base: own.unwrap_or(base.min(most)), most }
            }
            (Waits::Listed(_), Some(base)) => {
                let most = self.max_delay.or(self.max_age).unwrap_or(policy.max_delay);
                Waits::Doubling { base, most }
            }
            (listed @ Waits::Listed(_), None) => listed,
        };
        if let Some(schedule) = &self.schedule {
            let waits: Vec<Duration> = schedule.iter().map(|wait| wait.0).collect();
            let longest = waits.iter().max().copied().unwrap_or_default();
            policy.max_attempts = u32::try_from(waits.len()).unwrap_or(u32::MAX).saturating_add(1);
            policy.max_delay = policy.max_delay.max(longest);
            // An attempt and a wait in the queue take their time too.
            let total: Duration = waits.iter().sum();
            policy.max_age = policy.max_age.max(total.mul_f64(1.2)).min(LONGEST_AGE);
            policy.waits = Waits::Listed(waits);
        }
        policy.max_attempts = self.max_attempts.unwrap_or(policy.max_attempts);
        policy.max_age = self.max_age.unwrap_or(policy.max_age);
        policy.max_delay = self.max_delay.unwrap_or(policy.max_delay.min(policy.max_age));
        policy.retry_on = self.retry_on.clone().unwrap_or(policy.retry_on);
        policy.retry_ambiguous = self.retry_ambiguous.unwrap_or(policy.retry_ambiguous);
        policy.check()?;
        Ok(policy)
    }
}

/// One wait of a schedule, as `"5m"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Wait(pub Duration);

impl TryFrom<String> for Wait {
    type Error = FieldError;
    fn try_from(text: String) -> Result<Self, FieldError> {
        let wait = parse_duration(&text);
        wait.map(Self)
            .map_err(|e| FieldError::new("", format!("{text:?}: {e}, expected as \"5m\"")))
    }
}

impl From<Wait> for String {
    fn from(wait: Wait) -> Self {
        format_duration(wait.0).to_string()
    }
}

/// One status or a class of statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum StatusPattern {
    /// Exactly this status.
    Exactly(u16),
    /// Every status whose first digit this is.
    Class(u16),
}

impl StatusPattern {
    fn matches(self, status: u16) -> bool {
        match self {
            Self::Exactly(one) => status == one,
            Self::Class(hundreds) => status / 100 == hundreds,
        }
    }
}

impl TryFrom<String> for StatusPattern {
    type Error = FieldError;
    fn try_from(text: String) -> Result<Self, FieldError> {
        let pattern = match text.strip_suffix("xx") {
            Some(digit) => digit.parse().ok().filter(|d| (1..=9).contains(d)).map(Self::Class),
            None => text.parse().ok().filter(|s| (100..=999).contains(s)).map(Self::Exactly),
        };
        pattern.ok_or_else(|| {
            FieldError::new(
                "",
                format!("{text:?}: expected a status as \"503\" or a class as \"5xx\""),
            )
        })
    }
}

impl From<StatusPattern> for String {
    fn from(pattern: StatusPattern) -> Self {
        match pattern {
            StatusPattern::Exactly(status) => status.to_string(),
            StatusPattern::Class(hundreds) => format!("{hundreds}xx"),
        }
    }
}

#[cfg(test)]
#[path = "retry_policy_tests.rs"]
mod tests;
