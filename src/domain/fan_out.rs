//! Fan-out: a job that names no endpoint is the parent of a child for each endpoint that wants it.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::delivery::dead_letter_id;
use crate::domain::ids::{CustomerId, EndpointId, InvalidId, JobId, MAX_JOB_ID};

/// Most endpoints that one job goes to: the list of the longest ids fits a DynamoDB item of 400 KB
/// (Amazon DynamoDB Developer Guide, "Quotas in Amazon DynamoDB").
pub const MAX_FAN_OUT: usize = 2_500;

/// What makes a message the child of a job that fanned out. Its body is the parent's, which names no
/// endpoint. A replay to another endpoint is one too, of the job that it replays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Child {
    /// Which endpoint is called.
    pub endpoint_id: EndpointId,
    /// The queue's id of the parent's message: every copy of the child meets the same fence by it.
    pub parent_message_id: String,
}

/// What tells one round of one parent from every other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FanOutKey {
    /// Whose endpoints.
    pub customer_id: CustomerId,
    /// Which job.
    pub job_id: JobId,
    /// Which round, from 1.
    pub round: u32,
    /// The queue's id of the producer's message.
    pub message_id: String,
}

impl FanOutKey {
    /// A short name for the parent's dead letter, the same however often it is recorded.
    pub fn dead_letter_id(&self) -> String {
        // One field fewer than a delivery's: never the same list.
        let round = self.round.to_string();
        dead_letter_id(&[self.customer_id.as_str(), self.job_id.as_str(), &self.message_id, &round])
    }
}

/// The id of the child of `parent` for `endpoint`: `parent/endpoint`, or a hash of both where that
/// would be too long or hold a dot, which Standard Webhooks forbids in an id.
///
/// No endpoint's id holds a `/`, so the last one divides the two; a hash holds none at all.
///
/// # Errors
/// Never: what it makes is a job's id. It says so for a caller that cannot know.
pub fn child_id(parent: &JobId, endpoint: &EndpointId) -> Result<JobId, InvalidId> {
    let plain = format!("{parent}/{endpoint}");
    if plain.len() <= MAX_JOB_ID && !plain.contains('.') {
        return plain.parse();
    }
    let digest: [u8; 32] = Sha256::digest(plain.as_bytes()).into();
    format!("child_{}", BASE64_URL_SAFE_NO_PAD.encode(digest)).parse()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::*;

    fn child(parent: &str, endpoint: &str) -> JobId {
        child_id(&parent.parse().unwrap(), &endpoint.parse().unwrap()).unwrap()
    }

    #[test]
    fn a_child_is_known_by_its_parent_and_its_endpoint() {
        assert_eq!(child("evt_1", "orders").as_str(), "evt_1/orders");
        assert_ne!(child("a/b", "c"), child("a", "b"));
        let longest = child(&"j".repeat(256), &"e".repeat(128));
        assert_eq!(longest.as_str().len(), "child_".len() + 43);
        assert_ne!(longest, child(&"j".repeat(256), &"e".repeat(127)));
    }

    proptest! {
        #[test]
        fn no_two_children_share_an_id_and_none_holds_a_dot(
            a in "[!-~]{1,256}", b in "[!-~]{1,256}",
            x in "[A-Za-z0-9_.:@-]{1,128}", y in "[A-Za-z0-9_.:@-]{1,128}",
        ) {
            let (first, second) = (child(&a, &x), child(&b, &y));
            prop_assert!(!first.as_str().contains('.'));
            prop_assert_eq!(first == second, a == b && x == y);
            // Where a divider could be taken for a part of either.
            prop_assert!(child("a", "b:c") != child("a/b", "c"));
        }
    }
}
