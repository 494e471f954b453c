//! The endpoints as the pipeline uses them: checked, compiled and cached together with their health.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::limiters::{Limiters, Meter};
use super::parameters::Parameters;
use crate::auth::{Chain, Part};
use crate::cache::{Aged, Lifetimes, Passing, SoftCache, Usage};
use crate::domain::endpoint::Endpoint;
use crate::domain::field::FieldError;
use crate::domain::health::HealthRecord;
use crate::domain::ids::{CustomerId, EndpointId, SecretId};
use crate::domain::origin::Origin;
use crate::domain::retry_policy::RetryPolicy;
use crate::egress::guard::Guard;
use crate::ports::endpoints::StoredEndpoint;
use crate::ports::{Changes, Error, HealthStore, ReadEndpoints};
use crate::transform::Transform;

/// An endpoint ready for use.
pub struct KnownEndpoint {
    /// The version of its configuration.
    pub version: u64,
    /// The configuration.
    pub endpoint: Endpoint,
    /// Its auth steps.
    pub chain: Chain,
    /// What it puts into every call.
    pub parameters: Parameters,
    /// What makes the body.
    pub transform: Transform,
    /// When failures are tried again.
    pub retry: RetryPolicy,
    /// As [`destinations`] gives them.
    pub secrets: Vec<(SecretId, Vec<Origin>)>,
    /// What was learnt of it.
    pub record: HealthRecord,
    /// Its limits, as far as they are used: the same for every reading of its configuration.
    pub meter: Meter,
    /// Whether a call has judged its authorization since it was read.
    judged: AtomicBool,
}

impl KnownEndpoint {
    /// An endpoint with all that follows from its configuration.
    pub fn new(
        stored: StoredEndpoint,
        compiled: Compiled,
        record: HealthRecord,
        meter: Meter,
    ) -> Self {
        let StoredEndpoint { version, endpoint, .. } = stored;
        let Compiled { chain, parameters, transform, retry } = compiled;
        let secrets = destinations(&endpoint, &chain);
        Self {
            version,
            endpoint,
            chain,
            parameters,
            transform,
            retry,
            secrets,
            record,
            meter,
            judged: AtomicBool::new(false),
        }
    }

    /// Whether nobody else has judged its authorization since it was read: of many calls that find out the
    /// same at once, one writes it.
    pub fn is_first_to_judge(&self) -> bool {
        !self.judged.swap(true, Ordering::Relaxed)
    }
}

impl Aged for KnownEndpoint {}

/// What an endpoint's configuration is made into, once for each version of it.
pub struct Compiled {
    /// Its auth steps.
    pub chain: Chain,
    /// What it puts into every call.
    pub parameters: Parameters,
    /// What makes the body.
    pub transform: Transform,
    /// When failures are tried again.
    pub retry: RetryPolicy,
}

/// Why an endpoint cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// There is none.
    #[error("it does not exist")]
    Unknown,
    /// Its configuration is wrong.
    #[error(transparent)]
    Invalid(FieldError),
    /// The store failed.
    #[error(transparent)]
    Ours(#[from] Error),
}

impl Passing for LookupError {
    fn is_passing(&self) -> bool {
        match self {
            Self::Ours(_) => true,
            Self::Unknown | Self::Invalid(_) => false,
        }
    }
}

/// Checks everything about an endpoint that can be checked without its secrets: used when it is
/// registered and again when it is loaded.
pub fn compile(endpoint: &Endpoint, guard: &Guard) -> Result<Compiled, FieldError> {
    let example = endpoint.url.example();
    let url = guard.check_url(&example).map_err(|e| FieldError::new("url", e.to_string()))?;
    if let Err(e) = url.as_str().parse::<http::Uri>() {
        return Err(FieldError::new("url", format!("cannot be sent in a request: {e}")));
    }
    let headers = endpoint.headers.keys().map(|name| Part::Header(name.to_ascii_lowercase()));
    let query = endpoint.query.keys().map(|name| Part::Query(name.clone()));
    let chain = Chain::compile(&endpoint.auth, headers.chain(query))?;
    if endpoint.compression.is_some() && chain.sets().any(|part| matches!(part, Part::Body(_))) {
        let problem =
            "an auth step puts its signature into the body, which cannot be compressed before";
        return Err(FieldError::new("compression", problem));
    }
    for (path, url) in chain.places() {
        guard.check_parsed(url).map_err(|e| FieldError::new(path, e.to_string()))?;
    }
    let parameters = Parameters::compile(endpoint)?;
    let transform = Transform::compile(&endpoint.body_of_rule())?;
    Ok(Compiled { chain, parameters, transform, retry: endpoint.retry_policy()? })
}

/// Every secret that a call needs, each once, with the origins that it goes to.
pub fn destinations(endpoint: &Endpoint, chain: &Chain) -> Vec<(SecretId, Vec<Origin>)> {
    let mut ids = chain.secrets();
    ids.extend(endpoint.secrets().cloned());
    ids.sort();
    ids.dedup();
    let with_origins = |id: SecretId| {
        let elsewhere = chain.places_of(&id).filter_map(Origin::of);
        let origins = std::iter::once(endpoint.url.origin().clone()).chain(elsewhere).collect();
        (id, origins)
    };
    ids.into_iter().map(with_origins).collect()
}

/// Looks endpoints up.
#[derive(Clone)]
pub struct EndpointBook {
    endpoints: Arc<dyn ReadEndpoints>,
    health: Arc<dyn HealthStore>,
    guard: Arc<Guard>,
    limiters: Limiters,
    known: Arc<SoftCache<(CustomerId, EndpointId), KnownEndpoint>>,
    soft: Duration,
}

impl EndpointBook {
    /// A book over the stores.
    pub fn new(
        endpoints: Arc<dyn ReadEndpoints>,
        health: Arc<dyn HealthStore>,
        guard: Arc<Guard>,
        limiters: Limiters,
        lifetimes: Lifetimes,
    ) -> Self {
        let known = Arc::new(SoftCache::new(lifetimes));
        Self { endpoints, health, guard, limiters, known, soft: lifetimes.soft }
    }

    /// Endpoints are read anew only after changes, as far as these are known.
    pub fn watch(&self, changes: Arc<dyn Changes>) {
        self.known.watch(changes);
    }

    /// What was read then or later is not older than the soft lifetime at `now`.
    pub fn fresh_since(&self, now: Instant) -> Instant {
        now.checked_sub(self.soft).unwrap_or(now)
    }

    /// The endpoint: from the cache where it is fresh enough, or as it was read at `since` or later.
    pub async fn find(
        &self,
        customer: &CustomerId,
        endpoint: &EndpointId,
        since: Option<Instant>,
    ) -> Result<Arc<KnownEndpoint>, Arc<LookupError>> {
        let key = (customer.clone(), endpoint.clone());
        if since.is_none()
            && let Some(known) = self.known.fresh(&key)
        {
            return Ok(known);
        }
        let (book, wanted) = (self.clone(), key.clone());
        let read = Box::pin(async move { book.read(&wanted.0, &wanted.1).await });
        match since {
            None => Box::pin(self.known.get(&key, read)).await,
            Some(since) => Box::pin(self.known.get_since(&key, since, read)).await,
        }
    }

    /// How the cache of endpoints is used.
    pub fn usage(&self) -> Usage<'_> {
        self.known.usage()
    }

    /// How many breakers are open, and how many half open.
    pub fn breakers(&self) -> (u64, u64) {
        self.limiters.breakers()
    }

    /// Forgets what is cached of an endpoint: something was learnt of it.
    pub async fn forget(&self, customer: &CustomerId, endpoint: &EndpointId) {
        self.known.forget(&(customer.clone(), endpoint.clone())).await;
    }

    /// All endpoints of a customer as they are now, past the cache.
    pub async fn of_customer(&self, customer: &CustomerId) -> Result<Vec<StoredEndpoint>, Error> {
        self.endpoints.list(Some(customer)).await
    }

    async fn read(
        &self,
        customer: &CustomerId,
        endpoint: &EndpointId,
    ) -> Result<KnownEndpoint, LookupError> {
        let stored = self.endpoints.get(customer, endpoint).await?.ok_or(LookupError::Unknown)?;
        let compiled = compile(&stored.endpoint, &self.guard).map_err(LookupError::Invalid)?;
        let record = self.health.read(customer, endpoint, stored.version).await?;
        let meter = self.limiters.of(customer, endpoint).await;
        Ok(KnownEndpoint::new(stored, compiled, record, meter))
    }
}
