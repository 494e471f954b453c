//! Access tokens: fetched once for all callers, kept while they are valid, renewed before they end.
//!
//! A token server has a breaker and a budget of its own. While it fails, nobody asks it again before
//! a time that moves further away with each failure; and no more than a few calls wait for one server
//! at once.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use tokio::time::timeout;

use super::slot::{Basis, Found, Slot};
use super::token_server::{Answer, Egress, PATIENCE, TIMEOUT, TokenServers};
use super::{Bounds, StepKey, again_at};
use crate::auth::oauth2_client_credentials::{Token, TokenFailure, TokenRequest};
use crate::auth::{AuthError, Call};
use crate::domain::timestamp::Timestamp;
use crate::ports::Error;
use crate::telemetry::metrics::label::TokenResult;

/// After a token was fetched, a refusal by the endpoint fetches no other for so long.
const RENEWAL_PAUSE: Duration = Duration::from_secs(30);
/// The first and the longest wait for a server that is out of order.
const WAIT_FOR_SERVER: Bounds = (Duration::from_secs(2), Duration::from_secs(300));
/// The first and the longest wait before a server that refuses is asked again.
const WAIT_FOR_PEOPLE: Bounds = (Duration::from_secs(60), Duration::from_secs(900));
/// The wait after a fault of ours, or where too many calls wait already.
const WAIT_FOR_US: Bounds = (Duration::from_secs(2), Duration::from_secs(2));
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

/// The tokens.
pub struct Tokens {
    slots: Cache<StepKey, Arc<Slot>>,
    servers: TokenServers,
}

impl Default for Tokens {
    fn default() -> Self {
        let slots = Cache::builder().max_capacity(CAPACITY).time_to_idle(IDLE).build();
        Self { slots, servers: TokenServers::default() }
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
            Found::Nothing => {
                let asking = timeout(PATIENCE, slot.asking.lock()).await;
                let Ok(_asking) = asking else { return Err(busy(egress)) };
                match slot.look(request, call, egress.clock.now()) {
                    Found::Fresh(token) | Found::Ending(token) => Ok(token),
                    Found::Failed(error) => Err(error),
                    Found::Nothing => self.fetch(&slot, request, call, egress).await,
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
            Found::Fresh(_) | Found::Ending(_) | Found::Nothing => {}
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
        let answer = self.servers.ask(request, call, egress).await;
        if let Some(result) = told(&answer) {
            egress.tally.counters.token_requests.of(result).one();
        }
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
            state.failures = if result.is_ok() { 0 } else { failures };
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
}

/// What a token server said; `None` if others ask it already.
fn told(answer: &Result<Token, Answer>) -> Option<TokenResult> {
    match answer {
        Ok(_) => Some(TokenResult::Granted),
        Err(Answer::Failed { failure: TokenFailure::Refused(_), .. }) => Some(TokenResult::Refused),
        Err(Answer::Failed { failure: TokenFailure::Unavailable(_), .. }) => {
            Some(TokenResult::Unavailable)
        }
        Err(Answer::Invalid(_) | Answer::Ours(_)) => Some(TokenResult::Failed),
        Err(Answer::Busy) => None,
    }
}

/// Nobody asked: the server is not to blame, and is asked soon.
fn busy(egress: Egress<'_>) -> TokenError {
    let until = again_at(egress.clock.now(), 1, WAIT_FOR_US, egress.chance.fraction());
    let why = "others wait for the token server already".to_owned();
    TokenError::Unavailable { until, why }
}
