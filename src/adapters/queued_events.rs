//! Operational events as ordinary jobs of one customer, the operator: what delivers, signs and repeats
//! webhooks delivers them, to each of his endpoints that wants their type.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};
use tracing::warn;

use crate::domain::ids::CustomerId;
use crate::domain::operational_event::OperationalEvent;
use crate::ports::queue::NewMessage;
use crate::ports::{OperationalEvents, Queue};

/// Most events that wait to be sent.
const CAPACITY: usize = 1000;
/// Most events sent at once.
const BATCH: usize = 10;
/// Most ids that are remembered; then all are forgotten, and receivers see by their ids what comes twice.
const MAX_REMEMBERED: usize = 10_000;
/// What is waited after each failure to send, the last of which drops the events.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(5), Duration::ZERO];

enum Work {
    Send(NewMessage),
    Flush(oneshot::Sender<()>),
}

/// Sends events to the queue of jobs, behind the backs of those who tell them.
pub struct QueuedEvents {
    operator: CustomerId,
    work: mpsc::Sender<Work>,
    told: Mutex<HashSet<String>>,
    dropped: Arc<AtomicU64>,
}

impl QueuedEvents {
    /// Begins to send what is told to the endpoints of `operator`.
    pub fn start(operator: CustomerId, queue: Arc<dyn Queue>) -> Self {
        let (work, waiting) = mpsc::channel(CAPACITY);
        let dropped = Arc::default();
        tokio::spawn(send_all(waiting, queue, Arc::clone(&dropped)));
        Self { operator, work, told: Mutex::default(), dropped }
    }

    /// Whether an event of this id was not told before.
    fn is_news(&self, id: String) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= MAX_REMEMBERED {
            told.clear();
        }
        told.insert(id)
    }
}

#[async_trait]
impl OperationalEvents for QueuedEvents {
    fn tell(&self, event: OperationalEvent) {
        // An event about the delivery of events would make another. The log has it.
        if event.customer_id == self.operator || !self.is_news(event.id()) {
            return;
        }
        let body = event.job(&self.operator).to_string().into();
        let customer = Some(self.operator.clone());
        let message = NewMessage { body, customer, ..NewMessage::default() };
        if self.work.try_send(Work::Send(message)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            warn!(event = "event_dropped", count = 1, "too many events wait to be sent");
        }
    }

    async fn flush(&self, patience: Duration) {
        let (done, is_done) = oneshot::channel();
        let flushed = async {
            if self.work.send(Work::Flush(done)).await.is_ok() {
                // It is dropped unsent only when the process ends.
                let _ = is_done.await;
            }
        };
        // What is not sent by then is lost with the process.
        let _ = timeout(patience, flushed).await;
    }

    fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

async fn send_all(
    mut waiting: mpsc::Receiver<Work>,
    queue: Arc<dyn Queue>,
    dropped: Arc<AtomicU64>,
) {
    let mut works = Vec::with_capacity(BATCH);
    while waiting.recv_many(&mut works, BATCH).await > 0 {
        let (mut messages, mut flushes) = (Vec::new(), Vec::new());
        for work in works.drain(..) {
            match work {
                Work::Send(message) => messages.push(message),
                Work::Flush(done) => flushes.push(done),
            }
        }
        if !messages.is_empty() {
            send(&*queue, messages, &dropped).await;
        }
        for done in flushes {
            // Whoever has lost his patience does not listen.
            let _ = done.send(());
        }
    }
}

async fn send(queue: &dyn Queue, messages: Vec<NewMessage>, dropped: &AtomicU64) {
    for pause in PAUSES {
        let Err(error) = queue.send(messages.clone()).await else { return };
        if pause.is_zero() {
            let count = messages.len();
            dropped.fetch_add(count.try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
            warn!(event = "event_dropped", count, "{error}");
        }
        sleep(pause).await;
    }
}

#[cfg(test)]
#[path = "queued_events_tests.rs"]
mod tests;
