//! The life of one job at one endpoint, as it travels with the message.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::fan_out::Child;
use crate::domain::ids::{CustomerId, EndpointId, JobId};
use crate::domain::outcome::Attempt;
use crate::domain::timestamp::Timestamp;
use crate::domain::version::Known;

/// How many attempts the state remembers: it has to fit one message attribute of 4 KiB.
const REMEMBERED: usize = 5;
/// Longest piece of an attempt's detail in the state, in bytes.
const MAX_DETAIL: usize = 300;

/// What is known of a delivery between two attempts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryState {
    /// The version of its form.
    #[serde(default, skip_serializing)]
    pub version: Known,
    /// The idempotency key, fixed when the message was first received.
    pub job_id: JobId,
    /// The round, from 1; a replay begins the next.
    pub round: u32,
    /// Attempts made in this round.
    pub attempt: u32,
    /// How often the job was put back without an attempt.
    pub hops: u32,
    /// How often in a row a fault of ours put it back.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub faults: u32,
    /// How often in a row a limit put it back.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub waits: u32,
    /// When the queue accepted the job, or the replay began the round.
    pub accepted_at: Timestamp,
    /// When its turn in its group came, where others were before it: its age counts from then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn_at: Option<Timestamp>,
    /// What makes it the child of a job that fanned out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub child: Option<Child>,
    /// The last attempts of this round, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Attempt>,
}

impl DeliveryState {
    /// The state of a job that was never attempted.
    pub fn first(job_id: JobId, accepted_at: Timestamp) -> Self {
        Self {
            version: Known,
            job_id,
            round: 1,
            attempt: 0,
            hops: 0,
            faults: 0,
            waits: 0,
            accepted_at,
            turn_at: None,
            child: None,
            history: Vec::new(),
        }
    }

    /// When the longest age that a policy allows begins to count.
    pub fn age_begins(&self) -> Timestamp {
        self.turn_at.unwrap_or(self.accepted_at)
    }

    /// Whether it is a replay that has not been attempted yet.
    pub fn begins_again(&self) -> bool {
        self.round > 1 && self.attempt == 0
    }

    /// The state after one more attempt.
    pub fn after(mut self, mut attempt: Attempt) -> Self {
        self.attempt = attempt.number;
        (self.faults, self.waits) = (0, 0);
        truncate(&mut attempt.detail, MAX_DETAIL);
        self.history.push(attempt);
        let surplus = self.history.len().saturating_sub(REMEMBERED);
        self.history.drain(..surplus);
        self
    }

    /// The state after the job was put back without an attempt.
    pub fn parked(mut self) -> Self {
        self.hops = self.hops.saturating_add(1);
        self.faults = 0;
        self
    }

    /// The state after a limit put the job back.
    pub fn limited(self) -> Self {
        let waits = self.waits.saturating_add(1);
        Self { waits, ..self.parked() }
    }

    /// The state after a fault of ours put the job back.
    pub fn faulted(mut self) -> Self {
        let faults = self.faults.saturating_add(1);
        self = self.parked();
        self.faults = faults;
        self
    }

    /// The state with which a replay begins: fresh attempts and age, the same id.
    pub fn next_round(self, now: Timestamp) -> Self {
        Self {
            round: self.round + 1,
            attempt: 0,
            hops: 0,
            faults: 0,
            waits: 0,
            accepted_at: now,
            turn_at: None,
            history: Vec::new(),
            ..self
        }
    }
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Shortens `text` to at most `max` bytes without cutting a character.
pub fn truncate(text: &mut String, max: usize) {
    if text.len() > max {
        text.truncate(text.floor_char_boundary(max));
    }
}

/// What tells one round of one delivery from every other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DeliveryKey {
    /// Whose endpoint.
    pub customer_id: CustomerId,
    /// Which endpoint.
    pub endpoint_id: EndpointId,
    /// Which job.
    pub job_id: JobId,
    /// Which round, from 1.
    pub round: u32,
    /// The queue's id of the producer's message, of a child its parent's: the same through retries,
    /// copies and rounds. A producer that enqueues an id again makes another delivery.
    pub message_id: String,
}

impl DeliveryKey {
    /// A short name for the delivery's dead letter, the same however often it is recorded.
    pub fn dead_letter_id(&self) -> String {
        let round = self.round.to_string();
        dead_letter_id(&[
            self.customer_id.as_str(),
            self.endpoint_id.as_str(),
            self.job_id.as_str(),
            &self.message_id,
            &round,
        ])
    }
}

impl DeliveryKey {
    /// A short name for what is recorded of the delivery: that of its dead letter, but for its
    /// beginning.
    pub fn record_id(&self) -> String {
        self.dead_letter_id().replacen("dl_", "dv_", 1)
    }
}

/// A short name for the dead letter of a message that names no delivery.
pub fn dead_letter_id_of_message(message_id: &str, round: u32) -> String {
    dead_letter_id(&["message", message_id, &round.to_string()])
}

/// A short name for a dead letter that `fields` tell from every other.
pub fn dead_letter_id(fields: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for field in fields {
        // No id holds a NUL, so no two lists of fields give the same bytes.
        hasher.update(field.as_bytes());
        hasher.update([0]);
    }
    let digest: [u8; 32] = hasher.finalize().into();
    digest[..12].iter().fold("dl_".to_owned(), |id, byte| id + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::outcome::AttemptOutcome;

    #[test]
    fn the_state_of_a_long_delivery_fits_an_attribute_of_4_kib() {
        let mut state =
            DeliveryState::first("j".repeat(256).parse().unwrap(), Timestamp::from_millis(0));
        state.child = Some(Child {
            endpoint_id: "e".repeat(128).parse().unwrap(),
            parent_message_id: "m".repeat(40),
        });
        for number in 1..=1000 {
            state = state.after(Attempt {
                number,
                at: Timestamp::from_millis(i64::MAX),
                duration_ms: u64::MAX,
                address: Some("[2001:4860:4860:1111:2222:3333:4444:8888]:65535".into()),
                outcome: AttemptOutcome::Answered {
                    status: 503,
                    retry_after_ms: Some(u64::MAX),
                    never_again: false,
                },
                detail: "é".repeat(2000),
            });
        }
        assert_eq!(state.attempt, 1000);
        assert!(serde_json::to_vec(&state).unwrap().len() <= 4096);
    }

    #[test]
    fn a_state_of_before_there_were_children_is_read_and_written_as_it_was() {
        let old = r#"{"jobId":"j","round":2,"attempt":7,"hops":1,"acceptedAt":"2026-11-23T10:00:00.000Z"}"#;
        let state: DeliveryState = serde_json::from_str(old).unwrap();
        assert_eq!(state.child, None);
        assert!(!serde_json::to_string(&state).unwrap().contains("child"));
    }
}
