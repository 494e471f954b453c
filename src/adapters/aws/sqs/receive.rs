//! Receiving: polls run as tasks of their own, so that whoever waits for messages may stop waiting
//! without losing what a poll brings.
//!
//! What polls may still bring and what has arrived are together never more than the worker has room
//! for, so nothing waits here while its lease runs.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_sqs::Client;
use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::task::TaskTracker;

use super::appetite::{Appetite, Brought, Course, FULL};
use super::arrive;
use super::fifo::MOST_WAITING;
use super::in_flight::{Held, Origin};
use super::settle::Settler;
use crate::adapters::aws::Failure;
use crate::ports::Chance;
use crate::ports::queue::Received;

/// The longest that a poll waits (Amazon SQS API Reference, "ReceiveMessage").
pub const LONG_POLL: Duration = Duration::from_secs(20);
/// A caller that waits for less wants to know what is there now.
const SHORT: Duration = Duration::from_secs(1);
/// How long a worker with little room rests before it says how much it has now.
const MOMENT: Duration = Duration::from_millis(5);
/// How long a stop waits for polls in progress. Those of a busy queue end in this time; those of an
/// idle one would take their 20 seconds to bring nothing.
const GRACE: Duration = Duration::from_millis(500);

/// Receives from the queue of jobs.
pub struct Receiver(Arc<Polling>);

struct Polling {
    settler: Arc<Settler>,
    /// With timeouts that let a poll wait.
    client: Client,
    chance: Arc<dyn Chance>,
    state: Mutex<State>,
    changed: Notify,
    tasks: TaskTracker,
}

#[derive(Default)]
struct State {
    appetite: Appetite,
    arrived: VecDeque<Arc<Held>>,
    trouble: Option<Failure>,
    stopped: bool,
}

/// What a poll brought.
struct Poll {
    /// How many messages.
    messages: usize,
    /// Those that can be handed out; of a FIFO queue the first of each group.
    held: Vec<Arc<Held>>,
}

/// What a receiver does next.
enum Step {
    Take(Vec<Received>),
    Fail(Failure),
    Return,
    Wait(Option<Instant>),
}

impl Receiver {
    /// A receiver over `client`, whose timeouts let a poll wait.
    pub fn new(settler: Arc<Settler>, client: Client, chance: Arc<dyn Chance>) -> Self {
        Self(Arc::new(Polling {
            settler,
            client,
            chance,
            state: Mutex::default(),
            changed: Notify::new(),
            tasks: TaskTracker::new(),
        }))
    }

    /// Up to `max` messages, waiting up to `wait` for the first.
    pub async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<Received>, Failure> {
        let polling = &self.0;
        polling.lock().stopped = false;
        if wait < SHORT {
            return polling.receive_now(max).await;
        }
        let until = Instant::now() + wait;
        loop {
            match polling.step(max) {
                Step::Take(messages) => return Ok(messages),
                Step::Fail(failure) => return Err(failure),
                Step::Return => {
                    sleep(MOMENT).await;
                    return Ok(Vec::new());
                }
                // One receiver waits; a change before it began to wait wakes it at once.
                Step::Wait(at) => tokio::select! {
                    () = polling.changed.notified() => {}
                    () = sleep_until(at.unwrap_or(until).min(until)) => {}
                },
            }
            if Instant::now() >= until {
                return Ok(polling.take(max));
            }
        }
    }

    /// Receives no more, and releases what has arrived and what still arrives.
    pub async fn stop(&self) {
        let left = {
            let mut state = self.0.lock();
            state.stopped = true;
            std::mem::take(&mut state.arrived)
        };
        let polling = Arc::clone(&self.0);
        self.0.tasks.spawn(async move {
            if let Some(fifo) = &polling.settler.fifo {
                polling.settler.give_all_back(fifo).await;
            }
            polling.release(left.into()).await;
        });
        self.0.tasks.close();
        // What comes later comes back by itself when its lease has run out.
        let _ = timeout(GRACE, self.0.tasks.wait()).await;
        self.0.tasks.reopen();
    }
}

impl Receiver {
    /// The next of a group, whose head is gone.
    pub async fn go_on(&self, next: Option<Arc<Held>>) {
        if let Some(next) = next {
            self.0.arrive(vec![next]).await;
            self.0.changed.notify_one();
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.0.lock().stopped = true;
    }
}

impl Polling {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is one step: a panic elsewhere leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what has arrived; otherwise begins the polls that are wanted.
    fn step(self: &Arc<Self>, max: usize) -> Step {
        let arrived = self.take(max);
        if !arrived.is_empty() {
            return Step::Take(arrived);
        }
        let fifo = self.settler.fifo.as_ref();
        let is_full = fifo.is_some_and(|fifo| fifo.lines.waiting() >= MOST_WAITING);
        let mut state = self.lock();
        if let Some(failure) = state.trouble.take() {
            return Step::Fail(failure);
        }
        loop {
            let room = if is_full { 0 } else { max.saturating_sub(state.arrived.len()) };
            match state.appetite.course(room, Instant::now()) {
                Course::Poll(ask) => {
                    self.tasks.spawn(Arc::clone(self).poll(ask));
                }
                Course::WaitUntil(at) => return Step::Wait(Some(at)),
                Course::Wait => return Step::Wait(None),
                Course::Scarce => return Step::Return,
            }
        }
    }

    /// Up to `max` of what has arrived. What lapsed while nobody asked is on its way back already.
    fn take(&self, max: usize) -> Vec<Received> {
        let now = self.settler.clock.now();
        let mut state = self.lock();
        state.arrived.retain(|held| !held.has_lapsed(now));
        let count = max.min(state.arrived.len());
        state.arrived.drain(..count).map(|held| held.received()).collect()
    }

    async fn poll(self: Arc<Self>, ask: usize) {
        let result = self.ask(ask, LONG_POLL).await;
        let brought = match &result {
            Ok(brought) => Brought::Messages(brought.messages),
            Err(_) => Brought::Failure { chance: self.chance.fraction() },
        };
        let early = match result {
            Ok(brought) => self.arrive(brought.held).await,
            Err(failure) => {
                self.lock().trouble = Some(failure);
                Vec::new()
            }
        };
        self.lock().appetite.ended(ask, brought, Instant::now());
        self.changed.notify_one();
        self.hop(early).await;
    }

    /// What is there now: no waiting, and no more polls than it takes.
    async fn receive_now(self: &Arc<Self>, max: usize) -> Result<Vec<Received>, Failure> {
        loop {
            let missing = max.saturating_sub(self.lock().arrived.len());
            let ask = missing.min(FULL);
            if ask == 0 {
                return Ok(self.take(max));
            }
            let polling = Arc::clone(self);
            // A task, so that it ends whatever becomes of the caller.
            let poll = self.tasks.spawn(async move {
                let Poll { messages, held } = polling.ask(ask, Duration::ZERO).await?;
                let early = polling.arrive(held).await;
                polling.hop(early).await;
                Ok(messages)
            });
            // It is never aborted, and panics nowhere.
            let count = poll.await.unwrap_or(Ok(0))?;
            if count < ask {
                return Ok(self.take(max));
            }
        }
    }

    async fn ask(&self, ask: usize, wait: Duration) -> Result<Poll, Failure> {
        let Settler { jobs, in_flight, clock, senders, .. } = &*self.settler;
        let messages = jobs.receive(&self.client, ask, wait, jobs.lease).await?;
        let (now, senders, keeps_order) = (clock.now(), senders.get(), jobs.keeps_order);
        let held = |message| arrive::held(message, Origin::Jobs, keeps_order, now, senders);
        let held = messages.into_iter().filter_map(held);
        let mut held: Vec<_> = held.map(|held| in_flight.take(held, jobs.lease, now)).collect();
        let messages = held.len();
        if let Some(fifo) = &self.settler.fifo {
            held = fifo.lines.line_up(held, now);
        }
        Ok(Poll { messages, held })
    }

    /// Keeps what is due for the worker, or releases it after a stop; returns what came too early.
    async fn arrive(&self, held: Vec<Arc<Held>>) -> Vec<Arc<Held>> {
        let now = self.settler.clock.now();
        let is_early = |held: &Arc<Held>| held.not_before.is_some_and(|at| at > now);
        let (early, due): (Vec<_>, Vec<_>) = match &self.settler.fifo {
            None => held.into_iter().partition(is_early),
            Some(fifo) => {
                let presented = held.into_iter().map(|head| self.settler.present(fifo, head));
                let (mut due, mut failed) = (Vec::new(), Vec::new());
                for presented in join_all(presented).await {
                    match presented {
                        Ok(head) => due.extend(head),
                        Err(failure) => failed.push(Err(failure)),
                    }
                }
                self.mind(failed);
                (Vec::new(), due)
            }
        };
        let unwanted = {
            let mut state = self.lock();
            if state.stopped {
                due
            } else {
                state.arrived.extend(due);
                Vec::new()
            }
        };
        self.release(unwanted).await;
        early
    }

    async fn release(&self, unwanted: Vec<Arc<Held>>) {
        let sent = unwanted.iter().map(|held| async {
            match self.settler.fifo {
                Some(_) => self.settler.release(&held.handle, Duration::ZERO).await,
                None => self.settler.send_anew(held, None).await,
            }
        });
        self.mind(join_all(sent).await);
    }

    /// Sends on what came too early.
    async fn hop(&self, early: Vec<Arc<Held>>) {
        let sent = early.iter().map(|held| self.settler.send_anew(held, held.not_before));
        self.mind(join_all(sent).await);
    }

    /// What was not sent on comes back when its lease has run out; somebody should know.
    fn mind(&self, results: Vec<Result<(), Failure>>) {
        if let Some(failure) = results.into_iter().find_map(Result::err) {
            self.lock().trouble = Some(failure);
        }
    }
}
