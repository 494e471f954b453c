//! Who calls: the key or token of a request, and what it may do.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use ipnet::IpNet;
use moka::future::Cache;

use super::failures::{Failures, Peer, address_of};
use super::problem::{Answer, Code, Problem};
use crate::access::{SESSION_ID, id_of, is_text_of};
use crate::app::App;
use crate::domain::access::{Action, ApiKey};
use crate::domain::bucket::Bucket;
use crate::domain::ids::{CustomerId, EndpointId};
use crate::domain::limits::Rate;
use crate::domain::timestamp::Timestamp;

/// Most keys that are remembered, and most whose rate is counted.
const MOST_KEYS: u64 = 10_000;

/// Who calls, recognised.
#[derive(Clone)]
pub struct Caller(pub Arc<ApiKey>);

impl Caller {
    /// Whether the action is permitted on something of `customer`, and there of `endpoint`.
    ///
    /// # Errors
    /// If it is not.
    pub fn check(
        &self,
        action: Action,
        customer: Option<&CustomerId>,
        endpoint: Option<&EndpointId>,
    ) -> Answer<()> {
        permitted(self.0.grant.allows(action, customer, endpoint))
    }

    /// Whether the action is permitted on something of `customer`, be it one endpoint alone.
    ///
    /// # Errors
    /// If it is not.
    pub fn check_reach(&self, action: Action, customer: Option<&CustomerId>) -> Answer<()> {
        permitted(self.0.grant.reaches(action, customer))
    }

    /// Whether the action is permitted on anything at all.
    ///
    /// # Errors
    /// If it is not.
    pub fn check_scope(&self, action: Action) -> Answer<()> {
        permitted(self.0.grant.permits(action))
    }
}

fn not_good() -> Problem {
    Problem::new(Code::Unauthenticated, "the key is unknown, revoked or expired")
}

fn permitted(allowed: bool) -> Answer<()> {
    if allowed {
        return Ok(());
    }
    let detail = "the key's scope, or the customers or endpoints that it is limited to, forbid it";
    Err(Problem::new(Code::Forbidden, detail))
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    /// Fails closed: a request that was not recognised at the edge has no caller.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| Problem::new(Code::Unauthenticated, "this needs a key"))
    }
}

/// How long a key that was good is remembered as one, whoever fails from the same address.
const PROVEN: Duration = Duration::from_secs(3600);

/// The keys that were seen lately, how fast each is used, and who fails to show one.
pub struct Keyring {
    known: Cache<String, Arc<ApiKey>>,
    /// Ids that no key has: whoever sends one again and again is answered without a reading.
    unknown: Cache<String, ()>,
    /// Ids of keys that were good.
    proven: Cache<String, ()>,
    failures: Failures,
    trusted_proxies: Vec<IpNet>,
    rate: Rate,
    buckets: Mutex<HashMap<String, Bucket>>,
}

impl Keyring {
    /// A ring that looks a key up anew after `lifetime`, and lets each make `per_second` requests; of
    /// `trusted_proxies` it is believed who called them.
    pub fn new(
        lifetime: Duration,
        per_second: u32,
        failures: Failures,
        trusted_proxies: Vec<IpNet>,
    ) -> Self {
        let known = Cache::builder().max_capacity(MOST_KEYS).time_to_live(lifetime).build();
        let ids = || Cache::builder().max_capacity(MOST_KEYS);
        Self {
            known,
            unknown: ids().time_to_live(lifetime).build(),
            proven: ids().time_to_idle(PROVEN).build(),
            failures,
            trusted_proxies,
            rate: Rate::new(per_second, Duration::from_secs(1), None),
            buckets: Mutex::default(),
        }
    }

    /// Who sends a request with these headers over a connection from there.
    ///
    /// # Errors
    /// If that cannot be told, the key is not good, or too many from there were not.
    pub async fn recognise(
        &self,
        app: &App,
        headers: &HeaderMap,
        peer: Option<Peer>,
    ) -> Answer<Caller> {
        let refused = |detail: &str| Problem::new(Code::Unauthenticated, detail);
        let Some(value) = headers.get(header::AUTHORIZATION) else {
            return Err(refused("send the key as `Authorization: Bearer sp_…`"));
        };
        let text = value.to_str().ok().and_then(|value| {
            let (scheme, text) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| text.trim())
        });
        let text = text.ok_or_else(|| refused("send the key as `Authorization: Bearer sp_…`"))?;
        self.recognise_text(app, text, headers, peer).await
    }

    /// Who has this text of a key or a token, in a request with these headers over a connection from
    /// there.
    ///
    /// # Errors
    /// If that cannot be told, the key is not good, or too many from there were not.
    pub async fn recognise_text(
        &self,
        app: &App,
        text: &str,
        headers: &HeaderMap,
        peer: Option<Peer>,
    ) -> Answer<Caller> {
        let id = id_of(text).ok_or_else(not_good)?;
        let (now, address) = (app.clock.now(), address_of(peer, headers, &self.trusted_proxies));
        // Whoever was recognised lately is not kept out by others who fail from the same address.
        let is_proven = self.proven.get(&id).await.is_some();
        if !is_proven {
            self.failures.count(address, now)?;
        }
        let recognised = self.holder(app, text).await;
        let has_failed = |p: &Problem| p.what() == Code::Unauthenticated;
        match (recognised.as_ref().err().is_some_and(has_failed), is_proven) {
            (true, true) => self.failures.count(address, now)?,
            (true, false) | (false, true) => {}
            (false, false) => self.failures.forgive(address),
        }
        if recognised.is_ok() && !is_proven {
            self.proven.insert(id, ()).await;
        }
        recognised
    }

    /// Who has this text of a key or a token.
    async fn holder(&self, app: &App, text: &str) -> Answer<Caller> {
        let id = id_of(text).filter(|id| !id.starts_with(SESSION_ID)).ok_or_else(not_good)?;
        Ok(Caller(self.good(app, &id, Some(text)).await?))
    }

    /// Whose session of the console this text is, with the session: the caller is the key or the token
    /// that it was begun with.
    ///
    /// # Errors
    /// If that cannot be told, or one of the two is not good any more.
    pub async fn resume(&self, app: &App, text: &str) -> Answer<(Caller, Arc<ApiKey>)> {
        let id = id_of(text).filter(|id| id.starts_with(SESSION_ID)).ok_or_else(not_good)?;
        let session = self.good(app, &id, Some(text)).await?;
        let holder = session.minted_by.as_deref().ok_or_else(not_good)?;
        Ok((Caller(self.good(app, holder, None).await?), session))
    }

    /// What has this id, if it is good, and all that it ends with is; with a text, if that is its own.
    async fn good(&self, app: &App, id: &str, text: Option<&str>) -> Answer<Arc<ApiKey>> {
        let now = app.clock.now();
        let found = self.key(app, id).await?.filter(|key| text.is_none_or(|t| is_text_of(key, t)));
        let found = found.filter(|key| key.is_good(now)).ok_or_else(not_good)?;
        // A session of a token of a key: no chain is longer.
        let (mut above, mut steps) = (found.minted_by.clone(), 0);
        while let Some(id) = above {
            let parent = self.key(app, &id).await?.filter(|key| key.is_good(now) && steps < 3);
            above = parent.ok_or_else(not_good)?.minted_by.clone();
            steps += 1;
        }
        Ok(found)
    }

    async fn key(&self, app: &App, id: &str) -> Answer<Option<Arc<ApiKey>>> {
        if let Some(key) = self.known.get(id).await {
            return Ok(Some(key));
        }
        if self.unknown.get(id).await.is_some() {
            return Ok(None);
        }
        let Some(key) = app.control.get_key(id).await?.map(Arc::new) else {
            self.unknown.insert(id.to_owned(), ()).await;
            return Ok(None);
        };
        // Only what exists is kept here: made-up ids push nothing out.
        self.known.insert(id.to_owned(), Arc::clone(&key)).await;
        Ok(Some(key))
    }

    /// Looks the key up anew at its next use.
    pub async fn forget(&self, id: &str) {
        self.known.invalidate(id).await;
    }

    /// Looks every key and token up anew at its next use.
    pub fn forget_all(&self) {
        self.known.invalidate_all();
    }

    /// Counts one request of the caller.
    ///
    /// # Errors
    /// If there were too many.
    pub fn count(&self, caller: &Caller, now: Timestamp) -> Answer<()> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        // Everybody begins anew then: it bounds the memory, and a burst more does no harm.
        if buckets.len() as u64 >= MOST_KEYS && !buckets.contains_key(&caller.0.id) {
            buckets.clear();
        }
        let bucket = buckets.entry(caller.0.id.clone()).or_default();
        match bucket.take(&self.rate, now, Duration::ZERO) {
            Ok(_) => Ok(()),
            Err(at) => {
                let seconds = at.since(now).as_millis().div_ceil(1000);
                let detail = format!("more than {} requests a second", self.rate.count);
                let problem = Problem::new(Code::RateLimited, detail);
                Err(problem.retry_after(u32::try_from(seconds).unwrap_or(1)))
            }
        }
    }
}
