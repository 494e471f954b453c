//! sealpost in its embedded form, with one endpoint.

use std::path::PathBuf;
use std::time::Duration;

use sealpost::app::{App, Role};
use sealpost::config::Config;
use sealpost::delivery::Pipeline;
use sealpost::domain::dead_letter::{DeadLetter, DeadLetterFilter};
use sealpost::domain::endpoint::Endpoint;
use sealpost::domain::request::OutboundRequest;
use sealpost::domain::secret::SecretBytes;
use sealpost::domain::timestamp::Timestamp;
use sealpost::ports::Clock;
use sealpost::ports::queue::NewMessage;
use sealpost::vault::NewSecret;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Where the endpoint is, and how it is authenticated.
pub struct Target {
    pub url: String,
    /// The one auth step.
    pub auth: Value,
    /// Values by name; a name that comes again is put while the value before overlaps.
    pub secrets: Vec<(&'static str, String)>,
    /// Where the secrets may go.
    pub origins: Vec<String>,
    pub headers: Value,
    /// The job's payload as members of a JSON object: `data`, or `body` and `contentType`.
    pub payload: String,
    /// Authorities to trust, in PEM.
    pub roots: Option<PathBuf>,
}

impl Target {
    /// An endpoint that takes JSON, with one secret `s`.
    pub fn new(url: &str, auth: Value, secret: &str) -> Self {
        let origin = url.parse::<url::Url>().unwrap().origin().ascii_serialization();
        Self {
            url: url.to_owned(),
            auth,
            secrets: vec![("s", secret.to_owned())],
            origins: vec![origin],
            headers: json!({}),
            payload: json_payload(),
            roots: None,
        }
    }
}

/// JSON that is easily damaged on the way: not ASCII, oddly spelled, with a number that no double holds. One
/// provider wants the time in it, in milliseconds since the epoch.
pub fn json_payload() -> String {
    let time = now().as_millis();
    let text =
        r#"{ "name" : "Zoë ☃ \u00e9\/", "amount":12345678901234567.890, "webhookTimestamp":TIME }"#;
    format!(r#""data":{}"#, text.replace("TIME", &time.to_string()))
}

/// The machine's time, which receivers go by.
pub fn now() -> Timestamp {
    sealpost::adapters::system::SystemClock.now()
}

/// What becomes of a job.
#[derive(Debug)]
pub enum Outcome {
    Delivered,
    GivenUp(Box<DeadLetter>),
    /// It is in the queue still.
    Waits,
}

pub struct Sender {
    app: App,
    pipeline: Pipeline,
    job: String,
    _directory: tempfile::TempDir,
}

impl Sender {
    pub async fn open(target: Target) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.egress.allow_http = true;
        config.egress.allow = vec!["127.0.0.1/32".parse().unwrap()];
        config.egress.ports = vec!["1-65535".parse().unwrap()];
        config.egress.extra_roots = target.roots;
        let app = App::embedded(directory.path(), config, Role::Worker).await.unwrap();
        let endpoint = json!({
            "customerId": "c", "endpointId": "e", "url": target.url, "auth": [target.auth],
            "headers": target.headers, "retry": {"retryOn": ["5xx"]},
        });
        let endpoint = Endpoint::from_json(&endpoint.to_string()).unwrap();
        app.endpoints.put(endpoint, None, app.clock.now()).await.unwrap();
        for (name, value) in target.secrets {
            let new = NewSecret {
                customer: "c".parse().unwrap(),
                secret: name.parse().unwrap(),
                value: SecretBytes::new(value.into_bytes()),
                origins: target.origins.iter().map(|origin| origin.parse().unwrap()).collect(),
                overlap: Some(Duration::from_secs(60)),
            };
            app.vault.put(new).await.unwrap();
        }
        let pipeline = app.pipeline().unwrap();
        let job =
            format!(r#"{{"id":"evt_1","customerId":"c","endpointId":"e",{}}}"#, target.payload);
        Self { app, pipeline, job, _directory: directory }
    }

    /// Takes a job through the queue and the pipeline, once.
    pub async fn deliver(&self) -> Outcome {
        let before = self.app.tally.counts().delivered;
        let message = NewMessage { body: self.job.clone().into(), ..NewMessage::default() };
        self.app.queue.send(vec![message]).await.unwrap();
        let messages = self.app.queue.receive(1, Duration::ZERO).await.unwrap();
        self.pipeline.deliver(&messages[0], &CancellationToken::new()).await;
        let filter = DeadLetterFilter::default();
        let letters = self.app.deliveries.list_dead_letters(&filter, None, 9).await.unwrap();
        let pending = self.app.queue.depth().await.unwrap().pending;
        let delivered = self.app.tally.counts().delivered - before;
        match (delivered, pending, letters.into_iter().next()) {
            (1, 0, None) => Outcome::Delivered,
            (0, 0, Some(letter)) => Outcome::GivenUp(Box::new(letter)),
            (0, 1, None) => Outcome::Waits,
            other => panic!("delivered, pending, dead letter: {other:?}"),
        }
    }

    /// Sends the job's request as if it were signed at `time` and then changed; gives the status.
    pub async fn forge(&self, time: Timestamp, change: impl FnOnce(&mut OutboundRequest)) -> u16 {
        let mut request = self.pipeline.preview(self.job.as_bytes(), time).await.unwrap();
        change(&mut request);
        let deadline = Instant::now() + Duration::from_secs(10);
        let reply = self.pipeline.client.send(&request, deadline, &CancellationToken::new()).await;
        reply.unwrap().result.unwrap().status
    }
}
