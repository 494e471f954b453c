//! A data directory with endpoints, and a worker on it.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use futures_util::future::join_all;
use sealpost::app::{App, Role};
use sealpost::config::Config;
use sealpost::domain::endpoint::Endpoint;
use sealpost::domain::secret::SecretBytes;
use sealpost::ports::queue::NewMessage;
use sealpost::vault::NewSecret;
use serde_json::json;
use tokio::time::{Instant, sleep_until};

use crate::process::Process;
use crate::receiver::{MADE_AT, Receiver};

/// What an endpoint does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    Healthy,
    /// Takes a call and never answers.
    Hangs,
    /// Answers 500.
    Fails,
}

impl Sort {
    fn path(self) -> &'static str {
        match self {
            Self::Healthy => "works",
            Self::Hangs => "hangs",
            Self::Fails => "fails",
        }
    }
}

pub struct Stage {
    app: App,
    directory: tempfile::TempDir,
}

impl Stage {
    /// Endpoint `n` is that of customer `c<n>`, with default limits, timeout and retries.
    pub async fn set(receiver: &Receiver, count: usize, sort: impl Fn(usize) -> Sort) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.egress.allow_http = true;
        config.egress.allow = vec!["127.0.0.1/32".parse().unwrap()];
        config.egress.ports = vec!["1-65535".parse().unwrap()];
        let settings = toml::to_string(&config).unwrap();
        let app = App::embedded(directory.path(), config, Role::Command).await.unwrap();
        let stage = Self { app, directory };
        std::fs::write(stage.settings(), settings).unwrap();
        // Many at once share a commit.
        for numbers in (0..count).collect::<Vec<_>>().chunks(500) {
            let put = |number: &usize| {
                let url = format!("{}/{}", receiver.origin, sort(*number).path());
                stage.register(format!("c{number}"), url)
            };
            join_all(numbers.iter().map(put)).await;
        }
        stage
    }

    async fn register(&self, customer: String, url: String) {
        let secret = NewSecret {
            customer: customer.parse().unwrap(),
            secret: "key".parse().unwrap(),
            value: SecretBytes::new(b"whsec_c2VhbHBvc3QgYmVuY2htYXJrIGtleSAxMjM0NTY3ODk=".to_vec()),
            origins: [url.parse().unwrap()].into(),
            overlap: None,
        };
        self.app.vault.put(secret).await.unwrap();
        let auth = json!([{"scheme": "standard_webhooks", "secret": "key"}]);
        let endpoint = json!({"customerId": customer, "endpointId": "e", "url": url, "auth": auth});
        let endpoint = Endpoint::from_json(&endpoint.to_string()).unwrap();
        self.app.endpoints.put(endpoint, None, self.app.clock.now()).await.unwrap();
    }

    fn settings(&self) -> PathBuf {
        self.directory.path().join("bench.toml")
    }

    pub fn serve(&self) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sealpost"));
        command.arg("serve").arg("--data").arg(self.directory.path());
        command.arg("--config").arg(self.settings()).stderr(Stdio::null());
        Process(command.spawn().unwrap())
    }

    /// Enqueues a job for each of these endpoints, as fast as it can.
    pub async fn enqueue(&self, endpoints: &[usize]) {
        for some in endpoints.chunks(500) {
            self.send(some).await;
        }
    }

    /// Enqueues them one by one, spread over `span`.
    pub async fn enqueue_over(&self, endpoints: &[usize], span: Duration) {
        let begun = Instant::now();
        for (number, endpoint) in endpoints.iter().enumerate() {
            let part = number as f64 / endpoints.len() as f64;
            sleep_until(begun + span.mul_f64(part)).await;
            self.send(&[*endpoint]).await;
        }
    }

    async fn send(&self, endpoints: &[usize]) {
        let made_at = self.app.clock.now().as_millis().to_string();
        let message = |endpoint: &usize| {
            let job = json!({"customerId": format!("c{endpoint}"), "endpointId": "e",
                             "headers": {MADE_AT: made_at}, "data": {"text": "x".repeat(1000)}});
            NewMessage { body: job.to_string().into(), ..NewMessage::default() }
        };
        self.app.queue.send(endpoints.iter().map(message).collect()).await.unwrap();
    }
}
