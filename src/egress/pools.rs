//! Pools of connections: one for all calls without a client certificate, and one for each identity,
//! so that no customer's connection can serve another.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use moka::future::Cache;
use tokio_rustls::TlsConnector;

use super::connector::GuardedConnector;
use super::guard::Guard;
use super::resolver::Resolver;
use super::tls::Trust;
use crate::domain::client_identity::ClientIdentity;
use crate::ports::{Error, Result};

/// Longest time for each of lookup, connection and TLS handshake; the call's own deadline, if it is
/// sooner, cuts them shorter.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an unused connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Unused connections kept for one host, in one pool.
const MAX_IDLE_PER_HOST: usize = 64;
/// Largest head of a response.
const MAX_HEAD: usize = 64 * 1024;
/// Identities whose connections are kept; the least recently used go first.
const MAX_IDENTITIES: u64 = 1024;
/// How long the pool of an unused identity is kept: not longer than its last connection.
const IDENTITY_IDLE: Duration = Duration::from_secs(60);

/// A pool of connections.
pub type Pool = HyperClient<GuardedConnector, Full<Bytes>>;

/// All pools.
pub struct Pools {
    guard: Arc<Guard>,
    resolver: Arc<dyn Resolver>,
    trust: Trust,
    anonymous: Pool,
    by_identity: Cache<[u8; 32], Pool>,
}

impl Pools {
    /// No connections yet.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn new(guard: Arc<Guard>, resolver: Arc<dyn Resolver>, trust: Trust) -> Result<Self> {
        let anonymous = pool(&guard, &resolver, &trust, None)?;
        let by_identity =
            Cache::builder().max_capacity(MAX_IDENTITIES).time_to_idle(IDENTITY_IDLE).build();
        Ok(Self { guard, resolver, trust, anonymous, by_identity })
    }

    /// The pool for calls as `identity`.
    ///
    /// # Errors
    /// If the identity cannot be used.
    pub async fn of(&self, identity: Option<&ClientIdentity>) -> Result<Pool> {
        let Some(identity) = identity else { return Ok(self.anonymous.clone()) };
        if let Some(pool) = self.by_identity.get(&identity.fingerprint).await {
            return Ok(pool);
        }
        let make = async { pool(&self.guard, &self.resolver, &self.trust, Some(identity)) };
        let made = self.by_identity.try_get_with(identity.fingerprint, make).await;
        made.map_err(|e| Error::new(e.operation, e.source.to_string()))
    }
}

fn pool(
    guard: &Arc<Guard>,
    resolver: &Arc<dyn Resolver>,
    trust: &Trust,
    identity: Option<&ClientIdentity>,
) -> Result<Pool> {
    let connector = GuardedConnector {
        guard: Arc::clone(guard),
        resolver: Arc::clone(resolver),
        tls: TlsConnector::from(trust.client_config(identity)?),
        timeout: CONNECT_TIMEOUT,
    };
    Ok(HyperClient::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(MAX_IDLE_PER_HOST)
        .http1_max_buf_size(MAX_HEAD)
        .http1_ignore_invalid_headers_in_responses(true)
        .build(connector))
}
