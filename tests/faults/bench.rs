//! An embedded form whose time the test sets, with one endpoint `e` of customer `c` on loopback.

#![allow(dead_code, reason = "each suite uses its part")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use sealpost::app::{App, Role};
use sealpost::config::Config;
use sealpost::delivery::Pipeline;
use sealpost::domain::dead_letter::{DeadLetter, DeadLetterFilter};
use sealpost::domain::endpoint::{Endpoint, Health};
use sealpost::domain::secret::SecretBytes;
use sealpost::domain::timestamp::Timestamp;
use sealpost::ports::Clock;
use sealpost::ports::queue::NewMessage;
use sealpost::vault::NewSecret;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// A clock that stands still until it is set; or, with a start, goes on from there by itself.
pub struct TestClock(AtomicI64, Option<tokio::time::Instant>);

impl TestClock {
    pub fn start() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(1_800_000_000_000), None))
    }

    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }

    pub fn set_back(&self, by: Duration) {
        self.0.fetch_sub(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let gone = self.1.map_or(Duration::ZERO, |start| start.elapsed());
        Timestamp::from_millis(self.0.load(Ordering::SeqCst)).plus(gone)
    }
}

pub fn loopback() -> Config {
    let mut config = Config::default();
    config.egress.allow_http = true;
    config.egress.allow = vec!["127.0.0.1/32".parse().unwrap()];
    config.egress.ports = vec!["1-65535".parse().unwrap()];
    config
}

pub async fn put(app: &App, endpoint: Value) {
    let endpoint = Endpoint::from_json(&endpoint.to_string()).unwrap();
    app.endpoints.put(endpoint, None, app.clock.now()).await.unwrap();
}

pub async fn enqueue(app: &App, count: usize) {
    let body = r#"{"customerId":"c","endpointId":"e","data":1}"#;
    let message = NewMessage { body: body.into(), ..NewMessage::default() };
    app.queue.send(vec![message; count]).await.unwrap();
}

pub fn secret(value: &str, origins: &[&str]) -> NewSecret {
    NewSecret {
        customer: "c".parse().unwrap(),
        secret: "s".parse().unwrap(),
        value: SecretBytes::new(value.as_bytes().to_vec()),
        origins: origins.iter().map(|origin| origin.parse().unwrap()).collect(),
        overlap: None,
    }
}

pub async fn put_secret(app: &App, value: &str, origins: &[&str]) {
    app.vault.put(secret(value, origins)).await.unwrap();
}

/// The form, its pipeline and its clock.
pub struct Bench {
    pub app: Arc<App>,
    pub pipeline: Pipeline,
    pub clock: Arc<TestClock>,
    config: Config,
    directory: tempfile::TempDir,
}

impl Bench {
    pub async fn open(config: Config) -> Self {
        Self::open_with_clock(config, TestClock::start()).await
    }

    /// With time that passes.
    pub async fn open_with_time(config: Config) -> Self {
        let start = Some(tokio::time::Instant::now());
        let clock = TestClock(AtomicI64::new(1_800_000_000_000), start);
        Self::open_with_clock(config, Arc::new(clock)).await
    }

    async fn open_with_clock(config: Config, clock: Arc<TestClock>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let shared: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let app = App::embedded_with_clock(directory.path(), config.clone(), Role::Worker, shared);
        let app = Arc::new(app.await.unwrap());
        let pipeline = app.pipeline().unwrap();
        Self { app, pipeline, clock, config, directory }
    }

    /// How many deliveries a worker makes at once.
    pub fn concurrency(&self) -> usize {
        self.config.worker.concurrency
    }

    /// Another process on the same data.
    pub async fn elsewhere(&self) -> App {
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as _;
        let (root, config) = (self.directory.path(), self.config.clone());
        App::embedded_with_clock(root, config, Role::Command, clock).await.unwrap()
    }

    /// Delivers every message that is due, all at once; how many there were.
    pub async fn deliver_due(&self) -> usize {
        let messages = self.app.queue.receive(100, Duration::ZERO).await.unwrap();
        let stop = CancellationToken::new();
        let deliveries = messages.iter().map(|message| self.pipeline.deliver(message, &stop));
        futures_util::future::join_all(deliveries).await;
        messages.len()
    }

    pub async fn health(&self) -> Health {
        let (customer, endpoint) = ("c".parse().unwrap(), "e".parse().unwrap());
        let stored = self.app.endpoints.get(&customer, &endpoint).await.unwrap().unwrap();
        self.app.health.get(&customer, &endpoint, stored.version).await.unwrap()
    }

    pub async fn dead_letters(&self) -> Vec<DeadLetter> {
        self.some_dead_letters(9).await
    }

    pub async fn some_dead_letters(&self, most: usize) -> Vec<DeadLetter> {
        let filter = DeadLetterFilter::default();
        self.app.deliveries.list_dead_letters(&filter, None, most).await.unwrap()
    }

    /// Everything on the disk, by name.
    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        let paths = std::fs::read_dir(self.directory.path()).unwrap().map(|e| e.unwrap().path());
        paths.map(|path| (path.display().to_string(), std::fs::read(&path).unwrap())).collect()
    }
}
