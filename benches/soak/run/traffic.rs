//! The load: endpoints of every sort, and jobs for them.

use std::time::Duration;

use sealpost::app::App;
use sealpost::domain::endpoint::Endpoint;
use sealpost::domain::secret::SecretBytes;
use sealpost::ports::queue::NewMessage;
use sealpost::vault::NewSecret;
use serde_json::{Value, json};

use super::dice::Dice;
use super::ledger::{Ledger, id_of};
use super::receiver::Receiver;

/// Healthy endpoints, each of a customer of its own.
const HEALTHY: usize = 20;
/// What the endpoint with a rate takes in a second.
pub const RATE: u32 = 10;

/// The sort of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Answers at once.
    Healthy(usize),
    /// Answers three of ten calls with 503.
    Flaky,
    /// Takes its time.
    Slow,
    /// Closes some connections instead of an answer.
    Resets,
    /// Has a rate, and gets as much.
    Limited,
    /// Takes every call and answers none.
    Hangs,
    /// Nobody listens.
    Dead,
}

impl Kind {
    /// All sorts but the healthy, with the share of the jobs in percent.
    const BAD: [(Self, usize); 6] = [
        (Self::Flaky, 8),
        (Self::Slow, 3),
        (Self::Resets, 3),
        (Self::Limited, 6),
        (Self::Hangs, 1),
        (Self::Dead, 1),
    ];

    /// The name of its customer, and its path.
    pub fn name(self) -> String {
        match self {
            Self::Healthy(number) => format!("healthy-{number}"),
            Self::Flaky => "flaky".to_owned(),
            Self::Slow => "slow".to_owned(),
            Self::Resets => "resets".to_owned(),
            Self::Limited => "limited".to_owned(),
            Self::Hangs => "hangs".to_owned(),
            Self::Dead => "dead".to_owned(),
        }
    }

    /// Whether its jobs arrive sooner or later.
    pub fn works(self) -> bool {
        match self {
            Self::Healthy(_) | Self::Flaky | Self::Slow | Self::Resets | Self::Limited => true,
            Self::Hangs | Self::Dead => false,
        }
    }

    fn pick(dice: &mut Dice) -> Self {
        let mut rest = dice.below(100);
        for (kind, percent) in Self::BAD {
            if rest < percent {
                return kind;
            }
            rest -= percent;
        }
        Self::Healthy(dice.below(HEALTHY))
    }

    fn endpoint(self, origin: &str) -> Value {
        // What never works is given up soon, so that the balance can be drawn.
        let (attempts, age) = if self.works() { (1000, "1h") } else { (5, "25s") };
        let retry = json!({"baseDelay": "200ms", "maxDelay": "2s", "maxAttempts": attempts,
                           "maxAge": age});
        let mut endpoint = json!({
            "customerId": self.name(), "endpointId": "e", "timeout": "2s", "retry": retry,
            "url": format!("{origin}/{}", self.name()),
            "auth": [{"scheme": "standard_webhooks", "secret": "key"}],
        });
        if self == Self::Limited {
            endpoint["limits"] = json!({"rate": format!("{RATE}/s")});
        }
        endpoint
    }
}

/// Registers all endpoints.
pub async fn register(app: &App, receiver: &Receiver) {
    let all = (0..HEALTHY).map(Kind::Healthy).chain(Kind::BAD.map(|(kind, _)| kind));
    for kind in all {
        let origin = receiver.origin(kind);
        let secret = NewSecret {
            customer: kind.name().parse().unwrap(),
            secret: "key".parse().unwrap(),
            value: SecretBytes::new(b"whsec_c2VhbHBvc3QgYmVuY2htYXJrIGtleSAxMjM0NTY3ODk=".to_vec()),
            origins: [origin.parse().unwrap()].into(),
            overlap: None,
        };
        app.vault.put(secret).await.unwrap();
        let endpoint = Endpoint::from_json(&kind.endpoint(&origin).to_string()).unwrap();
        app.endpoints.put(endpoint, None, app.clock.now()).await.unwrap();
    }
}

/// Makes jobs at a steady pace.
pub struct Traffic {
    dice: Dice,
    per_second: usize,
    made: usize,
}

impl Traffic {
    pub fn new(dice: Dice, per_second: usize) -> Self {
        Self { dice, per_second, made: 0 }
    }

    /// Sends the jobs that are due after so long.
    pub async fn send_due(&mut self, app: &App, ledger: &Ledger, gone: Duration) {
        let due = (gone.as_secs_f64() * self.per_second as f64) as usize - self.made;
        if due == 0 {
            return;
        }
        self.made += due;
        let kinds: Vec<Kind> = (0..due).map(|_| Kind::pick(&mut self.dice)).collect();
        let first = ledger.made(&kinds);
        let message = |(number, kind): (usize, &Kind)| {
            let job = json!({"id": id_of(first + number), "customerId": kind.name(),
                             "endpointId": "e", "data": {"text": "x".repeat(500)}});
            let customer = Some(kind.name().parse().unwrap());
            NewMessage { body: job.to_string().into(), customer, ..NewMessage::default() }
        };
        let messages = kinds.iter().enumerate().map(message).collect();
        // If it fails, some of them may be in the queue all the same.
        match app.queue.send(messages).await {
            Ok(_) => ledger.accepted(first, due),
            Err(error) => ledger.refused(error.to_string()),
        }
    }
}
