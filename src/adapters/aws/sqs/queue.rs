//! The queue port on SQS.

use std::collections::{HashSet, VecDeque};
use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sqs::Client;
use bytes::Bytes;

use super::attributes::{Attributes, close};
use super::batched::{BatchedQueue, refused};
use super::calls::Outgoing;
use super::dead_letters::DeadLetters;
use super::delay::Delay;
use super::envelope::{Envelope, State};
use super::fifo::{Fifo, in_group};
use super::in_flight::InFlight;
use super::lambda_intake::LambdaIntake;
use super::lines::Lines;
use super::move_task;
use super::queue_check;
use super::receive::{LONG_POLL, Receiver};
use super::settle::{Settler, text_of};
use crate::adapters::aws::Failure;
use crate::adapters::aws::client::timeouts;
use crate::adapters::aws::dynamodb::MessageStates;
use crate::domain::dead_letter::DeadLetter;
use crate::domain::senders::Senders;
use crate::ports::queue::{
    Depth, Handle, MoveProgress, MoveTask, NewMessage, Received, Redrive, Sought,
};
use crate::ports::{Chance, Clock, Error, Queue, Result};

/// A queue of jobs with its dead-letter queue.
pub struct SqsQueue {
    settler: Arc<Settler>,
    receiver: Receiver,
    dead_letters: DeadLetters,
    chance: Arc<dyn Chance>,
}

impl SqsQueue {
    /// Opens a pair of standard queues, and asks them for their visibility timeout and their largest
    /// message.
    ///
    /// # Errors
    /// If one of them does not exist, cannot be reached or is not of the kind.
    pub async fn open(
        client: Client,
        queue_url: &str,
        dead_letter_queue_url: &str,
        clock: Arc<dyn Clock>,
        chance: Arc<dyn Chance>,
    ) -> Result<Self> {
        Self::open_as(client, queue_url, dead_letter_queue_url, clock, chance, None).await
    }

    /// Opens a pair of FIFO queues, which keep the states of their messages in `states`.
    ///
    /// # Errors
    /// If one of them does not exist, cannot be reached or is not of the kind, or if the first would
    /// move messages to the second by itself.
    pub async fn open_fifo(
        client: Client,
        queue_url: &str,
        dead_letter_queue_url: &str,
        clock: Arc<dyn Clock>,
        chance: Arc<dyn Chance>,
        states: MessageStates,
    ) -> Result<Self> {
        let fifo = Some(Fifo { states, lines: Lines::default() });
        Self::open_as(client, queue_url, dead_letter_queue_url, clock, chance, fifo).await
    }

    async fn open_as(
        client: Client,
        queue_url: &str,
        dead_letter_queue_url: &str,
        clock: Arc<dyn Clock>,
        chance: Arc<dyn Chance>,
        fifo: Option<Fifo>,
    ) -> Result<Self> {
        let in_flight = Arc::new(InFlight::default());
        let open = |url| BatchedQueue::open(&client, url, &in_flight, &chance);
        let (jobs, dead) = tokio::try_join!(open(queue_url), open(dead_letter_queue_url))
            .map_err(ours("queue.open"))?;
        queue_check::check(&jobs.facts, &dead.facts, fifo.is_some()).map_err(ours("queue.open"))?;
        let (in_hand, senders) = (Arc::clone(&in_flight), OnceLock::new());
        let settler = Arc::new(Settler { jobs, dead, in_flight: in_hand, clock, senders, fifo });
        // The same connections and credentials, with more patience.
        let patient = client.config().to_builder().timeout_config(timeouts(LONG_POLL)).build();
        Ok(Self {
            receiver: Receiver::new(
                Arc::clone(&settler),
                Client::from_conf(patient),
                Arc::clone(&chance),
            ),
            dead_letters: DeadLetters::new(Arc::clone(&settler)),
            chance,
            settler,
        })
    }

    /// The same, which believes `senders` alone what only ours may say of a message.
    #[must_use]
    pub fn held_to(self, senders: Option<Senders>) -> Self {
        if let Some(senders) = senders {
            // It is set once: here, before anything was received.
            let _ = self.settler.senders.set(senders);
        }
        self
    }

    /// Takes messages over that AWS Lambda has received from the queue of jobs.
    pub fn intake(&self) -> LambdaIntake {
        LambdaIntake::new(Arc::clone(&self.settler))
    }

    fn new_message(&self, message: &NewMessage) -> std::result::Result<Outgoing, Failure> {
        let keeps_order = self.settler.jobs.keeps_order;
        if message.group.is_some() && !keeps_order {
            return Err(refused("a standard queue keeps no order".to_owned()));
        }
        let asked = message.not_before;
        let delay = Delay::until(asked, self.settler.clock.now());
        // A FIFO queue does not delay single messages: it is looked at on arrival.
        let not_before = if keeps_order { asked } else { delay.not_before };
        let state = message.state.as_ref().map(State::of);
        let envelope = Envelope { state, not_before, ..Envelope::default() };
        let (body, none) = (text_of(&message.body)?, Attributes::new());
        let closed = close(envelope, &none, body.len(), self.settler.jobs.limit);
        let closed = closed.map_err(|error| refused(error.to_string()))?;
        // A queue may delay by itself what nobody asked to delay.
        let delay = asked.map(|_| delay.seconds);
        // A customer's id is a message group id: up to 128 letters, digits and punctuation.
        let group = message.customer.as_ref().map(ToString::to_string);
        let outgoing = Outgoing { body, closed, delay, group, ..Outgoing::default() };
        if !keeps_order {
            return Ok(outgoing);
        }
        let id = message.deduplication_id.clone().unwrap_or_else(|| self.chance.token());
        Ok(in_group(outgoing, message.group.as_ref().map(ToString::to_string), id))
    }

    /// Sends messages; their ids in the same order. Of each group of a FIFO queue one is on its way at a
    /// time, so that a later one never arrives without those before it.
    async fn send_all(&self, outgoing: Vec<Outgoing>) -> std::result::Result<Vec<String>, Failure> {
        let mut ids: Vec<Option<String>> = vec![None; outgoing.len()];
        let mut left: VecDeque<(usize, Outgoing)> = outgoing.into_iter().enumerate().collect();
        let (mut failed, mut failed_groups) = (None, HashSet::new());
        while !left.is_empty() {
            let (mut now, mut later, mut under_way) = (Vec::new(), VecDeque::new(), HashSet::new());
            for (place, message) in left {
                let group = message.group.clone().filter(|_| self.settler.jobs.keeps_order);
                if group.as_ref().is_some_and(|group| failed_groups.contains(group)) {
                    continue;
                }
                if group.clone().is_some_and(|group| !under_way.insert(group)) {
                    later.push_back((place, message));
                } else {
                    // All are handed in before the first is waited for, so that they go out in batches.
                    now.push((place, group, self.settler.jobs.sends.hand_in(message)));
                }
            }
            for (place, group, sent) in now {
                match sent.await {
                    Ok(id) => ids[place] = Some(id),
                    Err(failure) => {
                        failed_groups.extend(group);
                        failed = Some(failure);
                    }
                }
            }
            left = later;
        }
        failed.map_or_else(|| Ok(ids.into_iter().flatten().collect()), Err)
    }
}

fn ours(operation: &'static str) -> impl Fn(Failure) -> Error {
    move |failure| Error::new(operation, failure)
}

#[async_trait]
impl Queue for SqsQueue {
    fn keeps_order(&self) -> bool {
        self.settler.jobs.keeps_order
    }

    async fn send(&self, messages: Vec<NewMessage>) -> Result<Vec<String>> {
        let failed = ours("queue.send");
        let outgoing: std::result::Result<Vec<_>, _> =
            messages.iter().map(|message| self.new_message(message)).collect();
        self.send_all(outgoing.map_err(&failed)?).await.map_err(failed)
    }

    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<Received>> {
        self.receiver.receive(max, wait).await.map_err(ours("queue.receive"))
    }

    async fn stop_receiving(&self) {
        self.receiver.stop().await;
    }

    fn lease(&self) -> Duration {
        self.settler.jobs.lease
    }

    async fn extend(&self, handles: &[Handle]) -> Result<()> {
        self.settler.extend(handles).await.map_err(ours("queue.extend"))
    }

    async fn release(&self, handle: &Handle, delay: Duration) -> Result<()> {
        self.settler.release(handle, delay).await.map_err(ours("queue.release"))
    }

    async fn acknowledge(&self, handle: &Handle) -> Result<()> {
        let next = self.settler.acknowledge(handle).await.map_err(ours("queue.acknowledge"))?;
        self.receiver.go_on(next).await;
        Ok(())
    }

    async fn replace(&self, handle: &Handle, next: NewMessage) -> Result<()> {
        self.settler.replace(handle, next).await.map_err(ours("queue.replace"))
    }

    async fn dead_letter(
        &self,
        handle: &Handle,
        letter: &DeadLetter,
        state: Option<Bytes>,
    ) -> Result<()> {
        let next = self.settler.dead_letter(handle, letter, state).await;
        self.receiver.go_on(next.map_err(ours("queue.dead_letter"))?).await;
        Ok(())
    }

    async fn peek_dead(&self, dead_letter_id: &str) -> Result<Option<Bytes>> {
        self.dead_letters.peek(dead_letter_id).await.map_err(ours("queue.peek_dead"))
    }

    async fn redrive(&self, letters: Vec<Redrive>) -> Result<Sought> {
        self.dead_letters.redrive(letters).await.map_err(ours("queue.redrive"))
    }

    async fn purge_dead(&self, dead_letter_ids: &[String]) -> Result<Sought> {
        self.dead_letters.purge(dead_letter_ids).await.map_err(ours("queue.purge_dead"))
    }

    async fn stray_dead_letters(&self, max: usize) -> Result<Vec<Received>> {
        self.dead_letters.strays(max).await.map_err(ours("queue.stray_dead_letters"))
    }

    fn dead_letters_kept(&self) -> Option<Duration> {
        self.settler.dead.facts.retention()
    }

    async fn move_all(&self, per_second: Option<NonZeroU32>) -> Result<Option<MoveTask>> {
        if self.keeps_order() {
            // It would leave each letter in the group of one that it has in the dead-letter queue.
            return Ok(None);
        }
        move_task::begin(&self.settler, per_second).await.map(Some).map_err(ours("queue.move_all"))
    }

    async fn move_progress(&self) -> Result<Option<MoveProgress>> {
        move_task::progress(&self.settler).await.map_err(ours("queue.move_progress"))
    }

    async fn cancel_move(&self, name: &str) -> Result<()> {
        move_task::cancel(&self.settler, name).await.map_err(ours("queue.cancel_move"))
    }

    async fn depth(&self) -> Result<Depth> {
        let Settler { jobs, dead, .. } = &*self.settler;
        let (pending, dead) =
            tokio::try_join!(jobs.depth(), dead.depth()).map_err(ours("queue.depth"))?;
        Ok(Depth { pending, dead })
    }
}
