//! What can be made out in a message that is not a job.

use serde::Serialize;
use serde_json::Value;

use crate::domain::ids::{CustomerId, EndpointId, JobId};
use crate::domain::job::MAX_JOB;

/// The ids that can be made out in a message that is not a job, for the dead-letter index.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Traces {
    /// The customer, if named.
    pub customer_id: Option<CustomerId>,
    /// The endpoint, if named.
    pub endpoint_id: Option<EndpointId>,
    /// The job's id, if named.
    pub job_id: Option<JobId>,
    /// The event's type, if named.
    pub event_type: Option<String>,
}

impl Traces {
    /// Whatever ids `bytes` name in the places where a job names them.
    pub fn of(bytes: &[u8]) -> Self {
        if bytes.len() > MAX_JOB {
            return Self::default();
        }
        let Ok(value) = serde_json::from_slice::<Value>(bytes) else {
            return Self::default();
        };
        let text = |key: &str| value.get(key).and_then(|v| v.as_str());
        // An envelope's id is not its job's.
        let is_envelope = ["specversion", "Type"].iter().any(|key| value.get(key).is_some());
        Self {
            customer_id: text("customerId").and_then(|t| t.parse().ok()),
            endpoint_id: text("endpointId").and_then(|t| t.parse().ok()),
            job_id: text("id").filter(|_| !is_envelope).and_then(|t| t.parse().ok()),
            event_type: text("type").filter(|_| !is_envelope).map(str::to_owned),
        }
    }
}
