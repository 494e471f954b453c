//! A dry run: a worker is asked for the request that a job would send. It travels as a message of its
//! own, because only workers may open secrets.

use serde::{Deserialize, Serialize};

use crate::domain::shown_request::ShownRequest;
use crate::domain::timestamp::Timestamp;

/// What is asked for, in the place of a delivery's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DryRun {
    /// Names the answer; nobody else comes up with it.
    pub id: String,
    /// The time of the call, as it is signed; the worker's own by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Nobody waits for an answer after then.
    pub until: Timestamp,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DryRunAnswer {
    /// The request, with its secrets masked.
    Request(ShownRequest),
    /// Why there is none.
    Problem(String),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct State {
    dry_run: DryRun,
}

impl DryRun {
    /// The dry run that a message's state asks for, if it does.
    pub fn of(state: &[u8]) -> Option<Self> {
        serde_json::from_slice(state).ok().map(|state: State| state.dry_run)
    }

    /// The state of the message that asks for it.
    ///
    /// # Errors
    /// Never: all of it can be written as JSON.
    pub fn to_state(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(&State { dry_run: self.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dry_run_is_told_from_a_delivery_by_its_state() {
        let until = Timestamp::from_millis(1000);
        let dry_run = DryRun { id: "d".to_owned(), at: None, until };
        assert_eq!(DryRun::of(&dry_run.to_state().unwrap()), Some(dry_run));
        let delivery =
            br#"{"jobId":"j","round":1,"attempt":1,"hops":0,"acceptedAt":"2026-11-23T10:00:00Z"}"#;
        assert_eq!(DryRun::of(delivery), None);
    }
}
