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

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct State {
    dry_run: DryRun,
}

impl DryRun {
    /// The state of the message that asks for it.
    ///
    /// # Errors
    /// Never: all of it can be written as JSON.
    pub fn to_state(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(&State { dry_run: self.clone() })
    }
}
