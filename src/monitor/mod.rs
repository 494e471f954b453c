//! What operators and their tools ask of a running process: its [`exposition`] for Prometheus, and its
//! [`health`]: whether it lives, and whether it can do its work. The HTTP API serves these, and a
//! [`listener`] of their own, which every process can have.
//!
//! What costs a call (the queue's depth, whether the stores answer) is read at most once in a while,
//! however often it is asked for.

mod exposition;
pub mod health;
mod listener;
mod process;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::app::App;
use crate::delivery::Pipeline;
use crate::domain::ids::{CustomerId, EndpointId};
use crate::ports::Result;
use crate::ports::queue::Depth;

pub use listener::{bind, router};

/// How long a store may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// The customer, and the endpoint, that is asked for to see whether the store answers. Nobody's.
const NOBODY: &str = "sealpost-probe";

/// One process, watched.
pub struct Monitor {
    /// Its stores, its queue and its counters.
    pub app: Arc<App>,
    worker: Option<Arc<Pipeline>>,
    lifetime: Duration,
    reading: Mutex<Option<Reading>>,
}

/// What was seen of the outside, and when.
#[derive(Debug, Clone, Copy)]
struct Reading {
    at: Instant,
    stores: bool,
    depth: Option<Depth>,
    oldest_due: Option<Duration>,
}

impl Monitor {
    /// Watches a process, and its worker if it has one.
    pub fn new(app: Arc<App>, worker: Option<Arc<Pipeline>>) -> Arc<Self> {
        // A reading costs next to nothing from a file, and money from AWS.
        let lifetime = Duration::from_secs(if app.config.is_aws() { 10 } else { 1 });
        Arc::new(Self { app, worker, lifetime, reading: Mutex::default() })
    }

    /// Whether a worker runs in this process.
    pub fn has_worker(&self) -> bool {
        self.worker.is_some()
    }

    /// What is to be seen of the outside: no older than a while.
    async fn reading(&self) -> Reading {
        let mut kept = self.reading.lock().await;
        if let Some(reading) = kept.filter(|reading| reading.at.elapsed() < self.lifetime) {
            return reading;
        }
        let queue = &self.app.queue;
        let (stores, depth, oldest_due) = tokio::join!(
            answer(self.ask_stores()),
            answer(queue.depth()),
            answer(queue.oldest_due())
        );
        let (stores, oldest_due) = (stores.is_some(), oldest_due.flatten());
        *kept.insert(Reading { at: Instant::now(), stores, depth, oldest_due })
    }

    /// Asks a store for what is not there. A worker may read endpoints, and has no right to what the
    /// API keeps.
    async fn ask_stores(&self) -> Result<()> {
        if self.worker.is_none() {
            return self.app.control.get_key("key_none").await.map(drop);
        }
        let ids = (NOBODY.parse::<CustomerId>(), NOBODY.parse::<EndpointId>());
        let (Ok(customer), Ok(endpoint)) = ids else { return Ok(()) };
        self.app.endpoints.get(&customer, &endpoint).await.map(drop)
    }
}

async fn answer<T>(asked: impl Future<Output = Result<T>>) -> Option<T> {
    timeout(PATIENCE, asked).await.ok()?.ok()
}
