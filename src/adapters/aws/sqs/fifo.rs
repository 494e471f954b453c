//! What is otherwise on a FIFO queue.
//!
//! A new message would be the last of its group. So a message that is put back stays where it is: it is
//! hidden until it is due, and holds its group meanwhile; its state lies in DynamoDB. Its receive count
//! then counts returns, too, and those behind it are received with it: what crashes its workers is
//! known by its hand-outs, which are counted beside its state, and the queue must not move anything to
//! the dead letters by itself.
//!
//! In the dead-letter queue every message is a group of its own, so that one can be looked for without
//! hiding others; the group that it came from travels with it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;

use super::calls::Outgoing;
use super::in_flight::Held;
use super::lines::Lines;
use super::settle::{LONGEST_PARK, Settler};
use crate::adapters::aws::Failure;
use crate::adapters::aws::dynamodb::{Known, MessageStates};
use crate::domain::ordering::MessageGroup;
use crate::domain::timestamp::Timestamp;

/// What the name of a group begins with whose messages asked for no order.
const ALONE: &str = "alone_";
/// When a message comes back whose state could not be read.
const AGAIN: Duration = Duration::from_secs(10);
/// Most messages that wait in hand behind others. They take no room from those that are handed out.
pub const MOST_WAITING: usize = 1_000;

/// What a FIFO queue needs besides.
pub struct Fifo {
    /// The states of messages that were put back.
    pub states: MessageStates,
    /// The messages in hand, by group.
    pub lines: Lines,
}

/// The group that a message asked to be in, if it did.
pub fn ordered(group: Option<&str>) -> Option<MessageGroup> {
    group.filter(|name| !name.starts_with(ALONE)).map(MessageGroup::named)
}

/// A message as a FIFO queue takes it: with a group, with an id by which what is sent twice is known,
/// and without a delay.
pub fn in_group(outgoing: Outgoing, group: Option<String>, deduplication_id: String) -> Outgoing {
    let group = group.unwrap_or_else(|| format!("{ALONE}{deduplication_id}"));
    let (group, deduplication_id) = (Some(group), Some(deduplication_id));
    Outgoing { group, deduplication_id, delay: None, ..outgoing }
}

impl Settler {
    /// A head that has come, as it may be handed out; `None` if that is too early: then it is hidden
    /// again. An `Err` gives it back.
    pub async fn present(
        &self,
        fifo: &Fifo,
        head: Arc<Held>,
    ) -> Result<Option<Arc<Held>>, Failure> {
        let now = self.clock.now();
        let mut early = head.not_before.filter(|at| *at > now);
        // Of what was never received before, nothing can be known.
        if early.is_none() && head.receive_count > 1 {
            match fifo.states.hand_out(&head.own_id, head.receive_count, now).await {
                Ok(Known::Due { state, handed_out, put_back }) => {
                    // The first hand-out of what was never put back is not counted there.
                    let receipts = if put_back { handed_out } else { handed_out + 1 };
                    head.learn(state.or_else(|| head.state.clone()), receipts);
                }
                Ok(Known::Early(at)) => early = Some(at),
                // Somebody has received it since.
                Ok(Known::Stale) => {
                    self.let_go(fifo, &head);
                    return Ok(None);
                }
                Err(failure) => {
                    // If that fails, too, its lease runs out.
                    let _ = self.give_back(fifo, &head, AGAIN).await;
                    return Err(failure);
                }
            }
        }
        let Some(at) = early else { return Ok(Some(head)) };
        self.give_back(fifo, &head, at.since(now)).await?;
        Ok(None)
    }

    /// Puts a head back with its state: it comes again when it is due.
    pub async fn put_back(
        &self,
        fifo: &Fifo,
        held: &Held,
        state: Option<&Bytes>,
        until: Timestamp,
    ) -> Result<(), Failure> {
        let now = self.clock.now();
        let kept = fifo.states.put_back(&held.own_id, held.receive_count, state, until, now).await;
        if matches!(kept, Ok(false)) {
            self.let_go(fifo, held);
            return Ok(());
        }
        // Without its state it comes again, too: the fence knows how far its delivery is.
        let given_back = self.give_back(fifo, held, until.since(now)).await;
        kept.map(drop).and(given_back)
    }

    /// Gives a head back, to come again after `wait`, and those behind it. They go first: while the head
    /// is in hand, and while it is hidden, nobody receives them.
    async fn give_back(&self, fifo: &Fifo, head: &Held, wait: Duration) -> Result<(), Failure> {
        self.show(fifo.lines.end(head)).await;
        self.hide(head, wait.min(LONGEST_PARK)).await?;
        self.in_flight.forget(&head.handle);
        Ok(())
    }

    /// Gives back all that wait in hand behind others.
    pub async fn give_all_back(&self, fifo: &Fifo) {
        self.show(fifo.lines.end_all()).await;
    }

    async fn show(&self, held: Vec<Arc<Held>>) {
        // What cannot be shown comes again when its lease has run out. The last goes first, for the
        // same reason.
        let shown = held.iter().rev().map(|held| self.hide(held, Duration::ZERO));
        join_all(shown).await;
        held.iter().for_each(|held| self.in_flight.forget(&held.handle));
    }

    /// The message and those behind it are in other hands.
    fn let_go(&self, fifo: &Fifo, head: &Held) {
        for held in fifo.lines.end(head) {
            self.in_flight.forget(&held.handle);
        }
        self.in_flight.forget(&head.handle);
    }
}
