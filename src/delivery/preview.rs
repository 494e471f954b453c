//! The exact request that a job would send, without sending it.

use tokio::time::Instant;

use super::decode::{Message, NotDecoded, decode, too_new};
use super::grants::Learning;
use super::{Halt, Pipeline, admit, sign};
use crate::domain::job::Undecodable;
use crate::domain::request::OutboundRequest;
use crate::domain::senders::Sender;
use crate::domain::timestamp::Timestamp;
use crate::domain::wait::Wait;
use crate::ports::queue::{Handle, Received};

/// Why there is no request to show.
#[derive(Debug, thiserror::Error)]
pub enum PreviewError {
    /// The job would be dead-lettered without an attempt.
    #[error("the job would be dead-lettered as {reason}: {message}; {advice}", advice = reason.advice())]
    DeadLetter {
        /// The stable code.
        reason: crate::domain::reason::Reason,
        /// What is wrong.
        message: String,
    },
    /// The job would wait.
    #[error("the job would wait until {0}: {1}")]
    Parked(Timestamp, Wait),
    /// The job names no endpoint.
    #[error(
        "the job names no endpoint, so it goes to each that wants it: {0}; name one as endpointId to see its request"
    )]
    FansOut(String),
    /// Our own fault.
    #[error(transparent)]
    Ours(#[from] crate::ports::Error),
}

/// A job as a message that was never sent.
pub(super) fn looked_at(id: &str, job: &[u8], now: Timestamp) -> Received {
    Received {
        handle: Handle("preview".into()),
        message_id: id.to_owned(),
        body: job.to_vec().into(),
        state: None,
        sent_at: now,
        receive_count: 1,
        hops: 0,
        moved_back: None,
        sent_by: Sender::Ours,
        group: None,
    }
}

impl Pipeline {
    /// Builds and signs the request of a job as if it were attempted at `now`.
    pub async fn preview(
        &self,
        job: &[u8],
        now: Timestamp,
    ) -> Result<OutboundRequest, PreviewError> {
        let message = looked_at("msg_preview", job, now);
        let decoded = decode(&message, &self.circumstances(1, now)).map_err(|not| match not {
            NotDecoded::Undecodable(Undecodable { reason, error }) => {
                PreviewError::DeadLetter { reason, message: error.to_string() }
            }
            NotDecoded::Newer(what, version) => PreviewError::Ours(too_new(what, version)),
        })?;
        let decoded = match decoded {
            Message::Delivery(decoded) => decoded,
            Message::Parent(parent) => {
                let job = parent.job;
                let wanted = self.wanted_by(&job.customer_id, job.event_type.as_deref()).await?;
                let names: Vec<&str> = wanted.iter().map(|id| id.as_str()).collect();
                let none = "none does now".to_owned();
                let names = if names.is_empty() { none } else { names.join(", ") };
                return Err(PreviewError::FansOut(names));
            }
        };
        let signed = async {
            let admitted =
                admit::admit(self.resolve(&decoded, now, Some(Instant::now())).await?, now, 0.0)?;
            let built = self.build(admitted)?;
            // What a look at a request shows is no reason to stop the deliveries, or to begin them.
            let grants = self.grants(&built.resolved, Learning::No).await?;
            sign::sign(built, grants, &*self.chance, now)
        };
        match signed.await {
            Ok(signed) => Ok(signed.request),
            Err(Halt::DeadLetter(reason, message)) => {
                Err(PreviewError::DeadLetter { reason, message })
            }
            Err(Halt::Park(until, why) | Halt::Limited(until, why)) => {
                Err(PreviewError::Parked(until, why))
            }
            Err(Halt::Ours(error)) => Err(error.into()),
            // Only claims give these, and a preview makes none.
            Err(Halt::Finish(_) | Halt::Leftover | Halt::Lost) => {
                unreachable!("a preview claims nothing")
            }
        }
    }
}
