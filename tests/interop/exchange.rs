//! What a receiver's own library accepts and refuses of what sealpost sends.

use sealpost::domain::reason::Reason;
use sealpost::domain::timestamp::Timestamp;
use serde_json::{Value, json};

use crate::receivers::ForeignServer;
use crate::sender::{Outcome, Sender, Target, json_payload, now};

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
    /// The job's payload, as in [`Target`].
    pub payload: String,
    /// Headers of the endpoint.
    pub headers: Value,
}

impl Receiver {
    /// A receiver of JSON.
    pub fn new(language: &'static str, provider: &'static str, auth: Value) -> Self {
        let headers = json!({});
        Self { language, provider, auth, second: "token", payload: json_payload(), headers }
    }

    /// Starts the program, which knows `key`.
    pub fn start(&self, key: &str) -> ForeignServer {
        let ending = if self.language == "node" { "mjs" } else { "py" };
        ForeignServer::start(&format!("receiver.{ending}"), &[self.provider, key])
    }

    /// A sender to the program, with the `values` of its secret, the newest last.
    pub async fn sender(&self, server: &ForeignServer, values: &[&str]) -> Sender {
        let values = values.iter().map(|value| ("s", *value)).chain([("t", self.second)]);
        let url = format!("{}/hooks/Zo%C3%AB%20in?a=1&b=%C3%A9", server.origin());
        Sender::open(Target {
            secrets: values.map(|(name, value)| (name, value.to_owned())).collect(),
            headers: self.headers.clone(),
            payload: self.payload.clone(),
            ..Target::new(&url, self.auth.clone(), "")
        })
        .await
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

/// The job is delivered, and the receiver saw it.
async fn is_accepted(sender: &Sender, server: &mut ForeignServer) {
    let outcome = sender.deliver().await;
    let seen = server.next();
    assert!(matches!(outcome, Outcome::Delivered), "{outcome:?}: {seen}");
    assert_eq!(seen["status"], 204);
    assert!(seen["url"].as_str().unwrap().starts_with(&server.origin()), "{seen}");
}

/// The receiver refuses the job, and it is given up.
async fn is_refused(sender: &Sender, server: &mut ForeignServer) {
    let outcome = sender.deliver().await;
    let seen = server.next();
    let Outcome::GivenUp(letter) = outcome else { panic!("{outcome:?}: {seen}") };
    assert_eq!((letter.reason, letter.attempts), (Reason::Rejected, 1));
    assert_eq!(seen["status"], 401, "{seen}");
    assert_ne!(seen["message"], "", "the library says why");
}

/// A delivery with the right secret is accepted, one with another refused; and a request that was changed
/// after it was signed is refused.
pub async fn check(receiver: &Receiver, keys: Keys<'_>) -> (Sender, ForeignServer) {
    let mut server = receiver.start(keys.theirs);
    let stranger = receiver.sender(&server, &[keys.wrong]).await;
    is_refused(&stranger, &mut server).await;
    let sender = receiver.sender(&server, &[keys.ours]).await;
    is_accepted(&sender, &mut server).await;
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
        let sender = receiver.sender(&server, &[old, new]).await;
        accepted[at] = matches!(sender.deliver().await, Outcome::Delivered);
    }
    accepted
}
