//! A resend: a delivery whose job is kept is sent again, as its next round. It is ordered by a message
//! of its own, because only workers may open what is kept. A worker puts the job in the order's place.

use serde::{Deserialize, Serialize};

use crate::domain::delivery::{DeliveryKey, DeliveryState, truncate};
use crate::domain::delivery_record::DeliveryRecord;
use crate::domain::fan_out::Child;
use crate::domain::timestamp::Timestamp;

/// What is ordered, in the place of a delivery's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResendOrder {
    /// Which recorded delivery.
    pub delivery_id: String,
    /// Who ordered it.
    pub who: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct State {
    resend: ResendOrder,
}

/// Longest name of who orders, and of a delivery, in bytes: whoever may send to the queue may order.
const LONGEST_NAME: usize = 256;

impl ResendOrder {
    /// An order of `who`, as far as the name is kept.
    pub fn new(delivery_id: String, who: &str) -> Self {
        let mut who = who.to_owned();
        truncate(&mut who, LONGEST_NAME);
        Self { delivery_id, who }
    }

    /// Whether its names are no longer than those that are given here.
    pub fn is_short(&self) -> bool {
        self.delivery_id.len() <= LONGEST_NAME && self.who.len() <= LONGEST_NAME
    }

    /// The state of the message that orders it.
    ///
    /// # Errors
    /// Never: all of it can be written as JSON.
    pub fn to_state(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(&State { resend: self.clone() })
    }
}

/// What became of an order. The name is part of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResendOutcome {
    /// It was given.
    Ordered,
    /// The job is in the queue, as the next round.
    Sent,
    /// Nothing was sent: the next round is there already.
    AlreadySent,
    /// Nothing was sent: the record or the kept job is not there any more.
    Gone,
    /// Nothing was sent: the customer's tenant key was shredded.
    TenantKeyShredded,
    /// Nothing was sent: the kept job does not open. It was altered, or belongs to another delivery.
    BodyNotOpened,
    /// Nothing was sent: workers died of the order, or could not do it for too long.
    CrashLoop,
}

impl ResendOutcome {
    /// Every outcome.
    pub const ALL: [Self; 7] = [
        Self::Ordered,
        Self::Sent,
        Self::AlreadySent,
        Self::Gone,
        Self::TenantKeyShredded,
        Self::BodyNotOpened,
        Self::CrashLoop,
    ];

    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ordered => "ordered",
            Self::Sent => "sent",
            Self::AlreadySent => "already_sent",
            Self::Gone => "gone",
            Self::TenantKeyShredded => "tenant_key_shredded",
            Self::BodyNotOpened => "body_not_opened",
            Self::CrashLoop => "crash_loop",
        }
    }
}

/// A line of a delivery's audit: who had it sent again, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResendLine {
    /// When.
    pub at: Timestamp,
    /// Who ordered it.
    pub who: String,
    /// What.
    pub what: ResendOutcome,
}

impl DeliveryRecord {
    fn key_of_round(&self, round: u32) -> DeliveryKey {
        DeliveryKey {
            customer_id: self.customer_id.clone(),
            endpoint_id: self.endpoint_id.clone(),
            job_id: self.job_id.clone(),
            round,
            message_id: self.message_id.clone(),
        }
    }

    /// The name of the delivery's next round: however often it is sent again, the same.
    pub fn next_round_id(&self) -> String {
        self.key_of_round(self.round + 1).record_id()
    }

    /// The state with which the next round begins. It names the endpoint and the producer's message, as
    /// a child's does, so that all copies of the round share one fence, that of a replay of its dead
    /// letter included.
    pub fn resent(&self, now: Timestamp) -> DeliveryState {
        let child = Child {
            endpoint_id: self.endpoint_id.clone(),
            parent_message_id: self.message_id.clone(),
        };
        let ended = DeliveryState {
            round: self.round,
            child: Some(child),
            ..DeliveryState::first(self.job_id.clone(), self.accepted_at)
        };
        ended.next_round(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_orders_is_kept_as_far_as_the_name_is_short() {
        let order = ResendOrder::new("dv_1".to_owned(), &"é".repeat(200));
        assert!(order.who.len() == 256 && order.is_short());
        assert!(serde_json::from_slice::<DeliveryState>(&order.to_state().unwrap()).is_err());
    }

    #[test]
    fn an_outcome_is_stored_under_its_stable_name() {
        for outcome in ResendOutcome::ALL {
            assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.name());
        }
    }
}
