//! A sender, and a receiver that uses nothing of ours, with a socket between them.

use std::time::Duration;

use sealpost::app::{App, Role};
use sealpost::config::Config;
use sealpost::delivery::Pipeline;
use sealpost::domain::dead_letter::{DeadLetter, DeadLetterFilter};
use sealpost::domain::endpoint::Endpoint;
use sealpost::domain::reason::Reason;
use sealpost::domain::request::OutboundRequest;
use sealpost::domain::secret::SecretBytes;
use sealpost::domain::timestamp::Timestamp;
use sealpost::ports::queue::NewMessage;
use sealpost::vault::NewSecret;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::receivers::ForeignServer;

/// A receiver's provider, and what its endpoint is registered with.
pub struct Receiver {
    /// `node` or `python`.
    pub language: &'static str,
    /// The provider's name in the program.
    pub provider: &'static str,
    /// The one auth step; its secret is `s`.
    pub auth: Value,
    /// The value of a second secret, `t`.
    pub second: &'static str,
    /// The job's payload: `data`, or `body` and `contentType`.
    pub job: Value,
    /// Headers of the endpoint.
    pub headers: Value,
}

impl Receiver {
    /// A receiver of JSON.
    pub fn new(language: &'static str, provider: &'static str, auth: Value) -> Self {
        let job = json!({"data": payload()});
        Self { language, provider, auth, second: "token", job, headers: json!({}) }
    }

    /// Starts the program, which knows `key`.
    pub fn start(&self, key: &str) -> ForeignServer {
        let ending = if self.language == "node" { "mjs" } else { "py" };
        ForeignServer::start(&format!("receiver.{ending}"), &[self.provider, key])
    }
}

/// JSON that is easily damaged on the way: not ASCII, with numbers that no double holds.
fn payload() -> Value {
    let text = "{ \"name\" : \"Zo\u{eb} \u{2603} \\u00e9\\/\", \"amount\":12345678901234567.890, \"to\":null }";
    let mut payload: Value = serde_json::from_str(text).unwrap();
    // Of the milliseconds since the epoch, for a provider that puts its time there.
    payload["webhookTimestamp"] = now().as_millis().into();
    payload
}

pub fn now() -> Timestamp {
    use sealpost::ports::Clock;
    sealpost::adapters::system::SystemClock.now()
}

/// sealpost in its embedded form, with one endpoint.
pub struct Sender {
    app: App,
    pipeline: Pipeline,
    origin: String,
    job: Value,
    _directory: tempfile::TempDir,
}

impl Sender {
    /// With an endpoint at `server` and the `values` of its secret, each put while the one before overlaps.
    pub async fn open(receiver: &Receiver, server: &ForeignServer, values: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.egress.allow_http = true;
        config.egress.allow = vec!["127.0.0.1/32".parse().unwrap()];
        config.egress.ports = vec!["1-65535".parse().unwrap()];
        let app = App::embedded(directory.path(), config, Role::Worker).await.unwrap();
        let origin = server.origin();
        let endpoint = json!({
            "customerId": "c", "endpointId": "e", "auth": [receiver.auth], "headers": receiver.headers,
            "url": format!("{origin}/hooks/Zo%C3%AB%20in?a=1&b=%C3%A9"), "retry": {"retryOn": ["5xx"]},
        });
        let endpoint = Endpoint::from_json(&endpoint.to_string()).unwrap();
        app.endpoints.put(endpoint, None, app.clock.now()).await.unwrap();
        let values = values.iter().map(|value| ("s", *value));
        for (name, value) in values.chain([("t", receiver.second)]) {
            let new = NewSecret {
                customer: "c".parse().unwrap(),
                secret: name.parse().unwrap(),
                value: SecretBytes::new(value.as_bytes().to_vec()),
                origins: [origin.parse().unwrap()].into(),
                overlap: Some(Duration::from_secs(60)),
            };
            app.vault.put(new).await.unwrap();
        }
        let pipeline = app.pipeline().unwrap();
        let mut job = json!({"id": "evt_1", "customerId": "c", "endpointId": "e"});
        job.as_object_mut().unwrap().extend(receiver.job.as_object().unwrap().clone());
        Self { app, pipeline, origin, job, _directory: directory }
    }

    /// Takes a job through the queue and the pipeline; gives its dead letter, if that is what it became.
    pub async fn deliver(&self) -> Option<DeadLetter> {
        let message = NewMessage { body: self.job.to_string().into(), ..NewMessage::default() };
        self.app.queue.send(vec![message]).await.unwrap();
        let messages = self.app.queue.receive(1, Duration::ZERO).await.unwrap();
        self.pipeline.deliver(&messages[0], &CancellationToken::new()).await;
        assert_eq!(self.app.queue.depth().await.unwrap().pending, 0, "the job is settled");
        let filter = DeadLetterFilter::default();
        let letters = self.app.deliveries.list_dead_letters(&filter, None, 9).await.unwrap();
        assert_eq!(letters.len() + self.app.tally.counts().delivered as usize, 1);
        letters.into_iter().next()
    }

    /// Sends the job's request as if it were signed at `time` and then changed; gives the status.
    pub async fn forge(&self, time: Timestamp, change: impl FnOnce(&mut OutboundRequest)) -> u16 {
        let job = self.job.to_string();
        let mut request = self.pipeline.preview(job.as_bytes(), time).await.unwrap();
        change(&mut request);
        let deadline = Instant::now() + Duration::from_secs(10);
        let reply = self.pipeline.client.send(&request, deadline, &CancellationToken::new()).await;
        reply.unwrap().result.unwrap().status
    }

    /// The job is delivered, and the receiver saw what was sent.
    pub async fn is_accepted_by(&self, server: &mut ForeignServer) {
        let letter = self.deliver().await;
        let seen = server.next();
        assert!(letter.is_none(), "{}: {seen}", seen["message"]);
        assert_eq!(seen["status"], 204);
        assert_eq!(seen["url"].as_str().unwrap().find(&self.origin), Some(0));
    }

    /// The receiver refuses the job, and it is given up.
    pub async fn is_refused_by(&self, server: &mut ForeignServer) {
        let letter = self.deliver().await.expect("the receiver refuses it");
        assert_eq!((letter.reason, letter.attempts), (Reason::Rejected, 1));
        let seen = server.next();
        assert_eq!(seen["status"], 401, "{seen}");
        assert_ne!(seen["message"], "", "the library says why");
    }
}

/// What the receiver knows, and the values of the sender's secret that are right and wrong.
#[derive(Clone, Copy)]
pub struct Keys<'k> {
    pub theirs: &'k str,
    pub ours: &'k str,
    pub wrong: &'k str,
}

impl<'k> Keys<'k> {
    /// Of a key that both sides know.
    pub fn shared(key: &'k str, wrong: &'k str) -> Self {
        Self { theirs: key, ours: key, wrong }
    }
}

/// A delivery with the right secret is accepted, one with another refused; and a request that was changed
/// after it was signed is refused.
pub async fn check(receiver: &Receiver, keys: Keys<'_>) -> (Sender, ForeignServer) {
    let mut server = receiver.start(keys.theirs);
    let stranger = Sender::open(receiver, &server, &[keys.wrong]).await;
    stranger.is_refused_by(&mut server).await;
    let sender = Sender::open(receiver, &server, &[keys.ours]).await;
    sender.is_accepted_by(&mut server).await;
    assert_eq!(sender.forge(now(), |_| {}).await, 204, "a request that nobody changed");
    let changed = sender.forge(now(), |request| {
        let mut body = request.body.to_vec();
        let at = body.iter().position(|byte| *byte == b'Z').unwrap();
        body[at] = b'z';
        request.body = body.into();
    });
    assert_eq!(changed.await, 401, "the body was changed");
    (sender, server)
}

/// As [`check`], for a receiver that looks at the time: a request of an hour ago is refused, too.
pub async fn check_with_time(receiver: &Receiver, keys: Keys<'_>) -> (Sender, ForeignServer) {
    let (sender, server) = check(receiver, keys).await;
    let ago = Timestamp::from_millis(now().as_millis() - 3_600_000);
    assert_eq!(sender.forge(ago, |_| {}).await, 401, "signed an hour ago");
    (sender, server)
}

/// Which receivers accept a delivery while two values of the secret are in use: the one that knows the
/// old value, and the one that knows the new.
pub async fn rotation(receiver: &Receiver, old: &str, new: &str) -> [bool; 2] {
    let mut accepted = [false; 2];
    for (at, key) in [old, new].into_iter().enumerate() {
        let server = receiver.start(key);
        let sender = Sender::open(receiver, &server, &[old, new]).await;
        accepted[at] = sender.deliver().await.is_none();
    }
    accepted
}
