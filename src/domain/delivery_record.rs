//! What is kept of deliveries to be looked at: a header for each round of one, and its attempts.

use serde::{Deserialize, Serialize};

use crate::domain::decide::Disposition;
use crate::domain::delivery::{DeliveryKey, truncate};
use crate::domain::ids::{CustomerId, EndpointId, JobId};
use crate::domain::kept_body::BodyFate;
use crate::domain::outcome::{Attempt, AttemptOutcome};
use crate::domain::reason::Reason;
use crate::domain::shown_request::ShownRequest;
use crate::domain::timestamp::Timestamp;

/// Longest masked request that is kept with an attempt, in bytes of JSON.
pub const MAX_REQUEST: usize = 2048;

/// Which attempts are recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recording {
    /// None.
    #[default]
    None,
    /// Those that fail, and what ends a delivery of which one failed, in an earlier round too.
    Failures,
    /// All.
    All,
}

impl Recording {
    /// Whether an attempt of this round is recorded.
    pub fn wants(self, attempt: &Attempt, round: u32) -> bool {
        match self {
            Self::None => false,
            Self::Failures => !attempt.outcome.is_success() || attempt.number > 1 || round > 1,
            Self::All => true,
        }
    }
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// The endpoint accepted it.
    Delivered,
    /// It is tried again.
    Retrying,
    /// It was given up.
    DeadLetter,
}

impl DeliveryStatus {
    /// Every status.
    pub const ALL: [Self; 3] = [Self::Delivered, Self::Retrying, Self::DeadLetter];

    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Retrying => "retrying",
            Self::DeadLetter => "dead_letter",
        }
    }
}

impl std::str::FromStr for DeliveryStatus {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|status| status.name() == text).ok_or_else(|| {
            format!("{text:?} is no status: expected delivered, retrying or dead_letter")
        })
    }
}

/// The header of one round of a delivery, as its last recorded attempt left it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryRecord {
    /// Its name. Its dead letter, if it has one, has the same with `dl_` before it.
    pub id: String,
    /// Whose endpoint.
    pub customer_id: CustomerId,
    /// Which endpoint.
    pub endpoint_id: EndpointId,
    /// Which job.
    pub job_id: JobId,
    /// The queue's id of the message.
    pub message_id: String,
    /// Which round.
    pub round: u32,
    /// The event's type, where the job names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// When the queue accepted the job, or the replay began the round.
    pub accepted_at: Timestamp,
    /// Where it stands.
    pub status: DeliveryStatus,
    /// Why it was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// When it is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
    /// Attempts made.
    pub attempts: u32,
    /// When the last of them began.
    pub last_at: Timestamp,
    /// What the last of them gave.
    pub last: AttemptOutcome,
    /// What became of its job, where the settings ask for it to be kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<BodyFate>,
}

/// An attempt to be recorded, with the header that it leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedAttempt {
    /// The header.
    pub header: DeliveryRecord,
    /// The attempt.
    pub attempt: AttemptRow,
    /// Until when both are kept.
    pub until: Timestamp,
}

/// One attempt, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttemptRow {
    /// What happened.
    #[serde(flatten)]
    pub attempt: Attempt,
    /// What was sent, in JSON, its secret parts masked, without the body; the beginning of it, if it is
    /// long.
    pub request: String,
}

impl AttemptRow {
    /// An attempt with what was sent.
    pub fn new(attempt: Attempt, request: &ShownRequest) -> Self {
        let mut request = serde_json::to_string(request).unwrap_or_default();
        truncate(&mut request, MAX_REQUEST);
        Self { attempt, request }
    }
}

impl DeliveryRecord {
    /// The header that an attempt leaves.
    pub fn after(
        key: &DeliveryKey,
        event_type: Option<String>,
        accepted_at: Timestamp,
        attempt: &Attempt,
        disposition: Disposition,
    ) -> Self {
        let (status, reason, retry_at) = match disposition {
            Disposition::Done => (DeliveryStatus::Delivered, None, None),
            Disposition::RetryAt(at) => (DeliveryStatus::Retrying, None, Some(at)),
            Disposition::DeadLetter(reason) => (DeliveryStatus::DeadLetter, Some(reason), None),
        };
        Self {
            id: key.record_id(),
            customer_id: key.customer_id.clone(),
            endpoint_id: key.endpoint_id.clone(),
            job_id: key.job_id.clone(),
            message_id: key.message_id.clone(),
            round: key.round,
            event_type,
            accepted_at,
            status,
            reason,
            retry_at,
            attempts: attempt.number,
            last_at: attempt.at,
            last: attempt.outcome.clone(),
            body: None,
        }
    }

    /// Its place in the order of a list: sorts as text by the time of acceptance, then by id.
    pub fn position(&self) -> String {
        crate::domain::dead_letter::position(self.accepted_at, &self.id)
    }

    /// The id of the dead letter that it may have become.
    pub fn dead_letter_id(&self) -> String {
        self.id.replacen("dv_", "dl_", 1)
    }
}

/// Which deliveries are meant: those that everything which is set lets through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// This customer's.
    pub customer_id: CustomerId,
    /// Only this endpoint's.
    pub endpoint_id: Option<EndpointId>,
    /// Only of this job.
    pub job_id: Option<JobId>,
    /// Only of this event type.
    pub event_type: Option<String>,
    /// Only those that stand so.
    pub status: Option<DeliveryStatus>,
    /// Only those given up with this reason.
    pub reason: Option<Reason>,
    /// Only those whose last attempt was answered with this HTTP status.
    pub http_status: Option<u16>,
    /// Only those accepted at this time or later.
    pub since: Option<Timestamp>,
    /// Only those accepted before this time.
    pub until: Option<Timestamp>,
}

impl DeliveryFilter {
    /// All deliveries of a customer.
    pub fn of(customer_id: CustomerId) -> Self {
        Self {
            customer_id,
            endpoint_id: None,
            job_id: None,
            event_type: None,
            status: None,
            reason: None,
            http_status: None,
            since: None,
            until: None,
        }
    }

    /// The status of all that it lets through, where that is one of those that were not delivered: a
    /// reason has only what was given up.
    pub fn undelivered(&self) -> Option<DeliveryStatus> {
        match (self.status, self.reason) {
            (Some(DeliveryStatus::Delivered), _) => None,
            (Some(status @ (DeliveryStatus::Retrying | DeliveryStatus::DeadLetter)), _) => {
                Some(status)
            }
            (None, reason) => reason.map(|_| DeliveryStatus::DeadLetter),
        }
    }

    /// Whether the filter lets `record` through.
    pub fn matches(&self, record: &DeliveryRecord) -> bool {
        let answered = |wanted: u16| match record.last {
            AttemptOutcome::Answered { status, .. } => status == wanted,
            AttemptOutcome::Failed { .. } => false,
        };
        self.customer_id == record.customer_id
            && self.endpoint_id.as_ref().is_none_or(|id| *id == record.endpoint_id)
            && self.job_id.as_ref().is_none_or(|id| *id == record.job_id)
            && (self.event_type.is_none() || self.event_type == record.event_type)
            && self.status.is_none_or(|status| status == record.status)
            && (self.reason.is_none() || self.reason == record.reason)
            && self.http_status.is_none_or(answered)
            && self.since.is_none_or(|since| since <= record.accepted_at)
            && self.until.is_none_or(|until| record.accepted_at < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_of_which_a_failure_was_recorded_is_seen_to_end() {
        let attempt = |number, status| Attempt {
            number,
            at: Timestamp::from_millis(0),
            duration_ms: 1,
            address: None,
            outcome: AttemptOutcome::Answered { status, retry_after_ms: None, never_again: false },
            detail: String::new(),
        };
        let cases = [
            (1, 1, 204, false),
            (1, 1, 500, true),
            (1, 2, 204, true),
            (1, 2, 500, true),
            (2, 1, 204, true),
        ];
        for (round, number, status, recorded) in cases {
            let attempt = attempt(number, status);
            assert_eq!(Recording::Failures.wants(&attempt, round), recorded, "{number} {status}");
            assert!(
                Recording::All.wants(&attempt, round) && !Recording::None.wants(&attempt, round)
            );
        }
    }
}
