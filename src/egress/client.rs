//! Makes one call.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::client::legacy::connect::{CaptureConnection, capture_connection};
use rustls::AlertDescription;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::connector::ConnectError;
use super::guard::Guard;
use super::pools::Pools;
use super::progress::{PROGRESS, Progress, Stage};
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
}

impl Client {
    /// A client that calls what `guard` allows and trusts the machine's authorities and those in `extra_roots`.
    pub fn with_roots(
        guard: Arc<Guard>,
        resolver: Arc<dyn Resolver>,
        extra_roots: Option<&std::path::Path>,
    ) -> Result<Self> {
        Ok(Self { pools: Pools::new(guard, resolver, Trust::system(extra_roots)?)? })
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
        let pool = self.pools.of(request.identity.as_deref()).await?;
        let mut request = to_http(request)?;
        let capture = capture_connection(&mut request);
        let progress = Arc::new(Progress::new());
        let call = PROGRESS.scope(Arc::clone(&progress), pool.request(request));
        let answered = tokio::select! {
            biased;
            answered = timeout_at(deadline, call) => Some(answered),
            () = stop.cancelled() => None,
        };
        let info = connection_info(&capture);
        let address = info.as_ref().map(|i| i.address).or(progress.read().1);
        let result = match answered {
            Some(Ok(Ok(response))) => Ok(read(response, keep, &capture, deadline).await),
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
    keep: Keep,
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
    let rate_limit = response::rate_limit(headers);
    let challenges = headers.get_all(http::header::WWW_AUTHENTICATE).into_iter();
    let challenges = challenges.filter_map(|v| v.to_str().ok()).map(str::to_owned).collect();
    let encoded = headers.contains_key(http::header::CONTENT_ENCODING);
    let status = response.status().as_u16();
    let excerpt = response::excerpt(response.into_body(), keep, deadline).await;
    let excerpt = if encoded { Vec::new() } else { excerpt };
    Answer { status, retry_after, rate_limit, challenges, excerpt }
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
    let (mut parsing, mut refused) = (false, false);
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
        refused |= current.downcast_ref().is_some_and(is_refused_handshake);
        detail = current.to_string();
        cause = current.source();
    }
    let phase = match info {
        _ if parsing => Phase::Response,
        _ if refused => Phase::Tls,
        Some(info) if info.wrote() => Phase::AfterWrite,
        Some(_) | None => Phase::BeforeWrite,
    };
    Ok(Failure { phase, detail })
}

/// In TLS 1.3 the server judges the client's certificate after the handshake is over for the client;
/// it says so instead of reading the request (RFC 8446 sections 4.4.2 and 6.2).
fn is_refused_handshake(error: &std::io::Error) -> bool {
    let inner = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
    matches!(
        inner,
        Some(rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired
                | AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA
                | AlertDescription::AccessDenied
                | AlertDescription::HandshakeFailure
                | AlertDescription::DecryptError
        ))
    )
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
