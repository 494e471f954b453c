//! Asks token servers, a few calls at once for each customer and server.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::auth::oauth2_client_credentials::{Token, TokenFailure, TokenRequest, read};
use crate::auth::{AuthError, Call};
use crate::delivery::withhold::withhold_secrets;
use crate::domain::ids::CustomerId;
use crate::domain::origin::Origin;
use crate::domain::profile::Profile;
use crate::domain::request::{HeaderValue, OutboundRequest};
use crate::domain::retry_after;
use crate::domain::secret::SecretBytes;
use crate::egress::client::{Client, Keep};
use crate::ports::{Chance, Clock, Error};
use crate::telemetry::Tally;

/// The time for one token request in all.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait for somebody else's call: for its answer, or for its place.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Most bytes of an answer that are read; tokens with many claims have some kilobytes.
const MAX_ANSWER: usize = 64 * 1024;
/// Most calls of one customer that wait for one token server at once.
const CALLS_AT_ONCE: usize = 8;
/// Longest wait that a token server may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(3600);
/// Most budgets that are kept, and for how long unused.
const CAPACITY: u64 = 100_000;
const IDLE: Duration = Duration::from_secs(3600);

/// The way to a token server.
#[derive(Clone, Copy)]
pub struct Egress<'p> {
    /// Makes the call.
    pub client: &'p Client,
    /// The time.
    pub clock: &'p dyn Clock,
    /// Jitter.
    pub chance: &'p dyn Chance,
    /// Counts what it says.
    pub tally: &'p Tally,
}

/// The token servers, with what each customer may ask of each at once.
pub struct TokenServers {
    budgets: Cache<(CustomerId, Origin), Arc<Semaphore>>,
}

impl Default for TokenServers {
    fn default() -> Self {
        Self { budgets: Cache::builder().max_capacity(CAPACITY).time_to_idle(IDLE).build() }
    }
}

impl TokenServers {
    /// Asks for a token.
    pub async fn ask(
        &self,
        token_request: &TokenRequest,
        call: &Call<'_>,
        egress: Egress<'_>,
    ) -> Result<Token, Answer> {
        let mut request = token_request.build(call).map_err(Answer::Invalid)?;
        request.set_header(
            "user-agent",
            HeaderValue::Plain(Profile::Sealpost.user_agent().to_owned()),
        );
        let budget = self.budget(call.customer_id, token_request.token_url()).await;
        let Ok(Ok(_permit)) = timeout(PATIENCE, budget.acquire()).await else {
            return Err(Answer::Busy);
        };
        let (deadline, stop) = (Instant::now() + TIMEOUT, CancellationToken::new());
        let keep = Keep { bytes: MAX_ANSWER, time: TIMEOUT };
        let reply = egress.client.send_keeping(&request, keep, deadline, &stop).await;
        let reply = reply.map_err(Answer::Ours)?;
        let failed = |failure, wait| Answer::Failed { failure, wait };
        let answer = reply.result.map_err(|failure| {
            let why = format!("the token server failed ({}): {}", failure.phase, failure.detail);
            failed(TokenFailure::Unavailable(why), Duration::ZERO)
        })?;
        let now = egress.clock.now();
        let asked = answer.retry_after.as_deref();
        let wait = asked.and_then(|value| retry_after::parse(value, now, LONGEST_ASKED));
        read(answer.status, &answer.excerpt, now).map_err(|failure| {
            failed(without_secrets(failure, call, &request), wait.unwrap_or_default())
        })
    }

    async fn budget(&self, customer: &CustomerId, url: &Url) -> Arc<Semaphore> {
        let new = async { Arc::new(Semaphore::new(CALLS_AT_ONCE)) };
        match Origin::of(url) {
            Some(origin) => self.budgets.get_with((customer.clone(), origin), new).await,
            // No call goes to a URL without a host.
            None => new.await,
        }
    }
}

/// What asking came to, if not to a token.
pub enum Answer {
    /// The request cannot be made as configured.
    Invalid(AuthError),
    /// Too many calls of ours wait for the server already.
    Busy,
    /// Our own fault.
    Ours(Error),
    /// The server gave none.
    Failed {
        /// Why.
        failure: TokenFailure,
        /// How long it asked to be left alone.
        wait: Duration,
    },
}

/// A token server may repeat what it was sent.
fn without_secrets(
    failure: TokenFailure,
    call: &Call<'_>,
    request: &OutboundRequest,
) -> TokenFailure {
    let mut secrets = call.secrets.clone();
    let form = url::form_urlencoded::parse(&request.body);
    let assertions = form.filter(|(name, _)| name == "client_assertion");
    for values in secrets.values_mut() {
        // Whichever secret it was signed with, it is as good as that for a while.
        values.extend(
            assertions.clone().map(|(_, value)| SecretBytes::new(value.as_bytes().to_vec())),
        );
    }
    match failure {
        TokenFailure::Refused(why) => {
            TokenFailure::Refused(withhold_secrets(why, &secrets, request))
        }
        TokenFailure::Unavailable(why) => {
            TokenFailure::Unavailable(withhold_secrets(why, &secrets, request))
        }
    }
}
