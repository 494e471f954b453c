//! Access tokens: fetched once for all callers, kept while they are valid, renewed before they end.
//!
//! A token server has a breaker and a budget of its own. While it fails, nobody asks it again before
//! a time that moves further away with each failure; and no more than a few calls wait for one server
//! at once.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use moka::future::Cache;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{Bounds, StepKey, again_at};
use crate::auth::oauth2_client_credentials::{Token, TokenFailure, TokenRequest, read};
use crate::auth::{AuthError, Call};
use crate::delivery::build::USER_AGENT;
use crate::delivery::withhold::withhold_secrets;
use crate::domain::ids::CustomerId;
use crate::domain::origin::Origin;
use crate::domain::request::{HeaderValue, OutboundRequest};
use crate::domain::retry_after;
use crate::domain::secret::SecretBytes;
use crate::domain::timestamp::Timestamp;
use crate::egress::client::{Client, Keep};
use crate::ports::{Chance, Clock, Error};

/// The time for one token request in all.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Most bytes of an answer that are read; tokens with many claims have some kilobytes.
const MAX_ANSWER: usize = 64 * 1024;
/// Most calls of one customer that wait for one token server at once.
const CALLS_AT_ONCE: usize = 8;
/// Longest wait for somebody else's call: for its answer, or for its place.
const PATIENCE: Duration = Duration::from_secs(10);
/// After a token was fetched, a refusal by the endpoint fetches no other for so long.
const RENEWAL_PAUSE: Duration = Duration::from_secs(30);
/// The first and the longest wait for a server that is out of order.
const WAIT_FOR_SERVER: Bounds = (Duration::from_secs(2), Duration::from_secs(300));
/// The first and the longest wait before a server that refuses is asked again.
const WAIT_FOR_PEOPLE: Bounds = (Duration::from_secs(60), Duration::from_secs(900));
/// The wait after a fault of ours, or where too many calls wait already.
const WAIT_FOR_US: Bounds = (Duration::from_secs(2), Duration::from_secs(2));
/// Longest wait that a token server may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(3600);
/// Most tokens that are kept.
const CAPACITY: u64 = 100_000;
/// How long an unused token is kept.
const IDLE: Duration = Duration::from_secs(3600);
/// Longest time from a refusal to a renewed token.
pub const LONGEST_RENEWAL: Duration =
    Duration::from_secs(PATIENCE.as_secs() * 2 + TIMEOUT.as_secs());

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
    budgets: Cache<(CustomerId, Origin), Arc<Semaphore>>,
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
    /// When the token was fetched.
    fetched_at: Option<Timestamp>,
    failures: u32,
    /// Nobody asks before then, because of this.
    blocked: Option<(Timestamp, TokenError)>,
    /// How often the server was asked, and what the last answer came to.
    asked: u64,
    last: Option<Result<Token, TokenError>>,
}

/// What a token was asked for with; with other settings or secrets, another one is asked for.
#[derive(PartialEq, Eq)]
struct Basis {
    request: Arc<TokenRequest>,
    /// SHA-256 of the secrets: their values live no longer than the vault keeps them.
    secrets: [u8; 32],
}

/// What a slot has.
enum Found {
    Fresh(Token),
    /// Still valid, but soon not.
    Ending(Token),
    Failed(TokenError),
    /// Nothing, after the server was asked so many times.
    Nothing(u64),
}

impl Default for Tokens {
    fn default() -> Self {
        let slots = Cache::builder().max_capacity(CAPACITY).time_to_idle(IDLE).build();
        let budgets = Cache::builder().max_capacity(CAPACITY).time_to_idle(IDLE).build();
        Self { slots, budgets }
    }
}

impl Tokens {
    /// A valid token for a step. Callers that come at once share one request and what comes of it;
    /// while a token that still is valid is renewed, the others use it.
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
            Found::Ending(token) => {
                let Ok(_asking) = slot.asking.try_lock() else { return Ok(token) };
                if let Found::Fresh(token) = slot.look(request, call, egress.clock.now()) {
                    return Ok(token);
                }
                let renewed = self.fetch(&slot, request, call, egress).await;
                renewed.or_else(|error| {
                    let still_valid = egress.clock.now() < token.use_until;
                    if still_valid { Ok(token) } else { Err(error) }
                })
            }
            Found::Nothing(asked) => {
                let asking = timeout(PATIENCE, slot.asking.lock()).await;
                let Ok(_asking) = asking else { return Err(busy(egress)) };
                match slot.look(request, call, egress.clock.now()) {
                    Found::Fresh(token) | Found::Ending(token) => Ok(token),
                    Found::Failed(error) => Err(error),
                    Found::Nothing(now) if now != asked => slot.last(),
                    Found::Nothing(_) => self.fetch(&slot, request, call, egress).await,
                }
            }
        }
    }

    /// A token other than `refused`, which the endpoint did not take; `None` if one was fetched a
    /// moment ago.
    ///
    /// # Errors
    /// If there is none to be had; the refused one is not used again.
    pub async fn renew(
        &self,
        key: &StepKey,
        request: &Arc<TokenRequest>,
        refused: &Token,
        call: &Call<'_>,
        egress: Egress<'_>,
    ) -> Result<Option<Token>, TokenError> {
        let slot = self.slot(key).await;
        let asking = timeout(PATIENCE, slot.asking.lock()).await;
        let Ok(_asking) = asking else { return Err(busy(egress)) };
        let now = egress.clock.now();
        match slot.look(request, call, now) {
            Found::Fresh(token) | Found::Ending(token) if !token.value.is_same(&refused.value) => {
                return Ok(Some(token));
            }
            Found::Failed(error) => return Err(error),
            Found::Fresh(_) | Found::Ending(_) | Found::Nothing(_) => {}
        }
        let mut moment = slot.state().fetched_at.into_iter();
        // A clock that was set back knows of fetches in the future.
        if moment.any(|at| at <= now && now < at.plus(RENEWAL_PAUSE)) {
            return Ok(None);
        }
        slot.state().token = None;
        if let Some(error) = slot.state().blocked(now) {
            return Err(error);
        }
        self.fetch(&slot, request, call, egress).await.map(Some)
    }

    async fn slot(&self, key: &StepKey) -> Arc<Slot> {
        match self.slots.get(key).await {
            Some(slot) => slot,
            None => self.slots.get_with(key.clone(), async { Arc::default() }).await,
        }
    }

    /// Asks the server, and keeps what comes of it for those who ask with the same.
    async fn fetch(
        &self,
        slot: &Slot,
        request: &Arc<TokenRequest>,
        call: &Call<'_>,
        egress: Egress<'_>,
    ) -> Result<Token, TokenError> {
        let answer = self.ask(request, call, egress).await;
        let (now, chance) = (egress.clock.now(), egress.chance.fraction());
        let mut state = slot.state();
        let failures = match &answer {
            Err(Answer::Failed { .. }) => state.failures.saturating_add(1),
            Ok(_) | Err(Answer::Invalid(_) | Answer::Busy | Answer::Ours(_)) => state.failures,
        };
        let at = |bounds, wait| again_at(now, failures, bounds, chance).max(now.plus(wait));
        let result = match answer {
            Ok(token) => Ok(token),
            Err(Answer::Invalid(error)) => Err((None, TokenError::Invalid(error))),
            Err(Answer::Busy) => Err((None, busy(egress))),
            Err(Answer::Ours(error)) => {
                let until = at(WAIT_FOR_US, Duration::ZERO);
                Err((Some(until), TokenError::Ours(Arc::new(error))))
            }
            Err(Answer::Failed { failure: TokenFailure::Unavailable(why), wait }) => {
                let until = at(WAIT_FOR_SERVER, wait);
                Err((Some(until), TokenError::Unavailable { until, why }))
            }
            Err(Answer::Failed { failure: TokenFailure::Refused(why), wait }) => {
                let until = at(WAIT_FOR_PEOPLE, wait);
                Err((Some(until), TokenError::Refused { until, why, is_news: true }))
            }
        };
        // Others may have begun to ask with other secrets or settings: this is no answer to them.
        let is_current = state.basis == Some(Basis::of(request, call));
        if is_current {
            state.asked += 1;
            state.failures = if result.is_ok() { 0 } else { failures };
            state.last = Some(result.clone().map_err(|(_, error)| error.remembered()));
        }
        match result {
            Ok(token) => {
                if is_current {
                    (state.token, state.fetched_at) = (Some(token.clone()), Some(now));
                    state.blocked = None;
                }
                Ok(token)
            }
            Err((until, error)) => {
                if is_current {
                    state.blocked = until.map(|until| (until, error.remembered()));
                    return Err(error);
                }
                Err(error.remembered())
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
enum Answer {
    Invalid(AuthError),
    /// Too many calls of ours wait for the server already.
    Busy,
    Ours(Error),
    Failed {
        failure: TokenFailure,
        wait: Duration,
    },
}

/// Nobody asked: the server is not to blame, and is asked soon.
fn busy(egress: Egress<'_>) -> TokenError {
    let until = again_at(egress.clock.now(), 1, WAIT_FOR_US, egress.chance.fraction());
    let why = "others wait for the token server already".to_owned();
    TokenError::Unavailable { until, why }
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

impl Basis {
    fn of(request: &Arc<TokenRequest>, call: &Call<'_>) -> Self {
        let mut hash = Context::new(&SHA256);
        for id in request.secrets() {
            for value in call.all(id).iter().take(1) {
                hash.update(&value.expose().len().to_be_bytes());
                hash.update(value.expose());
            }
        }
        let mut secrets = [0; 32];
        secrets.copy_from_slice(hash.finish().as_ref());
        Self { request: Arc::clone(request), secrets }
    }
}

impl Slot {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is there for this request and these secrets; what is there for others is forgotten.
    fn look(&self, request: &Arc<TokenRequest>, call: &Call<'_>, now: Timestamp) -> Found {
        let basis = Basis::of(request, call);
        let mut state = self.state();
        if state.basis.as_ref() != Some(&basis) {
            *state = State { basis: Some(basis), ..State::default() };
        }
        let blocked = state.blocked(now);
        match &state.token {
            Some(token) if now < token.refresh_at => Found::Fresh(token.clone()),
            Some(token) if now < token.use_until && blocked.is_some() => {
                Found::Fresh(token.clone())
            }
            Some(token) if now < token.use_until => Found::Ending(token.clone()),
            Some(_) | None => blocked.map_or(Found::Nothing(state.asked), Found::Failed),
        }
    }

    /// What the last answer came to.
    fn last(&self) -> Result<Token, TokenError> {
        let nobody = || Err(TokenError::Invalid(AuthError::new("the token server was not asked")));
        self.state().last.clone().unwrap_or_else(nobody)
    }
}

impl State {
    fn blocked(&self, now: Timestamp) -> Option<TokenError> {
        let (until, error) = self.blocked.as_ref()?;
        (now < *until).then(|| error.clone())
    }
}
