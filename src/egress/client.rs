//! Makes one call.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::{CaptureConnection, capture_connection};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use super::connector::{ConnectError, GuardedConnector};
use super::guard::Guard;
use super::progress::{PROGRESS, Progress, Stage};
use super::resolver::Resolver;
use super::response;
use super::stream::ConnectionInfo;
use super::tls;
use crate::domain::outcome::Phase;
use crate::domain::request::{HeaderValue, OutboundRequest};
use crate::ports::{Error, Result};

/// Longest time for each of lookup, connection and TLS handshake; the call's own deadline, if it is
/// sooner, cuts them shorter.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an unused connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Unused connections kept for one host.
const MAX_IDLE_PER_HOST: usize = 64;
/// Largest head of a response.
const MAX_HEAD: usize = 64 * 1024;

/// What one call gave.
#[derive(Debug)]
pub struct Reply {
    /// The status, or how far the call had come without one.
    pub result: std::result::Result<Answer, Failure>,
    /// The address that was dialled.
    pub address: Option<SocketAddr>,
}

/// A response.
#[derive(Debug)]
pub struct Answer {
    /// The status of its status line.
    pub status: u16,
    /// Its `Retry-After`, as it came.
    pub retry_after: Option<String>,
    /// The beginning of its body; empty where it is encoded.
    pub excerpt: Vec<u8>,
}

/// A call without a response.
#[derive(Debug)]
pub struct Failure {
    /// How far it had come.
    pub phase: Phase,
    /// What happened.
    pub detail: String,
}

/// The client. One pool of connections, because none of them carries an identity of its own.
pub struct Client {
    http: HyperClient<GuardedConnector, Full<Bytes>>,
}

impl Client {
    /// A client that calls what `guard` allows.
    pub fn new(guard: Arc<Guard>, resolver: Arc<dyn Resolver>, tls: Arc<ClientConfig>) -> Self {
        let tls = TlsConnector::from(tls);
        let connector = GuardedConnector { guard, resolver, tls, timeout: CONNECT_TIMEOUT };
        let http = HyperClient::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE_PER_HOST)
            .http1_max_buf_size(MAX_HEAD)
            .http1_ignore_invalid_headers_in_responses(true)
            .build(connector);
        Self { http }
    }

    /// A client that trusts the machine's authorities and those in `extra_roots`.
    pub fn with_roots(
        guard: Arc<Guard>,
        resolver: Arc<dyn Resolver>,
        extra_roots: Option<&std::path::Path>,
    ) -> Result<Self> {
        Ok(Self::new(guard, resolver, tls::client_config(extra_roots)?))
    }

    /// Makes the call; returns by `deadline`, or soon after `stop`.
    ///
    /// # Errors
    /// Only if it failed on our side, or was stopped before anything was written; what the endpoint
    /// does is in the reply.
    pub async fn send(
        &self,
        request: &OutboundRequest,
        deadline: Instant,
        stop: &CancellationToken,
    ) -> Result<Reply> {
        let mut request = to_http(request)?;
        let capture = capture_connection(&mut request);
        let progress = Arc::new(Progress::new());
        let call = PROGRESS.scope(Arc::clone(&progress), self.http.request(request));
        let answered = tokio::select! {
            biased;
            answered = timeout_at(deadline, call) => Some(answered),
            () = stop.cancelled() => None,
        };
        let info = connection_info(&capture);
        let address = info.as_ref().map(|i| i.address).or(progress.read().1);
        let result = match answered {
            Some(Ok(Ok(response))) => Ok(read(response, &capture, deadline).await),
            Some(Ok(Err(error))) => Err(classify(&error, info.as_ref())?),
            Some(Err(_)) => Err(timed_out(&progress, info.as_ref())?),
            None => Err(stopped(info.as_ref())?),
        };
        if let Some(info) = info {
            info.end_call();
        }
        Ok(Reply { result, address })
    }
}

async fn read(
    response: http::Response<hyper::body::Incoming>,
    capture: &CaptureConnection,
    deadline: Instant,
) -> Answer {
    let headers = response.headers();
    let framed_twice = headers.contains_key(http::header::CONTENT_LENGTH)
        && headers.contains_key(http::header::TRANSFER_ENCODING);
    if framed_twice && let Some(connection) = capture.connection_metadata().as_ref() {
        // Two readers could disagree about where this response ends (RFC 9112 section 6.3).
        connection.poison();
    }
    let text = |name| headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let retry_after = text(http::header::RETRY_AFTER);
    let encoded = headers.contains_key(http::header::CONTENT_ENCODING);
    let status = response.status().as_u16();
    let excerpt = response::excerpt(response.into_body(), deadline).await;
    Answer { status, retry_after, excerpt: if encoded { Vec::new() } else { excerpt } }
}

fn connection_info(capture: &CaptureConnection) -> Option<ConnectionInfo> {
    let mut extensions = http::Extensions::new();
    capture.connection_metadata().as_ref()?.get_extras(&mut extensions);
    extensions.remove()
}

fn classify(
    error: &hyper_util::client::legacy::Error,
    info: Option<&ConnectionInfo>,
) -> Result<Failure> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut parsing = false;
    let mut detail = error.to_string();
    while let Some(current) = cause {
        match current.downcast_ref() {
            Some(ConnectError::Endpoint { phase, detail }) => {
                return Ok(Failure { phase: *phase, detail: detail.clone() });
            }
            Some(ConnectError::Ours(error)) => {
                return Err(Error::new(error.operation, error.source.to_string()));
            }
            None => {}
        }
        parsing |= current.downcast_ref().is_some_and(hyper::Error::is_parse);
        detail = current.to_string();
        cause = current.source();
    }
    let phase = match info {
        _ if parsing => Phase::Response,
        Some(info) if info.wrote() => Phase::AfterWrite,
        Some(_) | None => Phase::BeforeWrite,
    };
    Ok(Failure { phase, detail })
}

fn timed_out(progress: &Progress, info: Option<&ConnectionInfo>) -> Result<Failure> {
    let (stage, _) = progress.read();
    let phase = match (info, stage) {
        (Some(_), _) | (None, Stage::Connected) => Phase::ResponseTimeout,
        (None, Stage::Handshaking) => Phase::TlsTimeout,
        (None, Stage::Connecting) => Phase::ConnectTimeout,
        (None, Stage::Resolving) => return Err(Error::new("resolver.lookup", "no answer in time")),
    };
    Ok(Failure { phase, detail: "the endpoint's timeout has passed".to_owned() })
}

/// A call that was written may have arrived: it counts. One that was not is as if never begun.
fn stopped(info: Option<&ConnectionInfo>) -> Result<Failure> {
    if info.is_some_and(ConnectionInfo::wrote) {
        let detail = "the worker stopped before an answer came".to_owned();
        return Ok(Failure { phase: Phase::ResponseTimeout, detail });
    }
    Err(Error::new("egress.send", "the worker stopped before anything was written"))
}

fn to_http(request: &OutboundRequest) -> Result<http::Request<Full<Bytes>>> {
    let failed = |e: http::Error| Error::new("egress.request", e);
    let url = request.full_url();
    let mut builder = http::Request::builder()
        .method(request.method.as_str())
        .uri(&url[..url::Position::AfterQuery]);
    for header in &request.headers {
        let mut value =
            http::HeaderValue::from_bytes(header.value.expose()).map_err(|e| failed(e.into()))?;
        value.set_sensitive(matches!(header.value, HeaderValue::Secret(_)));
        builder = builder.header(&header.name, value);
    }
    builder.body(Full::new(request.body.clone())).map_err(failed)
}
