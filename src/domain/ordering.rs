//! Order: the jobs of one ordering group go to an endpoint one after another, as they were enqueued.
//!
//! The first that is not settled yet, the head, holds its group: through retries, waits and crashes
//! nothing behind it is attempted. Once it is delivered or given up, the next one is the head.

use std::fmt;
use std::sync::Arc;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use sha2::{Digest, Sha256};

use crate::domain::field::FieldError;
use crate::domain::ids::{CustomerId, EndpointId, OrderingGroup};
use crate::domain::job::{Job, Undecodable};
use crate::domain::reason::Reason;

/// What a queue keeps in order, by its name: that of one customer, one endpoint (or of the jobs that
/// are to fan out) and one ordering group. At most 128 letters, digits and punctuation, as an SQS
/// message group.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MessageGroup(Arc<str>);

impl MessageGroup {
    /// The group of jobs that name a customer, an ordering group and perhaps an endpoint.
    pub fn of(
        customer: &CustomerId,
        endpoint: Option<&EndpointId>,
        ordering: &OrderingGroup,
    ) -> Self {
        let all = Self(hashed("group_", &[customer.as_str(), ordering.as_str()]).into());
        endpoint.map_or_else(|| all.clone(), |endpoint| all.of_child(endpoint))
    }

    /// The group of the children that go to one endpoint of the parents in this group: where we
    /// named it, that of the jobs which name the endpoint themselves.
    pub fn of_child(&self, endpoint: &EndpointId) -> Self {
        Self(hashed("group_", &[self.as_str(), endpoint.as_str()]).into())
    }

    /// A group by the name that a queue has for it.
    pub fn named(name: &str) -> Self {
        Self(name.into())
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MessageGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name under which a queue that drops what is sent twice (SQS FIFO, within five minutes) knows
/// the first round of a job; `None` if the job has no id of its own.
pub fn deduplication_id(job: &Job) -> Option<String> {
    let endpoint = job.endpoint_id.as_ref().map_or("", EndpointId::as_str);
    let id = job.id.as_ref()?;
    Some(hashed("job_", &[job.customer_id.as_str(), endpoint, id.as_str(), "1"]))
}

/// The same for the child of a job: every copy that another receipt of its parent makes has it.
pub fn child_deduplication_id(parent_message: &str, child: &str, round: u32) -> String {
    hashed("child_", &[parent_message, child, &round.to_string()])
}

/// Refuses a job that names an ordering group where the queue keeps no order.
///
/// # Errors
/// If it does.
pub fn check(job: &Job, keeps_order: bool) -> Result<(), Undecodable> {
    if job.ordering_group.is_none() || keeps_order {
        return Ok(());
    }
    let problem = "the queue keeps no order: it is a standard queue of Amazon SQS";
    let error = FieldError::new("orderingGroup", problem);
    Err(Undecodable { reason: Reason::OrderNotKept, error })
}

fn hashed(begin: &str, fields: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for field in fields {
        // No id holds a NUL, so no two lists of fields give the same bytes.
        hasher.update(field.as_bytes());
        hasher.update([0]);
    }
    let digest: [u8; 32] = hasher.finalize().into();
    begin.to_owned() + &BASE64_URL_SAFE_NO_PAD.encode(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(json: &str) -> Job {
        Job::decode(json.as_bytes()).unwrap()
    }

    fn group(json: &str) -> MessageGroup {
        job(json).message_group().unwrap()
    }

    #[test]
    fn a_group_is_of_one_customer_and_one_endpoint() {
        let groups = [
            group(r#"{"customerId":"a","endpointId":"e","orderingGroup":"g"}"#),
            group(r#"{"customerId":"a","endpointId":"f","orderingGroup":"g"}"#),
            group(r#"{"customerId":"b","endpointId":"e","orderingGroup":"g"}"#),
            group(r#"{"customerId":"a","endpointId":"e","orderingGroup":"h"}"#),
            group(r#"{"customerId":"a","orderingGroup":"g"}"#),
        ];
        let distinct: std::collections::HashSet<_> = groups.iter().collect();
        assert_eq!(distinct.len(), groups.len());
        assert_eq!(
            groups[4].of_child(&"e".parse().unwrap()),
            groups[0],
            "children and others meet"
        );
        for group in &groups {
            let allowed = |c: char| c.is_ascii_alphanumeric() || c.is_ascii_punctuation();
            assert!(group.as_str().len() <= 128 && group.as_str().chars().all(allowed));
        }
        assert_eq!(job(r#"{"customerId":"a","endpointId":"e"}"#).message_group(), None);
    }

    #[test]
    fn what_is_sent_twice_is_known_by_its_id_and_where_it_goes() {
        let id = |json| deduplication_id(&job(json));
        let first = id(r#"{"customerId":"a","endpointId":"e","id":"1","data":1}"#);
        assert_eq!(first, id(r#"{"customerId":"a","endpointId":"e","id":"1","data":2}"#));
        for other in [
            r#"{"customerId":"a","endpointId":"f","id":"1"}"#,
            r#"{"customerId":"b","endpointId":"e","id":"1"}"#,
            r#"{"customerId":"a","id":"1"}"#,
            r#"{"customerId":"a","endpointId":"e"}"#,
        ] {
            assert_ne!(first, id(other), "{other}");
        }
        assert_ne!(child_deduplication_id("m", "c", 1), child_deduplication_id("m", "c", 2));
    }

    #[test]
    fn a_job_that_asks_for_order_is_refused_where_there_is_none() {
        let ordered = job(r#"{"customerId":"a","endpointId":"e","orderingGroup":"g"}"#);
        assert_eq!(check(&ordered, true), Ok(()));
        let refused = check(&ordered, false).unwrap_err();
        assert_eq!((refused.reason, &*refused.error.path), (Reason::OrderNotKept, "orderingGroup"));
        assert_eq!(check(&job(r#"{"customerId":"a","endpointId":"e"}"#), false), Ok(()));
    }
}
