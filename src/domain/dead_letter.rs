//! A job given up: what the index remembers of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::delivery::DeliveryState;
use crate::domain::fan_out::Child;
use crate::domain::ids::{CustomerId, EndpointId, JobId};
use crate::domain::outcome::{Attempt, AttemptOutcome, Phase};
use crate::domain::reason::Reason;
use crate::domain::timestamp::Timestamp;

/// One record of the dead-letter index. The message itself lies in the dead-letter queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    /// Its name, the same however often the same round of the same delivery is given up.
    pub id: String,
    /// The queue's id of the message.
    pub message_id: String,
    /// Whose job, where that could be made out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<CustomerId>,
    /// For which endpoint, where that could be made out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint_id: Option<EndpointId>,
    /// Which job, where that could be made out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<JobId>,
    /// What makes it the child of a job that fanned out: it is replayed alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub child: Option<Child>,
    /// The event's type, where the job names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// The round that ended so.
    pub round: u32,
    /// Why: a stable code.
    pub reason: Reason,
    /// What happened, and where. Holds no secret.
    pub message: String,
    /// When the round began.
    pub accepted_at: Timestamp,
    /// When it was given up.
    pub dead_at: Timestamp,
    /// Attempts made in the round.
    pub attempts: u32,
    /// The last of them, oldest first.
    #[serde(default)]
    pub history: Vec<Attempt>,
    /// Size of the job in bytes.
    pub job_size: usize,
    /// SHA-256 of the job's bytes, in hex.
    pub job_sha256: String,
    /// What stands beside the message in the dead-letter queue, where the endpoint's profile says so.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

impl DeadLetter {
    /// The state with which a replay begins; `None` where the job's id could not be made out.
    pub fn replayed(&self, now: Timestamp) -> Option<DeliveryState> {
        let ended = DeliveryState {
            round: self.round,
            child: self.child.clone(),
            ..DeliveryState::first(self.job_id.clone()?, self.accepted_at)
        };
        Some(ended.next_round(now))
    }

    /// The same for another endpoint of the customer: `None` where there is no such state.
    pub fn replayed_to(&self, endpoint: &EndpointId, now: Timestamp) -> Option<DeliveryState> {
        let parent_message_id = match &self.child {
            Some(child) => child.parent_message_id.clone(),
            None => self.message_id.clone(),
        };
        let child = Child { endpoint_id: endpoint.clone(), parent_message_id };
        Some(DeliveryState { child: Some(child), ..self.replayed(now)? })
    }

    /// Its place in the order of a list: sorts as text by the time of giving up, then by id. It is
    /// good when the letter itself is gone.
    pub fn position(&self) -> String {
        position(self.dead_at, &self.id)
    }

    /// How far the last call had come, if it had no answer.
    pub fn phase(&self) -> Option<Phase> {
        match self.history.last()?.outcome {
            AttemptOutcome::Failed { phase } => Some(phase),
            AttemptOutcome::Answered { .. } => None,
        }
    }
}

/// The place of a letter with that id that was given up then.
pub fn position(dead_at: Timestamp, id: &str) -> String {
    format!("{:015}#{id}", dead_at.as_millis())
}

/// What a place in a list says: the time, and the id. `None` if the text is no place.
pub fn read_position(text: &str) -> Option<(Timestamp, &str)> {
    let (millis, id) = text.split_once('#')?;
    Some((Timestamp::from_millis(millis.parse().ok()?), id))
}

/// SHA-256 of a job's bytes, in hex.
pub fn job_sha256(bytes: &[u8]) -> String {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Which dead letters are meant: those that everything which is set lets through.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeadLetterFilter {
    /// Only this customer's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<CustomerId>,
    /// Only this endpoint's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint_id: Option<EndpointId>,
    /// Only with this reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Only of this event type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// Only those whose last call ended in this phase, without an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// Only those given up at this time or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Only those given up before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Only those with at least so many attempts in their round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_attempts: Option<u32>,
    /// Only those with at most so many attempts in their round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
}

impl DeadLetterFilter {
    /// Whether the filter lets `letter` through.
    pub fn matches(&self, letter: &DeadLetter) -> bool {
        let wanted = |filter: bool, equal: bool| !filter || equal;
        wanted(self.customer_id.is_some(), self.customer_id == letter.customer_id)
            && wanted(self.endpoint_id.is_some(), self.endpoint_id == letter.endpoint_id)
            && wanted(self.reason.is_some(), self.reason == Some(letter.reason))
            && wanted(self.event_type.is_some(), self.event_type == letter.event_type)
            && wanted(self.phase.is_some(), self.phase == letter.phase())
            && self.since.is_none_or(|since| since <= letter.dead_at)
            && self.until.is_none_or(|until| letter.dead_at < until)
            && self.min_attempts.is_none_or(|least| least <= letter.attempts)
            && self.max_attempts.is_none_or(|most| letter.attempts <= most)
    }

    /// Whether it asks for more than whose letters, for which endpoint, with which reason and of which
    /// time.
    pub fn looks_inside(&self) -> bool {
        self.event_type.is_some()
            || self.phase.is_some()
            || self.min_attempts.is_some()
            || self.max_attempts.is_some()
    }

    /// The same, and only those given up before `until`.
    #[must_use]
    pub fn before(mut self, until: Timestamp) -> Self {
        self.until = Some(self.until.map_or(until, |own| own.min(until)));
        self
    }
}
