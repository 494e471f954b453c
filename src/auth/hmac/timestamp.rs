//! How `{ts}` is written and read.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::auth::verify::{Code, Finding};
use crate::domain::timestamp::Timestamp;

/// The unit of a timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
pub enum Unit {
    /// Whole seconds since the Unix epoch.
    #[serde(rename = "s")]
    Seconds,
    /// Milliseconds since the Unix epoch.
    #[serde(rename = "ms")]
    Milliseconds,
    /// RFC 3339 in UTC, in whole seconds.
    #[serde(rename = "rfc3339")]
    Rfc3339,
}

impl Unit {
    /// The time as a signature carries it.
    pub fn write(self, now: Timestamp) -> String {
        match self {
            Self::Seconds => now.as_secs().to_string(),
            Self::Milliseconds => now.as_millis().to_string(),
            Self::Rfc3339 => Timestamp::from_millis(now.as_secs() * 1000).to_string(),
        }
    }

    /// Checks that a time that was sent is within `tolerance` of `now`, either way, both ends included.
    ///
    /// # Errors
    /// If it is not, or is no time.
    pub fn check(self, text: &str, now: Timestamp, tolerance: Duration) -> Result<(), Finding> {
        let sent = self.read(text).ok_or_else(|| {
            Finding::new(Code::Malformed, format!("the timestamp is not {}", self.name()))
        })?;
        // In the unit of what was sent: half a second that it cannot carry makes no difference.
        let now = match self {
            Self::Seconds | Self::Rfc3339 => now.as_secs() * 1000,
            Self::Milliseconds => now.as_millis(),
        };
        let apart = u128::from(now.abs_diff(sent));
        if apart <= tolerance.as_millis() {
            return Ok(());
        }
        let (seconds, way) = (apart / 1000, if sent < now { "before" } else { "after" });
        let problem = format!(
            "the timestamp is {seconds} s {way} the arrival, {} s are allowed: is a clock wrong, or \
             was the request kept back or sent again?",
            tolerance.as_secs()
        );
        Err(Finding::new(Code::OutsideTolerance, problem))
    }

    /// Milliseconds since the Unix epoch; before it they are negative.
    fn read(self, text: &str) -> Option<i64> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let number = || {
            let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            let number = is_number.then(|| text.parse::<i64>().ok()).flatten();
            // One spelling alone: a zero in front could be the end of what stands before the time.
            number.filter(|number| number.to_string() == text)
        };
        match self {
            Self::Seconds => Some(number()?.saturating_mul(1000)),
            Self::Milliseconds => number(),
            Self::Rfc3339 => text.parse::<Timestamp>().ok().map(Timestamp::as_millis),
        }
    }

    /// What it is, in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Seconds => "whole seconds since 1970",
            Self::Milliseconds => "milliseconds since 1970",
            Self::Rfc3339 => "RFC 3339, for example 2026-11-23T10:00:00Z",
        }
    }
}
