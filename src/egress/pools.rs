//! Pools of connections: one for all calls without a client certificate that ask for nothing special,
//! and one for each identity and each other demand, so that no customer's connection can serve
//! another, and none that asks for more is served by one made for less.

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
use crate::domain::connection::Connection;
use crate::ports::{Error, Result};

/// How long an unused connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Unused connections kept for one host, in one pool.
const MAX_IDLE_PER_HOST: usize = 64;
/// Largest head of a response.
const MAX_HEAD: usize = 64 * 1024;
/// Pools that are kept besides the first; the least recently used go first.
const MAX_POOLS: u64 = 1024;
/// How long an unused pool is kept: not longer than its last connection.
const POOL_IDLE: Duration = Duration::from_secs(60);

/// A pool of connections.
pub type Pool = HyperClient<GuardedConnector, Full<Bytes>>;

/// The fingerprint of an identity, if there is one, and what is asked of connections.
type Key = (Option<[u8; 32]>, Connection);

/// All pools.
pub struct Pools {
    guard: Arc<Guard>,
    resolver: Arc<dyn Resolver>,
    trust: Trust,
    usual: Pool,
    others: Cache<Key, Pool>,
}

impl Pools {
    /// No connections yet.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn new(guard: Arc<Guard>, resolver: Arc<dyn Resolver>, trust: Trust) -> Result<Self> {
        let usual = pool(&guard, &resolver, &trust, None, Connection::default())?;
        let others = Cache::builder().max_capacity(MAX_POOLS).time_to_idle(POOL_IDLE).build();
        Ok(Self { guard, resolver, trust, usual, others })
    }

    /// The pool for calls as `identity` that ask this of their connections.
    ///
    /// # Errors
    /// If the identity cannot be used.
    pub async fn of(
        &self,
        identity: Option<&ClientIdentity>,
        connection: Connection,
    ) -> Result<Pool> {
        if identity.is_none() && connection == Connection::default() {
            return Ok(self.usual.clone());
        }
        let key = (identity.map(|identity| identity.fingerprint), connection);
        if let Some(pool) = self.others.get(&key).await {
            return Ok(pool);
        }
        let make = async { pool(&self.guard, &self.resolver, &self.trust, identity, connection) };
        let made = self.others.try_get_with(key, make).await;
        made.map_err(|e| Error::new(e.operation, e.source.to_string()))
    }
}

fn pool(
    guard: &Arc<Guard>,
    resolver: &Arc<dyn Resolver>,
    trust: &Trust,
    identity: Option<&ClientIdentity>,
    connection: Connection,
) -> Result<Pool> {
    let connector = GuardedConnector {
        guard: Arc::clone(guard),
        resolver: Arc::clone(resolver),
        tls: TlsConnector::from(trust.client_config(identity, connection.min_tls)?),
        timeout: connection.connect_timeout,
    };
    Ok(HyperClient::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(MAX_IDLE_PER_HOST)
        .http1_max_buf_size(MAX_HEAD)
        .http1_ignore_invalid_headers_in_responses(true)
        .build(connector))
}
