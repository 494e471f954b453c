//! The queue port on SQS.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sqs::Client;
use bytes::Bytes;
use tracing::warn;

use super::attributes::{Attributes, close};
use super::batched::{BatchedQueue, refused};
use super::calls::Outgoing;
use super::dead_letters::DeadLetters;
use super::delay::Delay;
use super::envelope::{Envelope, State};
use super::in_flight::InFlight;
use super::move_task;
use super::receive::{LONG_POLL, Receiver};
use super::settle::{Settler, text_of};
use crate::adapters::aws::Failure;
use crate::adapters::aws::client::timeouts;
use crate::domain::dead_letter::DeadLetter;
use crate::ports::queue::{
    Depth, Handle, MoveProgress, MoveTask, NewMessage, Received, Redrive, Sought,
};
use crate::ports::{Chance, Clock, Error, Queue, Result};

/// The longest that SQS keeps a message (Amazon SQS Developer Guide, "Amazon SQS message quotas").
const LONGEST_RETENTION: Duration = Duration::from_secs(14 * 24 * 3600);
/// Fewer receipts than this are soon used up by workers that are stopped hard.
const LEAST_RECEIPTS: u64 = 10;

/// A queue of jobs with its dead-letter queue.
pub struct SqsQueue {
    settler: Arc<Settler>,
    receiver: Receiver,
    dead_letters: DeadLetters,
}

impl SqsQueue {
    /// Opens both queues, and asks them for their visibility timeout and their largest message.
    ///
    /// # Errors
    /// If one of them does not exist or cannot be reached.
    pub async fn open(
        client: Client,
        queue_url: &str,
        dead_letter_queue_url: &str,
        clock: Arc<dyn Clock>,
        chance: Arc<dyn Chance>,
    ) -> Result<Self> {
        let in_flight = Arc::new(InFlight::default());
        let open = |url| BatchedQueue::open(&client, url, &in_flight, &chance);
        let (jobs, dead) = tokio::try_join!(open(queue_url), open(dead_letter_queue_url))
            .map_err(ours("queue.open"))?;
        check_redrive_policy(&jobs, dead_letter_queue_url);
        check_retention(&dead);
        let settler = Arc::new(Settler { jobs, dead, in_flight: Arc::clone(&in_flight), clock });
        // The same connections and credentials, with more patience.
        let patient = client.config().to_builder().timeout_config(timeouts(LONG_POLL)).build();
        Ok(Self {
            receiver: Receiver::new(Arc::clone(&settler), Client::from_conf(patient), chance),
            dead_letters: DeadLetters::new(Arc::clone(&settler)),
            settler,
        })
    }

    fn new_message(&self, message: &NewMessage) -> std::result::Result<Outgoing, Failure> {
        let asked = message.not_before;
        let delay = Delay::until(asked, self.settler.clock.now());
        let state = message.state.as_ref().map(State::of);
        let envelope = Envelope { state, not_before: delay.not_before, ..Envelope::default() };
        let (body, none) = (text_of(&message.body)?, Attributes::new());
        let closed = close(envelope, &none, body.len(), self.settler.jobs.limit);
        let closed = closed.map_err(|error| refused(error.to_string()))?;
        // A queue may delay by itself what nobody asked to delay.
        let delay = asked.map(|_| delay.seconds);
        // A customer's id is a message group id: up to 128 letters, digits and punctuation.
        let group = message.customer.as_ref().map(ToString::to_string);
        Ok(Outgoing { body, closed, delay, group, trace: None })
    }
}

/// Warns of a redrive policy under which a message that crashes the worker comes for ever, is given
/// up after a crash or two that are not its doing, or ends where nobody looks.
fn check_redrive_policy(jobs: &BatchedQueue, dead_letter_queue_url: &str) {
    let problem = match &jobs.redrives {
        None => "it has none: set its dead-letter queue and a maxReceiveCount of at least 10",
        Some(policy) if !policy.leads_to(dead_letter_queue_url) => {
            "it names another queue than dead_letter_queue_url: what goes there is not indexed"
        }
        Some(policy) if policy.most_receipts().is_none_or(|count| count < LEAST_RECEIPTS) => {
            "its maxReceiveCount is under 10: a few restarts may dead-letter what is in hand"
        }
        Some(_) => return,
    };
    warn!(event = "redrive_policy", queue = jobs.url, "redrive policy: {problem}");
}

/// Warns of a dead-letter queue that forgets before the list of dead letters does.
fn check_retention(dead: &BatchedQueue) {
    if let Some(retention) = dead.retention.filter(|kept| *kept < LONGEST_RETENTION) {
        let days = retention.as_secs() / (24 * 3600);
        warn!(
            event = "retention",
            queue = dead.url,
            days,
            "dead letters are gone after {days} days: set the dead-letter queue's MessageRetentionPeriod to 14 days"
        );
    }
}

fn ours(operation: &'static str) -> impl Fn(Failure) -> Error {
    move |failure| Error::new(operation, failure)
}

#[async_trait]
impl Queue for SqsQueue {
    fn keeps_order(&self) -> bool {
        false
    }

    async fn send(&self, messages: Vec<NewMessage>) -> Result<Vec<String>> {
        let failed = ours("queue.send");
        let outgoing: std::result::Result<Vec<_>, _> =
            messages.iter().map(|message| self.new_message(message)).collect();
        // All are handed in before the first is waited for, so that they go out in batches.
        let sends = &self.settler.jobs.sends;
        let sent: Vec<_> =
            outgoing.map_err(&failed)?.into_iter().map(|o| sends.hand_in(o)).collect();
        let mut ids = Vec::with_capacity(sent.len());
        let mut result = Ok(());
        for id in sent {
            match id.await {
                Ok(id) => ids.push(id),
                Err(failure) => result = Err(failed(failure)),
            }
        }
        result.map(|()| ids)
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
        self.settler.acknowledge(handle).await.map_err(ours("queue.acknowledge"))
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
        self.settler.dead_letter(handle, letter, state).await.map_err(ours("queue.dead_letter"))
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
        self.settler.dead.retention
    }

    async fn move_all(&self, per_second: Option<NonZeroU32>) -> Result<Option<MoveTask>> {
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
