//! The token of one step of one endpoint, and what became of asking for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest::{Context, SHA256};

use super::tokens::TokenError;
use crate::auth::Call;
use crate::auth::oauth2_client_credentials::{Token, TokenRequest};
use crate::domain::timestamp::Timestamp;

/// The token of one step of one endpoint.
#[derive(Default)]
pub struct Slot {
    state: Mutex<State>,
    /// Held by the one who asks the server.
    pub asking: tokio::sync::Mutex<()>,
}

/// What is known of it.
#[derive(Default)]
pub struct State {
    /// What all of this is about.
    pub basis: Option<Basis>,
    /// The token, valid or not.
    pub token: Option<Token>,
    /// When the token was fetched.
    pub fetched_at: Option<Timestamp>,
    /// How often in a row the server has failed or refused.
    pub failures: u32,
    /// Nobody asks before then, because of this.
    pub blocked: Option<(Timestamp, TokenError)>,
}

/// What a token was asked for with; with other settings or secrets, another one is asked for.
#[derive(PartialEq, Eq)]
pub struct Basis {
    request: Arc<TokenRequest>,
    /// SHA-256 of the secrets: their values live no longer than the vault keeps them.
    secrets: [u8; 32],
}

/// What a slot has.
pub enum Found {
    /// A token to be used.
    Fresh(Token),
    /// Still valid, but soon not.
    Ending(Token),
    /// The server is not asked now, because of this.
    Failed(TokenError),
    /// Nothing.
    Nothing,
}

impl Basis {
    /// What a call asks with.
    pub fn of(request: &Arc<TokenRequest>, call: &Call<'_>) -> Self {
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
    /// What is known.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is there for this request and these secrets; what is there for others is forgotten.
    pub fn look(&self, request: &Arc<TokenRequest>, call: &Call<'_>, now: Timestamp) -> Found {
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
            Some(_) | None => blocked.map_or(Found::Nothing, Found::Failed),
        }
    }
}

impl State {
    /// Why nobody asks now, if nobody does.
    pub fn blocked(&self, now: Timestamp) -> Option<TokenError> {
        let (until, error) = self.blocked.as_ref()?;
        (now < *until).then(|| error.clone())
    }
}
