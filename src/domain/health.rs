//! How an endpoint is: what its calls say of it, when it is disabled, and what becomes of its jobs then.

use std::time::Duration;

use humantime_serde::re::humantime::{format_duration, parse_duration};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::authorization::Authorization;
use crate::domain::field::FieldError;
use crate::domain::profile::Profile;
use crate::domain::timestamp::Timestamp;
use crate::domain::verification::Verified;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// After how long a time of failures alone an endpoint is disabled, where nothing else is said.
const USUAL_PATIENCE: Duration = Duration::from_secs(5 * 24 * 3600);
/// A run of failures is written down so often at most until it disables the endpoint.
const NOTES: u32 = 20;
/// After a note, or a try, the same worker tries again so much later at least.
const LONGEST_GAP: Duration = MINUTE;
/// Fewer failures than these, each at a time of its own, disable nothing.
const FEWEST_NOTES: u32 = 3;

/// What the worker has learnt of an endpoint, apart from its configuration. It belongs to one
/// version of the endpoint: putting the endpoint again starts afresh.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Health {
    /// Deliveries are made.
    #[default]
    Active,
    /// Deliveries wait until then, because the endpoint asked for it.
    Paused {
        /// When deliveries go on.
        until: Timestamp,
    },
    /// Deliveries wait: whoever gives out access tokens for it refuses to. From `probe_at` on, one
    /// delivery after another asks again.
    Deauthorized {
        /// Why, in words.
        why: String,
        /// When it is asked again.
        probe_at: Timestamp,
    },
    /// Deliveries are dead-lettered, or wait, until the endpoint is enabled or put again.
    Disabled {
        /// Why, in words.
        why: String,
    },
}

impl Health {
    /// The stable name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused { .. } => "paused",
            Self::Deauthorized { .. } => "deauthorized",
            Self::Disabled { .. } => "disabled",
        }
    }

    /// Whether no deliveries are made.
    pub fn is_disabled(&self) -> bool {
        match self {
            Self::Disabled { .. } => true,
            Self::Active | Self::Paused { .. } | Self::Deauthorized { .. } => false,
        }
    }
}

/// A time in which every call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failing {
    /// When the first of them did.
    pub since: Timestamp,
    /// When the last of them did that was written down; of a disabled endpoint, when it was probed.
    pub noted_at: Timestamp,
    /// How many were written down.
    pub notes: u32,
}

/// Health as it is recorded, with the number of the record.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthRecord {
    /// What was learnt.
    #[serde(flatten)]
    pub health: Health,
    /// Since when every call has failed, if it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<Failing>,
    /// Whether its credentials are taken, where that was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Authorization>,
    /// The handshake that was passed last. It outlives the version: it counts for the URL that it was
    /// passed for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<Verified>,
    /// Raised with every write, so that a change is made only over the record that was read.
    #[serde(default)]
    pub revision: u64,
}

/// When an endpoint is disabled, and what follows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HealthSettings {
    /// After how long a time of failures alone; the profile's without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disable_after: Option<DisableAfter>,
    /// What becomes of the jobs of a disabled endpoint.
    pub on_disabled: OnDisabled,
    /// How often one job is tried all the same; never without one.
    #[serde(with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    pub probe: Option<Duration>,
}

/// After how long a time of failures an endpoint is disabled: a duration, or `false` for never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Value", try_from = "Value")]
pub struct DisableAfter(pub Option<Duration>);

/// What becomes of the jobs of a disabled endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnDisabled {
    /// They are dead-lettered at once.
    #[default]
    DeadLetter,
    /// They wait, as long as they may.
    Hold,
}

/// What a failed call changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noted {
    /// Nothing.
    Nothing,
    /// This is written down.
    Failing(Failing),
    /// The endpoint is disabled, with this.
    Disable(Failing),
}

impl HealthSettings {
    /// After how long a time of failures alone an endpoint of this profile is disabled.
    pub fn patience(&self, profile: Profile) -> Option<Duration> {
        match (self.disable_after, profile) {
            (Some(DisableAfter(after)), _) => after,
            (None, Profile::Sealpost) => Some(USUAL_PATIENCE),
            (None, Profile::EventBridge) => None,
        }
    }

    /// Whether a disabled endpoint still takes jobs that name no endpoint.
    pub fn takes_jobs(&self) -> bool {
        self.probe.is_some() || self.on_disabled == OnDisabled::Hold
    }

    /// Checks the ranges that the reference names.
    ///
    /// # Errors
    /// With the path of the first setting that is out of its range.
    pub fn check(&self) -> Result<(), FieldError> {
        let after = self.disable_after.and_then(|DisableAfter(after)| after);
        if after.is_some_and(|after| !(MINUTE..=365 * DAY).contains(&after)) {
            let problem = "expected 1m to 365days, or false for never";
            return Err(FieldError::new("disableAfter", problem));
        }
        if self.probe.is_some_and(|probe| !(MINUTE..=30 * DAY).contains(&probe)) {
            return Err(FieldError::new("probe", "expected 1m to 30days"));
        }
        Ok(())
    }
}

/// How long a worker leaves between two tries to write a failure down.
pub fn gap(patience: Duration) -> Duration {
    (patience / (2 * NOTES)).min(LONGEST_GAP)
}

impl HealthRecord {
    /// What is left of a record when the endpoint is put again: its number, and that it was verified.
    #[must_use]
    pub fn of_another_version(&self) -> Self {
        Self { revision: self.revision, verified: self.verified.clone(), ..Self::default() }
    }

    /// When a disabled endpoint is probed again, if it is.
    pub fn probe_at(&self, settings: &HealthSettings) -> Option<Timestamp> {
        let probe = settings.probe?;
        Some(self.failing.map_or(Timestamp::default(), |failing| failing.noted_at.plus(probe)))
    }

    /// The same endpoint, disabled.
    #[must_use]
    pub fn disabled(&self, why: String, failing: Failing) -> Self {
        Self { health: Health::Disabled { why }, failing: Some(failing), ..self.clone() }
    }

    /// The same endpoint, of which nothing ill is known.
    #[must_use]
    pub fn well(&self) -> Self {
        Self { health: Health::Active, failing: None, ..self.clone() }
    }

    /// The same endpoint, failing. What else is known of it stays.
    #[must_use]
    pub fn failing(&self, failing: Option<Failing>) -> Self {
        Self { failing, ..self.clone() }
    }
}

/// What a call that failed at `now` changes. `well_at` is when a call last went well, as far as this
/// worker knows: an endpoint that fails now and then costs no write.
pub fn after_failure(
    known: Option<Failing>,
    patience: Option<Duration>,
    well_at: Option<Timestamp>,
    now: Timestamp,
) -> Noted {
    let Some(patience) = patience else { return Noted::Nothing };
    let step = patience / NOTES;
    if well_at.is_some_and(|well| now.since(well) < step) {
        return Noted::Nothing;
    }
    let known = known.filter(|failing| well_at.is_none_or(|well| well < failing.since));
    let Some(failing) = known else {
        return Noted::Failing(Failing { since: now, noted_at: now, notes: 1 });
    };
    if now.since(failing.noted_at) < step {
        return Noted::Nothing;
    }
    let next = Failing { noted_at: now, notes: failing.notes.saturating_add(1), ..failing };
    if now.since(next.since) >= patience && next.notes >= FEWEST_NOTES {
        return Noted::Disable(next);
    }
    Noted::Failing(next)
}

impl From<DisableAfter> for Value {
    fn from(DisableAfter(after): DisableAfter) -> Self {
        after.map_or(Self::Bool(false), |after| Self::String(format_duration(after).to_string()))
    }
}

impl TryFrom<Value> for DisableAfter {
    type Error = String;
    fn try_from(value: Value) -> Result<Self, String> {
        const EXPECTED: &str = "expected a duration as \"5days\", or false for never";
        if value == Value::Bool(false) {
            return Ok(Self(None));
        }
        let text = value.as_str().ok_or(EXPECTED)?;
        let after = parse_duration(text).map_err(|e| format!("{EXPECTED}: {e}"))?;
        Ok(Self(Some(after)))
    }
}

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
