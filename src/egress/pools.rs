//! Pools of connections: one for each kind of connection without a client certificate, and one for
//! each kind and identity, so that no customer's connection can serve another, and none serves a call
//! that asks for more than it has.

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
use super::notes::Notes;
use super::proxy::Proxy;
use super::resolver::Resolver;
use super::tls::Trust;
use crate::domain::client_identity::ClientIdentity;
use crate::domain::connection::{Connection, HttpVersion, TlsVersion};
use crate::ports::{Error, Result};

/// How long an unused connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Unused connections kept for one host, in one pool: as many as a worker has calls in hand, or a busy
/// host's would be closed and opened all the time.
const MAX_IDLE_PER_HOST: usize = 256;
/// Largest head of a response.
const MAX_HEAD: u32 = 64 * 1024;
/// What an HTTP/2 server may send of one body before it is read: what is read of it at all.
const STREAM_WINDOW: u32 = 64 * 1024;
/// And of all bodies on one connection.
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// How often an HTTP/2 connection is tried.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// After this without an answer, it is closed.
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// Identities whose connections are kept; the least recently used go first.
const MAX_IDENTITIES: u64 = 1024;
/// How long the pool of an unused identity is kept: not longer than its last connection.
const IDENTITY_IDLE: Duration = Duration::from_secs(60);

/// A pool of connections.
pub type Pool = HyperClient<GuardedConnector, Full<Bytes>>;

/// What all connections of a pool have in common, whoever they are shown to be from. The time for
/// making one is no part of it: each call brings its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Kind {
    min_tls: TlsVersion,
    http: HttpVersion,
}

impl Kind {
    const ALL: [Self; 4] = [
        Self { min_tls: TlsVersion::V1_2, http: HttpVersion::V1_1 },
        Self { min_tls: TlsVersion::V1_3, http: HttpVersion::V1_1 },
        Self { min_tls: TlsVersion::V1_2, http: HttpVersion::V2 },
        Self { min_tls: TlsVersion::V1_3, http: HttpVersion::V2 },
    ];

    /// Its place among all.
    fn index(self) -> usize {
        let tls = match self.min_tls {
            TlsVersion::V1_2 => 0,
            TlsVersion::V1_3 => 1,
        };
        match self.http {
            HttpVersion::V1_1 => tls,
            HttpVersion::V2 => 2 + tls,
        }
    }
}

/// What the connections of all pools go by.
pub struct Way {
    /// What may be called.
    pub guard: Arc<Guard>,
    /// Looks names up.
    pub resolver: Arc<dyn Resolver>,
    /// Whom servers are vouched for by.
    pub trust: Trust,
    /// What everything goes through, if the operator says so.
    pub proxy: Option<Arc<Proxy>>,
}

/// All pools.
pub struct Pools {
    way: Way,
    anonymous: [Pool; 4],
    by_identity: Cache<([u8; 32], Kind), Pool>,
}

impl Pools {
    /// No connections yet.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn new(way: Way) -> Result<Self> {
        let [a, b, c, d] = Kind::ALL.map(|kind| pool(&way, None, kind, None));
        let anonymous = [a?, b?, c?, d?];
        let by_identity =
            Cache::builder().max_capacity(MAX_IDENTITIES).time_to_idle(IDENTITY_IDLE).build();
        Ok(Self { way, anonymous, by_identity })
    }

    /// The proxy that calls go through.
    pub fn proxy(&self) -> Option<&Arc<Proxy>> {
        self.way.proxy.as_ref()
    }

    /// The pool for calls as `identity` over such a connection.
    ///
    /// # Errors
    /// If the identity cannot be used.
    pub async fn of(
        &self,
        identity: Option<&ClientIdentity>,
        connection: Connection,
    ) -> Result<Pool> {
        let Connection { min_tls, http, connect_timeout: _ } = connection;
        let kind = Kind { min_tls, http };
        let Some(identity) = identity else { return Ok(self.anonymous[kind.index()].clone()) };
        Box::pin(self.of_identity(identity, kind)).await
    }

    async fn of_identity(&self, identity: &ClientIdentity, kind: Kind) -> Result<Pool> {
        let key = (identity.fingerprint, kind);
        if let Some(pool) = self.by_identity.get(&key).await {
            return Ok(pool);
        }
        let made = self
            .by_identity
            .try_get_with(key, async { pool(&self.way, Some(identity), kind, None) })
            .await;
        made.map_err(|e| Error::new(e.operation, e.source.to_string()))
    }

    /// A pool for one call alone, whose connection notes what it meets.
    ///
    /// # Errors
    /// If the identity cannot be used.
    pub fn noting(
        &self,
        identity: Option<&ClientIdentity>,
        connection: Connection,
        notes: &Arc<Notes>,
    ) -> Result<Pool> {
        let Connection { min_tls, http, connect_timeout: _ } = connection;
        pool(&self.way, identity, Kind { min_tls, http }, Some(notes))
    }
}

fn pool(
    way: &Way,
    identity: Option<&ClientIdentity>,
    kind: Kind,
    notes: Option<&Arc<Notes>>,
) -> Result<Pool> {
    let tls = way.trust.client_config(identity, kind.min_tls, kind.http, notes)?;
    let connector = GuardedConnector {
        guard: Arc::clone(&way.guard),
        resolver: Arc::clone(&way.resolver),
        tls: TlsConnector::from(tls),
        http: kind.http,
        proxy: way.proxy.clone(),
        notes: notes.map(Arc::clone),
    };
    Ok(HyperClient::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(MAX_IDLE_PER_HOST)
        .http1_max_buf_size(MAX_HEAD as usize)
        .http1_ignore_invalid_headers_in_responses(true)
        .timer(TokioTimer::new())
        .http2_max_header_list_size(MAX_HEAD)
        .http2_initial_stream_window_size(STREAM_WINDOW)
        .http2_initial_connection_window_size(CONNECTION_WINDOW)
        // Otherwise a server that reads nothing could hold a connection for ever.
        .http2_keep_alive_interval(PING_INTERVAL)
        .http2_keep_alive_timeout(PING_TIMEOUT)
        .http2_keep_alive_while_idle(true)
        .build(connector))
}
