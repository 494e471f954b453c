//! The queue: messages that are received under a lease until they are settled.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::Result;
use crate::domain::timestamp::Timestamp;

/// A message to be sent.
#[derive(Debug, Clone, Default)]
pub struct NewMessage {
    /// The job's bytes; never changed on the way.
    pub body: Bytes,
    /// The delivery's state in JSON, at most 4 KiB; `None` for a new job.
    pub state: Option<Bytes>,
    /// Not to be received before then.
    pub not_before: Option<Timestamp>,
}

/// A message that was received, and is leased to the receiver.
#[derive(Debug, Clone)]
pub struct Received {
    /// What settles it.
    pub handle: Handle,
    /// The queue's own id of the message.
    pub message_id: String,
    /// The job's bytes.
    pub body: Bytes,
    /// The delivery's state, as it was sent.
    pub state: Option<Bytes>,
    /// When the queue accepted it.
    pub sent_at: Timestamp,
    /// How often it has been received, this time included. Over 1, an earlier receiver crashed or
    /// let its lease run out.
    pub receive_count: u32,
}

/// Stands for one receipt of one message. After the lease has run out and the message was received
/// again, it is stale.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Handle(pub std::sync::Arc<str>);

/// A dead letter to be sent again.
#[derive(Debug, Clone)]
pub struct Redrive {
    /// The dead letter's id.
    pub dead_letter_id: String,
    /// The state with which the next round begins; `None` where the message never had one.
    pub state: Option<Bytes>,
}

/// How many messages a queue holds. Approximate where the queue only knows approximately.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Not settled: waiting, delayed or leased.
    pub pending: u64,
    /// Dead letters.
    pub dead: u64,
}

/// A queue with at-least-once delivery and no order.
///
/// * What `send`, `replace`, `dead_letter` and `redrive` have returned is durable.
/// * A message is received by one receiver at a time, while the lease lasts; then by another, with
///   a higher receive count. After a crash it comes back by itself.
/// * `acknowledge`, `replace` and `dead_letter` settle a message; doing so twice is no error and
///   changes nothing. With a stale handle they return `Ok`; whether the message stays is open, but
///   `replace` never makes a second copy of a message that was already settled.
/// * An `Err` means that it is unknown whether it was done; the caller may do it again.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Sends messages, in order; returns their ids.
    async fn send(&self, messages: Vec<NewMessage>) -> Result<Vec<String>>;

    /// Receives up to `max` messages, waiting up to `wait` for the first. The lease lasts for
    /// [`Queue::lease`].
    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<Received>>;

    /// How long a lease lasts from receipt or extension.
    fn lease(&self) -> Duration;

    /// Renews the leases of `handles`; those that are stale or settled are passed over.
    async fn extend(&self, handles: &[Handle]) -> Result<()>;

    /// Gives the lease back: the message can be received again after `delay`. It is not a settling
    /// and need not be durable.
    async fn release(&self, handle: &Handle, delay: Duration) -> Result<()>;

    /// Removes the message: its work is done.
    async fn acknowledge(&self, handle: &Handle) -> Result<()>;

    /// Puts `next` in the message's place; the old one is gone only when the new one is durable.
    async fn replace(&self, handle: &Handle, next: NewMessage) -> Result<()>;

    /// Moves the message, with `state`, to the dead letters under `dead_letter_id`. A dead letter
    /// of the same id is replaced.
    async fn dead_letter(
        &self,
        handle: &Handle,
        dead_letter_id: &str,
        state: Option<Bytes>,
    ) -> Result<()>;

    /// The body of a dead letter, where the queue can show it.
    async fn peek_dead(&self, dead_letter_id: &str) -> Result<Option<Bytes>>;

    /// Moves dead letters back; returns the ids of those that were there. Two callers never both
    /// move the same one.
    async fn redrive(&self, letters: Vec<Redrive>) -> Result<Vec<String>>;

    /// Removes dead letters for good.
    async fn purge_dead(&self, dead_letter_ids: &[String]) -> Result<()>;

    /// How many messages there are.
    async fn depth(&self) -> Result<Depth>;
}
