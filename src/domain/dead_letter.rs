//! A job given up: what the index remembers of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::delivery::DeliveryState;
use crate::domain::fan_out::Child;
use crate::domain::ids::{CustomerId, EndpointId, JobId};
use crate::domain::outcome::Attempt;
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
}

/// SHA-256 of a job's bytes, in hex.
pub fn job_sha256(bytes: &[u8]) -> String {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Which dead letters are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeadLetterFilter {
    /// Only this customer's.
    pub customer_id: Option<CustomerId>,
    /// Only this endpoint's.
    pub endpoint_id: Option<EndpointId>,
    /// Only with this reason.
    pub reason: Option<Reason>,
}

impl DeadLetterFilter {
    /// Whether the filter lets `letter` through.
    pub fn matches(&self, letter: &DeadLetter) -> bool {
        let wanted = |filter: bool, equal: bool| !filter || equal;
        wanted(self.customer_id.is_some(), self.customer_id == letter.customer_id)
            && wanted(self.endpoint_id.is_some(), self.endpoint_id == letter.endpoint_id)
            && wanted(self.reason.is_some(), self.reason == Some(letter.reason))
    }
}
