//! The queue: messages that are received under a lease until they are settled.

use std::num::NonZeroU32;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::Result;
use crate::domain::dead_letter::DeadLetter;
use crate::domain::ids::CustomerId;
use crate::domain::job::Job;
use crate::domain::ordering::{MessageGroup, deduplication_id};
use crate::domain::senders::Sender;
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
    /// Whose it is, where the sender knows. A queue that can be fair keeps one customer's flood from
    /// holding up the others; what replaces a message stays with whom it was.
    pub customer: Option<CustomerId>,
    /// What it is kept in order with: only a queue that [keeps order] takes it. What replaces a message
    /// stays in its group, at its head.
    ///
    /// [keeps order]: Queue::keeps_order
    pub group: Option<MessageGroup>,
    /// By which a queue that drops what is sent twice knows it; without one it is new every time.
    pub deduplication_id: Option<String>,
}

impl NewMessage {
    /// The message of a new job, whose bytes are `body`.
    pub fn of_job(job: &Job, body: Bytes) -> Self {
        Self {
            body,
            customer: Some(job.customer_id.clone()),
            group: job.message_group(),
            deduplication_id: deduplication_id(job),
            ..Self::default()
        }
    }
}

/// A message that was received, and is leased to the receiver.
#[derive(Debug, Clone)]
pub struct Received {
    /// What settles it.
    pub handle: Handle,
    /// The queue's own id of the message as its producer sent it; the same through all retries.
    pub message_id: String,
    /// The job's bytes.
    pub body: Bytes,
    /// The delivery's state, as it was sent.
    pub state: Option<Bytes>,
    /// When the queue accepted it from its producer, or a replay from the dead letters.
    pub sent_at: Timestamp,
    /// How often it has been received, this time included. Over 1, an earlier receiver crashed or
    /// let its lease run out.
    pub receive_count: u32,
    /// How often the queue itself sent it anew, to delay it for longer than it can at once or to give
    /// a lease back. Over 0, a copy of it may still come.
    pub hops: u32,
    /// The id that it had as a dead letter, if it was moved back, where the queue knows it. Its state is
    /// that of the next round already; its index record may not be gone.
    pub moved_back: Option<String>,
    /// Who sent it: the producer, also of what was sent on since.
    pub sent_by: Sender,
    /// What it is kept in order with. It is the head of its group, or the receiver's lease on it has
    /// run out.
    pub group: Option<MessageGroup>,
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

/// What became of dead letters that were looked for by id. Those in neither list are not there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sought {
    /// Those that were there, and with which it was done.
    pub found: Vec<String>,
    /// Those that may be there still: the queue cannot be searched at will, or somebody else has them
    /// in hand. Their index records must be kept.
    pub unknown: Vec<String>,
}

/// The queue's own work of moving every dead letter back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoveTask {
    /// Its name, to end it by.
    pub name: String,
    /// Where it moves them to.
    pub destination: String,
}

/// How far a move is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoveProgress {
    /// About how many were moved.
    pub moved: u64,
    /// Nothing more is moved.
    pub ended: bool,
    /// Why it ended before everything was moved, if it did.
    pub problem: Option<String>,
}

/// How many messages a queue holds. Approximate where the queue only knows approximately.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Not settled: waiting, delayed or leased.
    pub pending: u64,
    /// Dead letters.
    pub dead: u64,
}

/// A queue with at-least-once delivery, and no order but that of its groups.
///
/// * What `send`, `replace`, `dead_letter` and `redrive` have returned is durable.
/// * A message is received by one receiver at a time, while the lease lasts; then by another, with
///   a higher receive count. After a crash it comes back by itself.
/// * `acknowledge`, `replace` and `dead_letter` settle a message; doing so twice is no error and
///   changes nothing. With a stale handle they return `Ok`; whether the message stays is open, but
///   `replace` never makes a second copy of a message that was already settled.
/// * Of a group only the head is received: the earliest that is not settled. `replace` and `release`
///   leave it at the head, so that it holds its group until it is acknowledged or dead-lettered; a
///   dead letter that is moved back is the last of its group. Groups do not wait for each other.
/// * An `Err` means that it is unknown whether it was done; the caller may do it again.
/// * A body that leaves no room for the state beside it, where the queue has a limit for both: the
///   state's history is shortened first; a dead letter then goes without state, which the index
///   has; if that is not enough, `Err`, and the message stays where it is and comes back when the
///   delay that was asked for is over. It is lost by none of this: after enough receipts the queue
///   moves it to the dead letters by itself.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Whether it takes messages with a group, and keeps them in order.
    fn keeps_order(&self) -> bool;

    /// Sends messages, in order; returns their ids. After an `Err` the messages of a group that are in
    /// the queue are the first of those that were given.
    async fn send(&self, messages: Vec<NewMessage>) -> Result<Vec<String>>;

    /// Receives up to `max` messages, waiting up to `wait` for the first. The lease lasts for
    /// [`Queue::lease`]. `max` is what the caller has room for: the next call may ask for as many
    /// less as this one gave, plus what was settled since. May return early with nothing, to be
    /// asked for more at once. Dropping the future loses no message.
    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<Received>>;

    /// Receives no more. What still comes, and what nobody has taken yet, is released. Waits for that
    /// only as long as it takes a healthy queue.
    async fn stop_receiving(&self) {}

    /// How long a lease lasts from receipt or extension.
    fn lease(&self) -> Duration;

    /// Renews the leases of `handles`; those that are stale or settled are passed over.
    async fn extend(&self, handles: &[Handle]) -> Result<()>;

    /// Gives the lease back: the message can be received again after `delay`, and that counts no
    /// crash. It is not a settling and need not be durable.
    async fn release(&self, handle: &Handle, delay: Duration) -> Result<()>;

    /// Removes the message: its work is done. That may be durable only a few milliseconds later; if it
    /// fails then, the next [`Queue::receive`] tells, and it is tried again.
    async fn acknowledge(&self, handle: &Handle) -> Result<()>;

    /// Waits until what was acknowledged is durable.
    async fn flush(&self) -> Result<()> {
        Ok(())
    }

    /// Puts `next` in the message's place; the old one is gone only when the new one is durable.
    async fn replace(&self, handle: &Handle, next: NewMessage) -> Result<()>;

    /// Moves the message, with `state`, to the dead letters under the id of `letter`, its index
    /// record. A dead letter of the same id is replaced where the queue can find it; elsewhere there
    /// may be two, after a crash.
    async fn dead_letter(
        &self,
        handle: &Handle,
        letter: &DeadLetter,
        state: Option<Bytes>,
    ) -> Result<()>;

    /// The body of a dead letter, where the queue can show it.
    async fn peek_dead(&self, dead_letter_id: &str) -> Result<Option<Bytes>>;

    /// Moves dead letters back. Two callers never both move the same one.
    async fn redrive(&self, letters: Vec<Redrive>) -> Result<Sought>;

    /// Removes dead letters for good.
    async fn purge_dead(&self, dead_letter_ids: &[String]) -> Result<Sought>;

    /// Up to `max` dead letters that the queue made by itself and that have no id yet, leased.
    /// [`Queue::dead_letter`] gives them one.
    async fn stray_dead_letters(&self, max: usize) -> Result<Vec<Received>> {
        // Most queues make none.
        let _ = max;
        Ok(Vec::new())
    }

    /// How long a dead letter is kept once it is here; `None` if for as long as nobody purges it.
    fn dead_letters_kept(&self) -> Option<Duration> {
        None
    }

    /// Begins to move every dead letter back, where the queue does that by itself; what is under way
    /// already goes on. `None` where it does not. What is moved so begins its next round when it is
    /// received, and its index record is removed then.
    async fn move_all(&self, per_second: Option<NonZeroU32>) -> Result<Option<MoveTask>> {
        let _ = per_second;
        Ok(None)
    }

    /// How far the last move is, if there was one.
    async fn move_progress(&self) -> Result<Option<MoveProgress>> {
        Ok(None)
    }

    /// Ends a move; what was moved stays moved.
    async fn cancel_move(&self, name: &str) -> Result<()> {
        let _ = name;
        Ok(())
    }

    /// For how long the message that is due for the longest has been due; zero if none is. `None` where
    /// the queue cannot tell.
    async fn oldest_due(&self) -> Result<Option<Duration>> {
        Ok(None)
    }

    /// How many messages there are.
    async fn depth(&self) -> Result<Depth>;
}

/// Messages that somebody else has received, who removes them by himself but for those that he is told
/// of. One batch is in hand at a time.
#[async_trait]
pub trait Intake: Send + Sync {
    /// Takes over the messages of an event; those that are not due yet are sent on at once.
    async fn take_over(&self, event: serde_json::Value) -> Result<Vec<Received>>;

    /// The queue's own ids of the messages of that event that are not settled: they have to come back.
    fn unsettled(&self) -> Vec<String>;
}
