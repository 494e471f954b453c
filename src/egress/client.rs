//! Makes one call.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HeaderName;
use http::method::InvalidMethod;
use http::uri::InvalidUri;
use http_body_util::Full;
use hyper_util::client::legacy::connect::{CaptureConnection, capture_connection};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::failure::{classify, stopped, timed_out};
use super::guard::Guard;
use super::notes::{Notes, Route};
use super::pools::{Pool, Pools, Way};
pub use super::progress::Timeline;
use super::progress::{PROGRESS, Progress};
use super::proxy::Proxy;
use super::resolver::Resolver;
use super::response;
use super::stream::ConnectionInfo;
use super::tls::Trust;
use crate::domain::outcome::{MAX_EXCERPT, Phase};
use crate::domain::rate_limit::RateLimitFields;
use crate::domain::request::{HeaderValue, OutboundRequest};
use crate::ports::{Error, Result};

/// What one call gave.
#[derive(Debug)]
pub struct Reply {
    /// The status, or how far the call had come without one.
    pub result: std::result::Result<Answer, Failure>,
    /// The address that was dialled.
    pub address: Option<SocketAddr>,
    /// When it came where, where that is kept.
    pub timeline: Option<Timeline>,
}

/// A response.
#[derive(Debug)]
pub struct Answer {
    /// The status of its status line.
    pub status: u16,
    /// Its `Retry-After`, as it came.
    pub retry_after: Option<String>,
    /// What it says of the endpoint's own rate limit, as it came.
    pub rate_limit: RateLimitFields,
    /// Its values of `WWW-Authenticate`, as they came.
    pub challenges: Vec<String>,
    /// The beginning of its body; empty where it is encoded.
    pub excerpt: Vec<u8>,
    /// All its headers.
    pub headers: http::HeaderMap,
}

/// A call without a response.
#[derive(Debug)]
pub struct Failure {
    /// How far it had come.
    pub phase: Phase,
    /// What happened.
    pub detail: String,
}

/// How much of a response's body is kept, and how long it may take once the status is there.
#[derive(Debug, Clone, Copy)]
pub struct Keep {
    /// At most so many bytes.
    pub bytes: usize,
    /// At most so long.
    pub time: Duration,
}

/// What is kept of an endpoint's answer: enough to see what it was.
const EXCERPT: Keep = Keep { bytes: MAX_EXCERPT, time: Duration::from_secs(2) };

/// The client.
pub struct Client {
    pools: Pools,
    is_timed: bool,
}

impl Client {
    /// A client that calls what `guard` allows and trusts the machine's authorities and those in `extra_roots`.
    pub fn with_roots(
        guard: Arc<Guard>,
        resolver: Arc<dyn Resolver>,
        extra_roots: Option<&std::path::Path>,
    ) -> Result<Self> {
        Self::through(None, guard, resolver, extra_roots)
    }

    /// The same, whose every connection goes through `proxy` if there is one.
    ///
    /// # Errors
    /// If the authorities cannot be read.
    pub fn through(
        proxy: Option<Proxy>,
        guard: Arc<Guard>,
        resolver: Arc<dyn Resolver>,
        extra_roots: Option<&std::path::Path>,
    ) -> Result<Self> {
        let (trust, proxy) = (Trust::system(extra_roots)?, proxy.map(Arc::new));
        let pools = Pools::new(Way { guard, resolver, trust, proxy })?;
        Ok(Self { pools, is_timed: false })
    }

    /// The same, which tells of each call when it came where if `is_timed`.
    #[must_use]
    pub fn timed(self, is_timed: bool) -> Self {
        Self { is_timed, ..self }
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
        self.send_keeping(request, EXCERPT, deadline, stop).await
    }

    /// As [`Client::send`], keeping more or less of the response's body.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn send_keeping(
        &self,
        request: &OutboundRequest,
        keep: Keep,
        deadline: Instant,
        stop: &CancellationToken,
    ) -> Result<Reply> {
        let pool = self.pools.of(request.identity.as_deref(), request.connection).await?;
        self.send_over(&pool, request, keep, deadline, stop).await
    }

    /// As [`Client::send_keeping`], over a connection of its own; and what was met on the way.
    pub async fn send_noting(
        &self,
        request: &OutboundRequest,
        keep: Keep,
        deadline: Instant,
        stop: &CancellationToken,
    ) -> (Result<Reply>, Route) {
        let notes = Arc::new(Notes::default());
        let pool = self.pools.noting(request.identity.as_deref(), request.connection, &notes);
        let sent = match pool {
            Ok(pool) => self.send_over(&pool, request, keep, deadline, stop).await,
            Err(error) => Err(error),
        };
        (sent, notes.read())
    }

    async fn send_over(
        &self,
        pool: &Pool,
        request: &OutboundRequest,
        keep: Keep,
        deadline: Instant,
        stop: &CancellationToken,
    ) -> Result<Reply> {
        let connection = request.connection;
        let mut request = to_http(request)?;
        let capture = capture_connection(&mut request);
        let progress = Progress::new(connection.connect_timeout, deadline, self.pools.proxy());
        let progress = Arc::new(progress.timed(self.is_timed));
        let call = PROGRESS.scope(Arc::clone(&progress), pool.request(request));
        let answered = tokio::select! {
            biased;
            answered = timeout_at(deadline, call) => Some(answered),
            () = stop.cancelled() => None,
        };
        let answered_at = progress.is_timed().then(Instant::now);
        let info = connection_info(&capture);
        let address = info.as_ref().map(|i| i.address).or(progress.read().1);
        let written = info.as_ref().and_then(ConnectionInfo::written_at);
        let result = match answered {
            Some(Ok(Ok(response))) => Ok(read(response, keep, &capture, deadline).await),
            Some(Ok(Err(error))) => Err(classify(&error, info.as_ref(), &progress)?),
            Some(Err(_)) => Err(timed_out(&progress, info.as_ref())?),
            None => Err(stopped(info.as_ref())?),
        };
        if let Some(info) = info {
            info.end_call();
        }
        let answered = answered_at.filter(|_| result.is_ok());
        let timeline = progress.timeline();
        let timeline = timeline.map(|timeline| Timeline { written, answered, ..timeline });
        Ok(Reply { result, address, timeline })
    }
}

async fn read(
    response: http::Response<hyper::body::Incoming>,
    keep: Keep,
    capture: &CaptureConnection,
    deadline: Instant,
) -> Answer {
    let (head, body) = response.into_parts();
    let headers = &head.headers;
    let framed_twice = headers.contains_key(http::header::CONTENT_LENGTH)
        && headers.contains_key(http::header::TRANSFER_ENCODING);
    if framed_twice && let Some(connection) = capture.connection_metadata().as_ref() {
        // Two readers could disagree about where this response ends (RFC 9112 section 6.3).
        connection.poison();
    }
    let text = |name| headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let retry_after = text(http::header::RETRY_AFTER);
    let rate_limit = response::rate_limit(headers);
    let challenges = headers.get_all(http::header::WWW_AUTHENTICATE).into_iter();
    let challenges = challenges.filter_map(|v| v.to_str().ok()).map(str::to_owned).collect();
    let encoded = headers.contains_key(http::header::CONTENT_ENCODING);
    let status = head.status.as_u16();
    let excerpt = response::excerpt(body, keep, deadline).await;
    let excerpt = if encoded { Vec::new() } else { excerpt };
    let headers = head.headers;
    Answer { status, retry_after, rate_limit, challenges, excerpt, headers }
}

fn connection_info(capture: &CaptureConnection) -> Option<ConnectionInfo> {
    let mut extensions = http::Extensions::new();
    capture.connection_metadata().as_ref()?.get_extras(&mut extensions);
    extensions.remove()
}

/// Names of most calls that [`http`] does not know: what it knows, and these, are not copied.
static USUAL: [HeaderName; 4] = [
    HeaderName::from_static("webhook-id"),
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("webhook-timestamp"),
    HeaderName::from_static("webhook-signature"),
];

fn to_http(request: &OutboundRequest) -> Result<http::Request<Full<Bytes>>> {
    fn failed<E: Into<http::Error>>(error: E) -> Error {
        Error::new("egress.request", error.into())
    }
    let url = request.full_url();
    // Not through the builder, which moves everything with every header.
    let mut sent = http::Request::new(Full::new(request.body.clone()));
    *sent.method_mut() = request.method.as_str().parse().map_err(failed::<InvalidMethod>)?;
    *sent.uri_mut() = url[..url::Position::AfterQuery].parse().map_err(failed::<InvalidUri>)?;
    let headers = sent.headers_mut();
    headers.reserve(request.headers.len() + 1);
    for header in &request.headers {
        let usual = USUAL.iter().find(|usual| usual.as_str() == header.name).cloned();
        let read = || HeaderName::from_bytes(header.name.as_bytes()).map_err(failed);
        let name = usual.map_or_else(read, Ok)?;
        let mut value = http::HeaderValue::from_bytes(header.value.expose()).map_err(failed)?;
        value.set_sensitive(matches!(header.value, HeaderValue::Secret(_)));
        headers.append(name, value);
    }
    if request.closes {
        headers.append(http::header::CONNECTION, http::HeaderValue::from_static("close"));
    }
    Ok(sent)
}
