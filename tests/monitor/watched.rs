//! An embedded form with its worker, watched, whose time the test sets.

use std::sync::Arc;
use std::time::Duration;

use sealpost::app::{App, Role};
use sealpost::config::Config;
use sealpost::delivery::Pipeline;
use sealpost::monitor::Monitor;
use sealpost::ports::Clock;
use sealpost::ports::queue::NewMessage;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::bench::TestClock;
use crate::exposition::{Samples, read};

pub struct Watched {
    pub app: Arc<App>,
    pub worker: Arc<Pipeline>,
    pub monitor: Arc<Monitor>,
    pub clock: Arc<TestClock>,
    _directory: tempfile::TempDir,
}

impl Watched {
    pub async fn open(config: Config) -> Self {
        let (directory, clock) = (tempfile::tempdir().unwrap(), TestClock::start());
        let shared: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let app = App::embedded_with_clock(directory.path(), config, Role::Worker, shared);
        let app = Arc::new(app.await.unwrap());
        let worker = Arc::new(app.pipeline().unwrap());
        let monitor = Monitor::new(Arc::clone(&app), Some(Arc::clone(&worker)));
        Self { app, worker, monitor, clock, _directory: directory }
    }

    pub async fn enqueue(&self, job: Value) {
        let message = NewMessage { body: job.to_string().into(), ..NewMessage::default() };
        self.app.queue.send(vec![message]).await.unwrap();
    }

    /// Delivers every message that is due, all at once.
    pub async fn deliver_due(&self) {
        let messages = self.app.queue.receive(100, Duration::ZERO).await.unwrap();
        let stop = CancellationToken::new();
        let deliveries = messages.iter().map(|message| self.worker.deliver(message, &stop));
        futures_util::future::join_all(deliveries).await;
    }

    /// The metrics, which have to be well formed.
    pub async fn samples(&self) -> Samples {
        read(&self.monitor.metrics().await)
    }
}
