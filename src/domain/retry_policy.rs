//! When a failed delivery is tried again: one policy per endpoint.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::field::FieldError;

/// Longest age a policy may allow: a queue keeps a message for 14 days at most
/// (Amazon SQS Developer Guide, "Amazon SQS message quotas").
pub const LONGEST_AGE: Duration = Duration::from_secs(14 * 24 * 3600);

/// How often, how long and after which failures an endpoint is tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RetryPolicy {
    /// Attempts in one round, the first included; 1 to 1000.
    pub max_attempts: u32,
    /// Age, counted from acceptance, after which a delivery is given up; at most 14 days.
    #[serde(with = "humantime_serde")]
    pub max_age: Duration,
    /// The ceiling of the wait after the first failure; it doubles with each further one.
    #[serde(with = "humantime_serde")]
    pub base_delay: Duration,
    /// The ceiling of every wait, `Retry-After` included.
    #[serde(with = "humantime_serde")]
    pub max_delay: Duration,
    /// Statuses that are tried again: `"503"`, or a class as `"5xx"`. 410 never is.
    pub retry_on: Vec<StatusPattern>,
    /// Whether a failure after the request was written, which may have been processed, is tried
    /// again. `false` gives at most one arrival.
    pub retry_ambiguous: bool,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 15,
            max_age: Duration::from_secs(3 * 24 * 3600),
            base_delay: Duration::from_secs(5),
            max_delay: Duration::from_secs(12 * 3600),
            retry_on: vec![
                StatusPattern::Class(3),
                StatusPattern::Class(4),
                StatusPattern::Class(5),
            ],
            retry_ambiguous: true,
        }
    }
}

impl RetryPolicy {
    /// Checks the ranges that the fields document.
    pub fn check(&self) -> Result<(), FieldError> {
        if !(1..=1000).contains(&self.max_attempts) {
            return Err(FieldError::new("maxAttempts", "expected 1 to 1000"));
        }
        if self.max_age > LONGEST_AGE || self.max_age.is_zero() {
            return Err(FieldError::new("maxAge", "expected more than 0 and at most 14days"));
        }
        if self.max_delay > self.max_age {
            return Err(FieldError::new(
                "maxDelay",
                "longer than maxAge: no retry would be in time",
            ));
        }
        if self.base_delay > self.max_delay {
            return Err(FieldError::new("baseDelay", "longer than maxDelay"));
        }
        Ok(())
    }

    /// Whether an answer with this status is tried again.
    pub fn retries(&self, status: u16) -> bool {
        self.retry_on.iter().any(|pattern| pattern.matches(status))
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
