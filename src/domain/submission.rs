//! What is remembered of a job that came over the API, so that the same one sent again is taken once.

use std::time::Duration;

use crate::domain::dead_letter::job_sha256;
use crate::domain::ids::{CustomerId, EndpointId, JobId};
use crate::domain::job::Job;

/// How long a job's id is remembered.
pub const REMEMBERED: Duration = Duration::from_secs(24 * 3600);
/// After this, whoever had begun to send a job is taken for dead.
pub const GIVEN_UP: Duration = Duration::from_secs(30);

/// A job that names an id, as it was submitted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Submission {
    /// Whose endpoint is called.
    pub customer_id: CustomerId,
    /// Which; `None` if the job fans out.
    pub endpoint_id: Option<EndpointId>,
    /// The idempotency key.
    pub job_id: JobId,
    /// SHA-256 of the job's bytes, in hexadecimal.
    pub sha256: String,
}

impl Submission {
    /// The submission of a job that came as `bytes`; `None` if it names no id.
    pub fn of(job: &Job, bytes: &[u8]) -> Option<Self> {
        Some(Self {
            customer_id: job.customer_id.clone(),
            endpoint_id: job.endpoint_id.clone(),
            job_id: job.id.clone()?,
            sha256: job_sha256(bytes),
        })
    }

    /// What tells it from every other; no id holds a line break.
    pub fn key(&self) -> String {
        let endpoint = self.endpoint_id.as_ref().map_or("", EndpointId::as_str);
        format!("{}\n{endpoint}\n{}", self.customer_id, self.job_id)
    }
}

/// What is known of a submission when it is begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// Nothing: it is the caller's to send.
    New,
    /// Somebody else is about to send it.
    Busy,
    /// It was sent, as this message.
    Done(String),
    /// Another job of the same id was sent, or is about to be.
    Different,
}
