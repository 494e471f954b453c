//! Received → decoded: the message is a job, and its state is known.

use crate::domain::delivery::{DeliveryKey, DeliveryState};
use crate::domain::envelope::{self, Pointers};
use crate::domain::fan_out::FanOutKey;
use crate::domain::field::FieldError;
use crate::domain::ids::JobId;
use crate::domain::job::{Job, Undecodable};
use crate::domain::ordering;
use crate::domain::reason::Reason;
use crate::domain::senders::Senders;
use crate::domain::timestamp::Timestamp;
use crate::domain::version;
use crate::ports::queue::Received;
use crate::ports::{Alarm, Error};
use crate::telemetry::tracer::Trace;

/// What a message is.
pub enum Message<'m> {
    /// A job for one endpoint.
    Delivery(Decoded<'m>),
    /// A job for every endpoint that wants it.
    Parent(Parent<'m>),
}

/// A message that is a job for one endpoint.
pub struct Decoded<'m> {
    /// The message.
    pub message: &'m Received,
    /// The job.
    pub job: Job,
    /// What is known of its delivery.
    pub state: DeliveryState,
    /// What tells this round of the delivery from every other.
    pub key: DeliveryKey,
    /// Its trace; begun once it is decoded.
    pub trace: Trace,
}

/// A message that is a job without an endpoint.
pub struct Parent<'m> {
    /// The message.
    pub message: &'m Received,
    /// The job.
    pub job: Job,
    /// What is known of it.
    pub state: DeliveryState,
    /// What tells this round of it from every other.
    pub key: FanOutKey,
    /// Its trace; begun once it is decoded.
    pub trace: Trace,
}

impl Message<'_> {
    /// The same, if its sender may send jobs of the customer.
    pub fn let_in(self, senders: Option<&Senders>) -> Result<Self, NotDecoded> {
        let (message, job) = match &self {
            Self::Delivery(decoded) => (decoded.message, &decoded.job),
            Self::Parent(parent) => (parent.message, &parent.job),
        };
        let checked = senders.map_or(Ok(()), |s| s.check(&message.sent_by, &job.customer_id));
        let refuse = |why: String| {
            let (reason, error) = (Reason::SenderNotAllowed, FieldError::new("customerId", why));
            NotDecoded::Undecodable(Undecodable { reason, error })
        };
        checked.map(|()| self).map_err(refuse)
    }
}

/// Why a message is neither.
pub enum NotDecoded {
    /// It will never be.
    Undecodable(Undecodable),
    /// A newer program wrote its job or its state, in this version.
    Newer(&'static str, u64),
}

/// The fault of a worker that is too old for a message.
pub fn too_new(what: &str, version: u64) -> Error {
    let known = version::KNOWN;
    let problem = format!("the {what} has version {version}, and this worker knows {known}");
    Error::new("delivery.decode", problem).with_alarm(Some(Alarm::NewerVersion))
}

/// What is known where a message is decoded.
pub struct Circumstances<'c> {
    /// Receipts after which a message is given up.
    pub max_receives: u32,
    /// Where messages of others name customer and endpoint.
    pub envelopes: &'c Pointers,
    /// Whether the queue that it came through keeps order.
    pub keeps_order: bool,
    /// The time.
    pub now: Timestamp,
}

/// Decodes a message.
pub fn decode<'m>(
    message: &'m Received,
    circumstances: &Circumstances<'_>,
) -> Result<Message<'m>, NotDecoded> {
    let refuse = |reason, problem: String| {
        NotDecoded::Undecodable(Undecodable { reason, error: FieldError::new("", problem) })
    };
    if message.receive_count > circumstances.max_receives {
        let problem = format!("received {} times without being settled", message.receive_count - 1);
        return Err(refuse(Reason::CrashLoop, problem));
    }
    let job = envelope::read(&message.body, circumstances.envelopes).map_err(|undecodable| {
        match version::newer(&message.body) {
            Some(version) => NotDecoded::Newer("job", version),
            None => NotDecoded::Undecodable(undecodable),
        }
    })?;
    ordering::check(&job, circumstances.keeps_order).map_err(NotDecoded::Undecodable)?;
    let mut state: DeliveryState = match &message.state {
        Some(state) => serde_json::from_slice(state).map_err(|e| match version::newer(state) {
            Some(version) => NotDecoded::Newer("delivery's state", version),
            None => refuse(Reason::InvalidJob, format!("its delivery state is unreadable: {e}")),
        })?,
        None => {
            let named: Result<JobId, _> =
                job.id.clone().map_or_else(|| message.message_id.parse(), Ok);
            let id = named.map_err(|e| refuse(Reason::InvalidJob, e.to_string()))?;
            DeliveryState::first(id, message.sent_at)
        }
    };
    if message.group.is_some() {
        state.turn_at.get_or_insert(circumstances.now);
    }
    let (customer_id, job_id, round) = (job.customer_id.clone(), state.job_id.clone(), state.round);
    let (endpoint_id, message_id) = match &state.child {
        Some(child) => (Some(child.endpoint_id.clone()), child.parent_message_id.clone()),
        None => (job.endpoint_id.clone(), message.message_id.clone()),
    };
    Ok(match endpoint_id {
        Some(endpoint_id) => {
            let key = DeliveryKey { customer_id, endpoint_id, job_id, round, message_id };
            Message::Delivery(Decoded { message, job, state, key, trace: Trace::none() })
        }
        None => {
            let key = FanOutKey { customer_id, job_id, round, message_id };
            Message::Parent(Parent { message, job, state, key, trace: Trace::none() })
        }
    })
}
