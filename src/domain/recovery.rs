//! A recovery: a replay that also sends the failures again that have no dead letter any more, from the
//! jobs that were kept of them.

use serde::{Deserialize, Serialize};

use crate::domain::delivery_record::{DeliveryFilter, DeliveryRecord, DeliveryStatus};
use crate::domain::kept_body::BodyFate;
use crate::domain::outcome::{AttemptOutcome, Phase};
use crate::domain::replay::Request;
use crate::domain::retry_policy::LONGEST_AGE;
use crate::domain::timestamp::Timestamp;

/// How far a recovery has come over the recorded deliveries, which it goes through before the letters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KeptPlace {
    /// It has not begun.
    #[default]
    Start,
    /// This place in the list was dealt with last.
    After(String),
    /// There is nothing left to look at.
    End,
}

impl KeptPlace {
    /// Whether it has not begun.
    pub fn is_start(&self) -> bool {
        *self == Self::Start
    }
}

impl Request {
    /// The recorded deliveries among which the failures lie; `None` where none are asked for. They are
    /// listed by the time of acceptance, and chosen by that of giving up.
    pub fn recorded(&self) -> Option<DeliveryFilter> {
        let customer_id = self.filter.customer_id.clone().filter(|_| self.kept_bodies)?;
        Some(DeliveryFilter {
            endpoint_id: self.filter.endpoint_id.clone(),
            event_type: self.filter.event_type.clone(),
            status: Some(DeliveryStatus::DeadLetter),
            reason: self.filter.reason,
            since: self.filter.since.map(|since| since.minus(LONGEST_AGE)),
            ..DeliveryFilter::of(customer_id)
        })
    }

    /// Whether a recorded delivery is one of the failures of before `begun` that are asked for, and its
    /// job is kept.
    pub fn recovers(&self, record: &DeliveryRecord, begun: Timestamp) -> bool {
        let filter = self.filter.clone().before(begun);
        let last = |phase: Phase| record.last == AttemptOutcome::Failed { phase };
        record.body == Some(BodyFate::Kept)
            && self.recorded().is_some_and(|recorded| recorded.matches(record))
            && filter.phase.is_none_or(last)
            && filter.since.is_none_or(|since| since <= record.last_at)
            && filter.until.is_none_or(|until| record.last_at < until)
            && filter.min_attempts.is_none_or(|least| least <= record.attempts)
            && filter.max_attempts.is_none_or(|most| record.attempts <= most)
    }
}
