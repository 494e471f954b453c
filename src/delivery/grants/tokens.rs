//! Access tokens: fetched once for all callers, kept while they are valid, renewed before they end.
//!
//! A token server has a breaker and a budget of its own. While it fails, nobody asks it again before
//! a time that moves further away with each failure; and no more than a few calls wait for one server
//! at once.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moka::future::Cache;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{StepKey, again_at};
use crate::auth::oauth2_client_credentials::{Token, TokenFailure, TokenRequest, read};
use crate::auth::{AuthError, Call};
use crate::delivery::build::USER_AGENT;
use crate::delivery::withhold::withhold_secrets;
use crate::domain::ids::SecretId;
use crate::domain::origin::Origin;
use crate::domain::request::{HeaderValue, OutboundRequest};
use crate::domain::retry_after;
use crate::domain::secret::SecretBytes;
use crate::domain::timestamp::Timestamp;
use crate::egress::client::Client;
use crate::ports::{Chance, Clock, Error};

/// The time for one token request in all.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Most bytes of an answer that are read; tokens with many claims have some kilobytes.
const MAX_ANSWER: usize = 64 * 1024;
/// Most calls that wait for one token server at once.
const CALLS_AT_ONCE: usize = 8;
/// After a token was fetched, a refusal by the endpoint fetches no other for so long.
const RENEWAL_PAUSE: Duration = Duration::from_secs(30);
/// The first and the longest wait for a server that is out of order.
const WAIT_FOR_SERVER: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(300));
/// The first and the longest wait before a server that refuses is asked again.
const WAIT_FOR_PEOPLE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(900));
/// Longest wait that a token server may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(3600);
/// Most tokens that are kept.
const CAPACITY: u64 = 100_000;

/// Why there is no token.
#[derive(Debug, Clone)]
pub enum TokenError {
    /// The request cannot be made as configured.
    Invalid(AuthError),
    /// The token server is out of order, or busy.
    Unavailable {
        /// When it is asked again.
        until: Timestamp,
        /// What was seen.
        why: String,
    },
    /// The token server refuses.
    Refused {
        /// When it is asked again.
        until: Timestamp,
        /// What it said.
        why: String,
        /// Whether it was asked just now, by this caller.
        is_news: bool,
    },
    /// Our own fault.
    Ours(Arc<Error>),
}

impl TokenError {
    /// The same for a caller who did not ask.
    fn remembered(&self) -> Self {
        match self.clone() {
            Self::Refused { until, why, .. } => Self::Refused { until, why, is_news: false },
            other @ (Self::Invalid(_) | Self::Unavailable { .. } | Self::Ours(_)) => other,
        }
    }
}

/// The way to a token server.
#[derive(Clone, Copy)]
pub struct Egress<'p> {
    /// Makes the call.
    pub client: &'p Client,
    /// The time.
    pub clock: &'p dyn Clock,
    /// Jitter.
    pub chance: &'p dyn Chance,
}

/// The tokens.
pub struct Tokens {
    slots: Cache<StepKey, Arc<Slot>>,
    budgets: Cache<Origin, Arc<Semaphore>>,
}

/// The token of one step of one endpoint.
#[derive(Default)]
struct Slot {
    state: Mutex<State>,
    /// Held by the one who asks the server.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    basis: Option<Basis>,
    token: Option<Token>,
    fetched_at: Option<Timestamp>,
    failures: u32,
    failed: Option<TokenError>,
}

/// What a token was asked for with; with other settings or secrets, another one is asked for.
struct Basis {
    request: Arc<TokenRequest>,
    secrets: Vec<(SecretId, SecretBytes)>,
}

/// What a slot has.
enum Found {
    Fresh(Token),
    /// Still valid, but soon not.
    Ending(Token),
    Failed(TokenError),
    Nothing,
}

impl Default for Tokens {
    fn default() -> Self {
        Self { slots: Cache::new(CAPACITY), budgets: Cache::new(CAPACITY) }
    }
}

impl Tokens {
    /// A valid token for a step. Callers that come at once share one request; while a token that
    /// still is valid is renewed, the others use it.
    pub async fn get(
        &self,
        key: &StepKey,
        request: &Arc<TokenRequest>,
        call: &Call<'_>,
        egress: Egress<'_>,
    ) -> Result<Token, TokenError> {
        let slot = self.slot(key).await;
        match slot.look(request, call, egress.clock.now()) {
            Found::Fresh(token) => Ok(token),
            Found::Failed(error) => Err(error),
            Found::Ending(token) => match slot.asking.try_lock() {
                Ok(_asking) => Ok(self.fetch(&slot, request, call, egress).await.unwrap_or(token)),
                Err(_) => Ok(token),
            },
            Found::Nothing => {
                let _asking = slot.asking.lock().await;
                match slot.look(request, call, egress.clock.now()) {
                    Found::Fresh(token) | Found::Ending(token) => Ok(token),
                    Found::Failed(error) => Err(error),
                    Found::Nothing => self.fetch(&slot, request, call, egress).await,
                }
            }
        }
    }

    /// A token other than `refused`, which the endpoint did not take; `None` if there is none, or one
    /// was fetched a moment ago.
    pub async fn renew(
        &self,
        key: &StepKey,
        request: &Arc<TokenRequest>,
        refused: &Token,
        call: &Call<'_>,
        egress: Egress<'_>,
    ) -> Option<Token> {
        let slot = self.slot(key).await;
        let _asking = slot.asking.lock().await;
        let now = egress.clock.now();
        match slot.look(request, call, now) {
            Found::Fresh(token) | Found::Ending(token) if !token.value.is_same(&refused.value) => {
                return Some(token);
            }
            Found::Failed(_) => return None,
            Found::Fresh(_) | Found::Ending(_) | Found::Nothing => {}
        }
        if slot.state().fetched_at.is_some_and(|at| now < at.plus(RENEWAL_PAUSE)) {
            return None;
        }
        self.fetch(&slot, request, call, egress).await.ok()
    }

    async fn slot(&self, key: &StepKey) -> Arc<Slot> {
        match self.slots.get(key).await {
            Some(slot) => slot,
            None => self.slots.get_with(key.clone(), async { Arc::default() }).await,
        }
    }

    /// Asks the server, and keeps what comes of it.
    async fn fetch(
        &self,
        slot: &Slot,
        request: &Arc<TokenRequest>,
        call: &Call<'_>,
        egress: Egress<'_>,
    ) -> Result<Token, TokenError> {
        let answer = self.ask(request, call, egress).await;
        let mut state = slot.state();
        state.fetched_at = Some(egress.clock.now());
        match answer {
            Ok(token) => {
                (state.failures, state.failed) = (0, None);
                state.token = Some(token.clone());
                Ok(token)
            }
            Err(Answer::Invalid(error)) => Err(TokenError::Invalid(error)),
            Err(Answer::Ours(error)) => Err(TokenError::Ours(Arc::new(error))),
            Err(Answer::Failed { failure, wait }) => {
                state.failures = state.failures.saturating_add(1);
                let (now, chance) = (egress.clock.now(), egress.chance.fraction());
                let until =
                    |bounds| again_at(now, state.failures, bounds, chance).max(now.plus(wait));
                let error = match failure {
                    TokenFailure::Unavailable(why) => {
                        TokenError::Unavailable { until: until(WAIT_FOR_SERVER), why }
                    }
                    TokenFailure::Refused(why) => {
                        TokenError::Refused { until: until(WAIT_FOR_PEOPLE), why, is_news: true }
                    }
                };
                state.failed = Some(error.clone());
                Err(error)
            }
        }
    }

    async fn ask(
        &self,
        token_request: &TokenRequest,
        call: &Call<'_>,
        egress: Egress<'_>,
    ) -> Result<Token, Answer> {
        let mut request = token_request.build(call).map_err(Answer::Invalid)?;
        request.set_header("user-agent", HeaderValue::Plain(USER_AGENT.to_owned()));
        let deadline = Instant::now() + TIMEOUT;
        let busy = |why: &str| {
            let failure = TokenFailure::Unavailable(why.to_owned());
            Answer::Failed { failure, wait: Duration::ZERO }
        };
        let budget = match Origin::of(token_request.token_url()) {
            Some(origin) => self.budget(origin).await,
            None => return Err(busy("the token URL has no host")),
        };
        let permit = timeout_at(deadline, budget.acquire()).await;
        let Ok(Ok(_permit)) = permit else {
            return Err(busy("too many calls wait for the token server already"));
        };
        let stop = CancellationToken::new();
        let reply = egress.client.send_keeping(&request, MAX_ANSWER, deadline, &stop).await;
        let reply = reply.map_err(Answer::Ours)?;
        let answer = reply.result.map_err(|failure| {
            let why = format!("the token server failed ({}): {}", failure.phase, failure.detail);
            busy(&why)
        })?;
        let now = egress.clock.now();
        let asked = answer.retry_after.as_deref();
        let wait = asked.and_then(|value| retry_after::parse(value, now, LONGEST_ASKED));
        read(answer.status, &answer.excerpt, now).map_err(|failure| Answer::Failed {
            failure: without_secrets(failure, call, &request),
            wait: wait.unwrap_or_default(),
        })
    }

    async fn budget(&self, origin: Origin) -> Arc<Semaphore> {
        let new = async { Arc::new(Semaphore::new(CALLS_AT_ONCE)) };
        self.budgets.get_with(origin, new).await
    }
}

/// What asking came to, if not to a token.
enum Answer {
    Invalid(AuthError),
    Ours(Error),
    Failed { failure: TokenFailure, wait: Duration },
}

/// A token server may repeat what it was sent.
fn without_secrets(
    failure: TokenFailure,
    call: &Call<'_>,
    request: &OutboundRequest,
) -> TokenFailure {
    match failure {
        TokenFailure::Refused(why) => {
            TokenFailure::Refused(withhold_secrets(why, call.secrets, request))
        }
        TokenFailure::Unavailable(why) => {
            TokenFailure::Unavailable(withhold_secrets(why, call.secrets, request))
        }
    }
}

impl Slot {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is there for this request and these secrets; what is there for others is forgotten.
    fn look(&self, request: &Arc<TokenRequest>, call: &Call<'_>, now: Timestamp) -> Found {
        let mut state = self.state();
        if !state.is_for(request, call) {
            let secrets = request.secrets().into_iter();
            let value = |id: &SecretId| Some((id.clone(), call.all(id).first()?.clone()));
            let secrets = secrets.filter_map(value).collect();
            let basis = Basis { request: Arc::clone(request), secrets };
            *state = State { basis: Some(basis), ..State::default() };
        }
        let blocked = state.failed.as_ref().filter(|error| match error {
            TokenError::Unavailable { until, .. } | TokenError::Refused { until, .. } => {
                now < *until
            }
            TokenError::Invalid(_) | TokenError::Ours(_) => false,
        });
        match &state.token {
            Some(token) if now < token.refresh_at => Found::Fresh(token.clone()),
            Some(token) if now < token.use_until && blocked.is_some() => {
                Found::Fresh(token.clone())
            }
            Some(token) if now < token.use_until => Found::Ending(token.clone()),
            Some(_) | None => {
                blocked.map_or(Found::Nothing, |error| Found::Failed(error.remembered()))
            }
        }
    }
}

impl State {
    fn is_for(&self, request: &Arc<TokenRequest>, call: &Call<'_>) -> bool {
        let Some(basis) = &self.basis else { return false };
        let is_current = |(id, value): &(SecretId, SecretBytes)| {
            call.all(id).first().is_some_and(|current| current.is_same(value))
        };
        let same_request = Arc::ptr_eq(&basis.request, request) || basis.request == *request;
        same_request && basis.secrets.iter().all(is_current)
    }
}
