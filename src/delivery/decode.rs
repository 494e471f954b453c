//! Received → decoded: the message is a job, and its state is known.

use crate::domain::delivery::{DeliveryKey, DeliveryState};
use crate::domain::field::FieldError;
use crate::domain::ids::JobId;
use crate::domain::job::{Job, Undecodable};
use crate::domain::reason::Reason;
use crate::ports::queue::Received;

/// A message that is a job.
pub struct Decoded<'m> {
    /// The message.
    pub message: &'m Received,
    /// The job.
    pub job: Job,
    /// What is known of its delivery.
    pub state: DeliveryState,
    /// What tells this round of the delivery from every other.
    pub key: DeliveryKey,
}

/// Decodes a message.
pub fn decode(message: &Received, max_receives: u32) -> Result<Decoded<'_>, Undecodable> {
    let refuse =
        |reason, problem: String| Undecodable { reason, error: FieldError::new("", problem) };
    if message.receive_count > max_receives {
        let problem = format!("received {} times without being settled", message.receive_count - 1);
        return Err(refuse(Reason::CrashLoop, problem));
    }
    let job = Job::decode(&message.body)?;
    let state = match &message.state {
        Some(state) => serde_json::from_slice(state).map_err(|e| {
            refuse(Reason::InvalidJob, format!("its delivery state is unreadable: {e}"))
        })?,
        None => {
            let named: Result<JobId, _> =
                job.id.clone().map_or_else(|| message.message_id.parse(), Ok);
            let id = named.map_err(|e| refuse(Reason::InvalidJob, e.to_string()))?;
            DeliveryState::first(id, message.sent_at)
        }
    };
    let key = DeliveryKey {
        customer_id: job.customer_id.clone(),
        endpoint_id: job.endpoint_id.clone(),
        job_id: state.job_id.clone(),
        round: state.round,
        message_id: message.message_id.clone(),
    };
    Ok(Decoded { message, job, state, key })
}
