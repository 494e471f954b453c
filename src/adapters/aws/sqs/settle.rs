//! What becomes of a message in hand: deleted, replaced, given back, moved.
//!
//! Whatever follows a message is sent before the message is deleted, so that a crash between the two
//! leaves a copy and never a loss. Once its follower was sent, doing the same again only deletes.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;

use super::attributes::{Closed, close, close_dead_letter};
use super::batched::{BatchedQueue, refused};
use super::calls::Outgoing;
use super::delay::{Delay, whole_seconds};
use super::envelope::{Envelope, State};
use super::fifo::{Fifo, in_group};
use super::in_flight::{Held, InFlight, Origin};
use crate::adapters::aws::Failure;
use crate::domain::dead_letter::DeadLetter;
use crate::domain::senders::Senders;
use crate::domain::timestamp::Timestamp;
use crate::ports::Clock;
use crate::ports::queue::{Handle, NewMessage, Redrive};

/// A message may be invisible for 12 hours from its receipt (Amazon SQS Developer Guide, "Amazon SQS
/// visibility timeout"), of which some have passed.
pub const LONGEST_PARK: Duration = Duration::from_secs(11 * 3600);

/// Both queues, and what is in hand of them.
pub struct Settler {
    /// The queue of jobs.
    pub jobs: BatchedQueue,
    /// The dead-letter queue.
    pub dead: BatchedQueue,
    /// What is in hand.
    pub in_flight: Arc<InFlight>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Who may send for whom, if that is held to.
    pub senders: OnceLock<Senders>,
    /// What FIFO queues need; `None` of standard queues.
    pub fifo: Option<Fifo>,
}

type Result<T> = std::result::Result<T, Failure>;

impl Settler {
    fn queue_of(&self, origin: Origin) -> &BatchedQueue {
        match origin {
            Origin::Jobs => &self.jobs,
            Origin::DeadLetters => &self.dead,
        }
    }

    /// The message that `handle` holds. After its lease has run out the queue is asked: whoever
    /// received it since may have settled it.
    async fn still_held(&self, handle: &Handle) -> Result<Option<Arc<Held>>> {
        let Some(held) = self.in_flight.get(handle) else { return Ok(None) };
        if held.has_lapsed(self.clock.now()) {
            let lease = self.queue_of(held.origin).lease;
            if !self.hide(&held, lease).await? {
                self.in_flight.forget(handle);
                return Ok(None);
            }
        }
        Ok(Some(held))
    }

    /// Makes the message invisible for so long; whether it was still held.
    pub async fn hide(&self, held: &Held, wait: Duration) -> Result<bool> {
        let change = (held.handle.clone(), whole_seconds(wait));
        self.queue_of(held.origin).visibility.hand_in(change).await
    }

    /// Deletes the message.
    pub async fn delete(&self, held: &Held) -> Result<()> {
        self.queue_of(held.origin).deletes.hand_in(held.handle.clone()).await?;
        held.note_deleted();
        self.in_flight.forget(&held.handle);
        Ok(())
    }

    /// Removes the message; returns the next of its group, if that is in hand. A handle that is not
    /// known any more is tried all the same: the message is there still if nobody has received it
    /// since.
    pub async fn acknowledge(&self, handle: &Handle) -> Result<Option<Arc<Held>>> {
        match self.in_flight.get(handle) {
            Some(held) => {
                self.delete(&held).await?;
                Ok(self.next_after(&held))
            }
            None => self.jobs.deletes.hand_in(handle.clone()).await.map(|()| None),
        }
    }

    fn next_after(&self, gone: &Held) -> Option<Arc<Held>> {
        self.fifo.as_ref()?.lines.next_after(gone, self.clock.now())
    }

    /// Renews leases.
    pub async fn extend(&self, handles: &[Handle]) -> Result<()> {
        let until = |held: &Held| self.clock.now().plus(self.queue_of(held.origin).lease);
        let known = handles.iter().filter_map(|handle| self.in_flight.get(handle));
        // Those behind a head first, the last of all at first: what lapses together comes back in
        // order all the same.
        let known = known.flat_map(|head| {
            let behind = self.fifo.as_ref().map(|fifo| fifo.lines.behind(&head));
            behind.unwrap_or_default().into_iter().rev().chain([head])
        });
        let pending: Vec<_> = known
            .map(|held| {
                let queue = self.queue_of(held.origin);
                let change = (held.handle.clone(), whole_seconds(queue.lease));
                (queue.visibility.hand_in(change), until(&held), held)
            })
            .collect();
        let mut result = Ok(());
        for (answer, until, held) in pending {
            match answer.await {
                Ok(true) => held.extend(until),
                // Stale: not ours any more.
                Ok(false) => {}
                Err(failure) => result = Err(failure),
            }
        }
        result
    }

    /// Sends `next` in the message's place.
    pub async fn replace(&self, handle: &Handle, next: NewMessage) -> Result<()> {
        let Some(held) = self.still_held(handle).await? else { return Ok(()) };
        let now = self.clock.now();
        if let Some(fifo) = &self.fifo {
            if next.body != held.body {
                return Err(refused("a FIFO queue keeps a message as it was sent".to_owned()));
            }
            let until = next.not_before.unwrap_or(now);
            return self.put_back(fifo, &held, next.state.as_ref(), until).await;
        }
        let envelope = Envelope {
            state: next.state.as_ref().map(State::of),
            ..continuing(&held, Some(held.sent_at))
        };
        let delay = Delay::until(next.not_before, now);
        match self.compose(&held, &next.body, envelope, delay) {
            Ok(follower) => self.follow(&held, follower).await,
            Err(never) => {
                let wait = next.not_before.map_or(self.jobs.lease, |at| at.since(now));
                self.hide(&held, wait.min(LONGEST_PARK)).await?;
                Err(never)
            }
        }
    }

    /// Gives the message back, to be received again from `not_before`. It is sent anew, because SQS
    /// would count a change of visibility as a crash; where that fails, the visibility is changed.
    pub async fn send_anew(&self, held: &Held, not_before: Option<Timestamp>) -> Result<()> {
        let now = self.clock.now();
        let delay = Delay::until(not_before, now);
        let envelope = Envelope {
            state: held.state.as_ref().map(State::of),
            hops: held.hops.saturating_add(1),
            // Nobody has seen it yet.
            moved_back: held.moved_back.clone(),
            // What a newer worker wrote is for it to read.
            unread: held.unread.as_ref().map(|b| String::from_utf8_lossy(b).into_owned()),
            ..continuing(held, Some(held.sent_at))
        };
        let follower = self.compose(held, &held.body, envelope, delay);
        let followed = match follower {
            Ok(follower) => self.follow(held, follower).await,
            Err(never) => Err(never),
        };
        if followed.is_ok() || held.is_followed() {
            return followed;
        }
        let wait = not_before.map_or(Duration::ZERO, |at| at.since(now));
        self.hide(held, wait.min(LONGEST_PARK)).await?;
        self.in_flight.forget(&held.handle);
        Ok(())
    }

    /// Gives the lease back.
    pub async fn release(&self, handle: &Handle, delay: Duration) -> Result<()> {
        let Some(held) = self.still_held(handle).await? else { return Ok(()) };
        match (held.origin, &self.fifo) {
            (Origin::Jobs, Some(fifo)) => {
                let until = self.clock.now().plus(delay);
                self.put_back(fifo, &held, held.state(), until).await
            }
            (Origin::Jobs, None) => self.send_anew(&held, Some(self.clock.now().plus(delay))).await,
            (Origin::DeadLetters, _) => {
                self.hide(&held, delay.min(LONGEST_PARK)).await?;
                self.in_flight.forget(handle);
                Ok(())
            }
        }
    }

    /// Moves the message to the dead letters; one that lies there already gets its attributes. Returns
    /// the next of its group, if that is in hand.
    pub async fn dead_letter(
        &self,
        handle: &Handle,
        letter: &DeadLetter,
        state: Option<Bytes>,
    ) -> Result<Option<Arc<Held>>> {
        let Some(held) = self.still_held(handle).await? else { return Ok(None) };
        let envelope = Envelope {
            group: self.fifo.as_ref().and(held.group.clone()),
            state: state.as_ref().map(State::of),
            ..continuing(&held, Some(held.sent_at))
        };
        let (body, limit) = (held.body.len(), self.dead.limit);
        let closed = close_dead_letter(envelope, &held.producer, letter, body, limit);
        let closed = closed.map_err(|error| refused(error.to_string()))?;
        let mut follower = outgoing(&held, &held.body, closed, 0)?;
        if self.fifo.is_some() {
            // A replay that dies again is another message.
            follower = in_group(follower, None, held.own_id.clone());
        }
        self.follow_in(&self.dead, &held, follower).await?;
        Ok(self.next_after(&held))
    }

    /// Moves a dead letter back.
    pub async fn move_back(&self, held: &Held, redrive: Redrive) -> Result<()> {
        // Its age begins anew: with the time at which the queue accepts it.
        let state = redrive.state.as_ref().map(State::of);
        // Whoever moves it may die before its index record is gone: the worker takes that out then.
        let moved_back = Some(redrive.dead_letter_id);
        let envelope = Envelope { state, moved_back, ..continuing(held, None) };
        let at_once = Delay { seconds: 0, not_before: None };
        let mut follower = self.compose(held, &held.body, envelope, at_once)?;
        if self.fifo.is_some() {
            follower = in_group(follower, held.group.clone(), held.own_id.clone());
        }
        self.follow(held, follower).await
    }

    /// The message that follows `held` in the queue of jobs. An `Err` is for ever.
    fn compose(
        &self,
        held: &Held,
        body: &Bytes,
        envelope: Envelope,
        delay: Delay,
    ) -> Result<Outgoing> {
        let envelope = Envelope { not_before: delay.not_before, ..envelope };
        let closed = close(envelope, &held.producer, body.len(), self.jobs.limit);
        let closed = closed.map_err(|error| refused(error.to_string()))?;
        outgoing(held, body, closed, delay.seconds)
    }

    async fn follow(&self, held: &Held, follower: Outgoing) -> Result<()> {
        self.follow_in(&self.jobs, held, follower).await
    }

    /// Sends what follows `held`, if that was not done yet, and then deletes it.
    async fn follow_in(&self, queue: &BatchedQueue, held: &Held, follower: Outgoing) -> Result<()> {
        if !held.is_followed() {
            queue.sends.hand_in(follower).await?;
            held.follow();
        }
        self.delete(held).await
    }
}

/// What every follower of a message carries on.
fn continuing(held: &Held, sent_at: Option<Timestamp>) -> Envelope {
    let (message_id, sender) = (Some(held.message_id.clone()), held.sender.clone());
    Envelope { message_id, sent_at, sender, ..Envelope::default() }
}

fn outgoing(held: &Held, body: &Bytes, closed: Closed, delay: i32) -> Result<Outgoing> {
    let (body, group, trace) = (text_of(body)?, held.group.clone(), held.trace.clone());
    Ok(Outgoing { body, closed, delay: Some(delay), group, deduplication_id: None, trace })
}

/// The body as SQS takes it: not empty, in UTF-8, of the characters of XML 1.0 (Amazon SQS API
/// Reference, "SendMessage").
pub fn text_of(body: &Bytes) -> Result<String> {
    let text = std::str::from_utf8(body)
        .map_err(|_| refused("the message is not UTF-8, which is all that SQS takes".to_owned()))?;
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
    match text.chars().find(|c| !allowed(*c)) {
        None if text.is_empty() => Err(refused("the message is empty".to_owned())),
        None => Ok(text.to_owned()),
        Some(c) => Err(refused(format!("the message holds {c:?}, which SQS does not take"))),
    }
}
