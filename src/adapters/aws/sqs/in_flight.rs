//! The messages in hand: what has to be known of a message to send it anew, kept from its receipt
//! to its settling.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::attributes::Attributes;
use crate::domain::ordering::MessageGroup;
use crate::domain::senders::Sender;
use crate::domain::timestamp::Timestamp;
use crate::ports::queue::{Handle, Received};

/// The queue that a message was received from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The queue of jobs.
    Jobs,
    /// The dead-letter queue.
    DeadLetters,
}

/// One receipt of a message.
#[derive(Debug)]
pub struct Held {
    /// What settles it.
    pub handle: Handle,
    /// Where it came from.
    pub origin: Origin,
    /// The id of this very message, which is another with every retry.
    pub own_id: String,
    /// The id of the producer's message.
    pub message_id: String,
    /// When the producer's message was accepted, or a replay of it.
    pub sent_at: Timestamp,
    /// Not to be handed out before then.
    pub not_before: Option<Timestamp>,
    /// How often this very message was received.
    pub receive_count: u32,
    /// How often it was sent anew without a change.
    pub hops: u32,
    /// The id that it has as a dead letter, or had if AWS's own redrive moved it back.
    pub dead_letter_id: Option<String>,
    /// The id that it had as a dead letter, if it was moved back in any way.
    pub moved_back: Option<String>,
    /// Who sent it.
    pub sent_by: Sender,
    /// The `SenderId` of the producer, to be carried on.
    pub sender: Option<String>,
    /// The delivery's state, as it travels with the message.
    pub state: Option<Bytes>,
    /// Our attribute, if it cannot be read; it stands in the state's place too.
    pub unread: Option<Bytes>,
    /// The job.
    pub body: Bytes,
    /// The producer's attributes.
    pub producer: Attributes,
    /// The message group: by it fair queues are fair, and FIFO queues keep order.
    pub group: Option<String>,
    /// The same where it asks for order.
    pub ordered: Option<MessageGroup>,
    /// The producer's X-Ray trace header.
    pub trace: Option<String>,
    /// What changes while it is in hand.
    pub progress: Progress,
}

/// How far a message in hand has come.
#[derive(Debug, Default)]
pub struct Progress {
    lease_until: AtomicI64,
    followed: AtomicBool,
    deleted: AtomicBool,
    known: OnceLock<(Option<Bytes>, u32)>,
}

impl Held {
    /// What the worker is handed.
    pub fn received(&self) -> Received {
        Received {
            handle: self.handle.clone(),
            message_id: self.message_id.clone(),
            body: self.body.clone(),
            state: self.state().cloned(),
            sent_at: self.sent_at,
            receive_count: self.progress.known.get().map_or(self.receive_count, |(_, n)| *n),
            hops: self.hops,
            group: self.ordered.clone(),
            moved_back: self.moved_back.clone(),
            sent_by: self.sent_by.clone(),
        }
    }

    /// What lies elsewhere is known: the state, and how often it was received to no end.
    pub fn learn(&self, state: Option<Bytes>, receipts: u32) {
        // Once a receipt.
        let _ = self.progress.known.set((state, receipts));
    }

    /// The delivery's state.
    pub fn state(&self) -> Option<&Bytes> {
        self.progress.known.get().map_or(self.state.as_ref(), |(state, _)| state.as_ref())
    }

    /// Whether the lease has run out at `now`.
    pub fn has_lapsed(&self, now: Timestamp) -> bool {
        self.lease_until() <= now
    }

    /// The lease lasts until then.
    pub fn extend(&self, until: Timestamp) {
        self.progress.lease_until.store(until.as_millis(), Ordering::Relaxed);
    }

    /// What follows it was sent: all that is left is to delete it.
    pub fn follow(&self) {
        self.progress.followed.store(true, Ordering::Relaxed);
    }

    /// Whether what follows it was sent.
    pub fn is_followed(&self) -> bool {
        self.progress.followed.load(Ordering::Relaxed)
    }

    /// It is deleted.
    pub fn note_deleted(&self) {
        self.progress.deleted.store(true, Ordering::Relaxed);
    }

    /// Whether it is deleted.
    pub fn is_deleted(&self) -> bool {
        self.progress.deleted.load(Ordering::Relaxed)
    }

    fn lease_until(&self) -> Timestamp {
        Timestamp::from_millis(self.progress.lease_until.load(Ordering::Relaxed))
    }
}

/// All messages in hand.
#[derive(Debug, Default)]
pub struct InFlight(Mutex<Messages>);

#[derive(Debug, Default)]
struct Messages {
    by_handle: HashMap<Handle, Arc<Held>>,
    /// The last receipt of each message: it makes those before it stale.
    by_own_id: HashMap<String, Handle>,
    swept_at: Option<Timestamp>,
}

impl InFlight {
    fn lock(&self) -> MutexGuard<'_, Messages> {
        // Every change is one step: a panic elsewhere leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a receipt.
    pub fn take(&self, held: Held, lease: Duration, now: Timestamp) -> Arc<Held> {
        held.extend(now.plus(lease));
        let held = Arc::new(held);
        let mut messages = self.lock();
        messages.sweep(lease, now);
        let stale = messages.by_own_id.insert(held.own_id.clone(), held.handle.clone());
        if let Some(stale) = stale {
            messages.by_handle.remove(&stale);
        }
        messages.by_handle.insert(held.handle.clone(), Arc::clone(&held));
        held
    }

    /// The message that `handle` stands for; `None` if it was settled or received again.
    pub fn get(&self, handle: &Handle) -> Option<Arc<Held>> {
        self.lock().by_handle.get(handle).cloned()
    }

    /// The message is settled, or not ours any more.
    pub fn forget(&self, handle: &Handle) {
        let mut messages = self.lock();
        if let Some(held) = messages.by_handle.remove(handle)
            && messages.by_own_id.get(&held.own_id) == Some(handle)
        {
            messages.by_own_id.remove(&held.own_id);
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.lock().by_handle.len()
    }
}

impl Messages {
    /// Once a lease: forgets what lapsed a lease ago and that nobody settled.
    fn sweep(&mut self, lease: Duration, now: Timestamp) {
        if self.swept_at.is_some_and(|at| now.since(at) < lease && at <= now) {
            return;
        }
        self.swept_at = Some(now);
        self.by_handle.retain(|_, held| now.since(held.lease_until()) < lease);
        let by_handle = &self.by_handle;
        self.by_own_id.retain(|_, handle| by_handle.contains_key(handle));
    }
}

/// A message with nothing but what it has to have.
#[cfg(test)]
pub fn held_for_tests(handle: &str, own_id: &str) -> Held {
    Held {
        handle: Handle(handle.into()),
        origin: Origin::Jobs,
        own_id: own_id.to_owned(),
        message_id: own_id.to_owned(),
        sent_at: Timestamp::from_millis(0),
        not_before: None,
        receive_count: 1,
        hops: 0,
        dead_letter_id: None,
        moved_back: None,
        sent_by: Sender::Unknown,
        sender: None,
        state: None,
        unread: None,
        body: Bytes::new(),
        producer: Attributes::new(),
        group: None,
        ordered: None,
        trace: None,
        progress: Progress::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::held_for_tests as held;
    use super::*;

    const LEASE: Duration = Duration::from_secs(30);

    #[test]
    fn a_second_receipt_of_a_message_makes_the_first_stale() {
        let (in_flight, now) = (InFlight::default(), Timestamp::from_millis(0));
        let first = in_flight.take(held("a", "m"), LEASE, now);
        let second = in_flight.take(held("b", "m"), LEASE, now.plus(LEASE));
        assert!(in_flight.get(&first.handle).is_none());
        in_flight.forget(&first.handle);
        assert!(in_flight.get(&second.handle).is_some());
        assert_eq!(in_flight.count(), 1);
    }

    #[test]
    fn what_nobody_settled_is_forgotten_a_lease_after_its_lease() {
        let (in_flight, now) = (InFlight::default(), Timestamp::from_millis(0));
        in_flight.take(held("a", "m"), LEASE, now);
        let kept = in_flight.take(held("b", "n"), LEASE, now);
        kept.extend(now.plus(LEASE * 3));
        in_flight.take(held("c", "o"), LEASE, now.plus(LEASE * 3));
        assert!(in_flight.get(&Handle("a".into())).is_none());
        assert!(in_flight.get(&Handle("b".into())).is_some());
        assert_eq!(in_flight.count(), 2);
    }
}
