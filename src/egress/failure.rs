//! What a call that got no answer came to.

use hyper_util::client::legacy::Error as ClientError;

use super::client::Failure;
use super::connector::ConnectError;
use super::progress::Progress;
use super::stream::ConnectionInfo;
use crate::domain::outcome::{MAX_EXCERPT, Phase};
use crate::ports::{Error, Result};

/// What the chain of an error's causes says.
#[derive(Default)]
struct Causes<'e> {
    detail: String,
    /// What came back is no HTTP.
    is_nonsense: bool,
    /// The request was handed back, unsent.
    is_unsent: bool,
    http2: Option<&'e h2::Error>,
}

/// How far a call had come that failed.
///
/// # Errors
/// If the failure was ours.
pub fn classify(
    error: &ClientError,
    info: Option<&ConnectionInfo>,
    progress: &Progress,
) -> Result<Failure> {
    let mut causes = Causes { detail: error.to_string(), ..Causes::default() };
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
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
        let by_hyper = current.downcast_ref::<hyper::Error>();
        causes.is_nonsense |= by_hyper.is_some_and(hyper::Error::is_parse);
        causes.is_unsent |= by_hyper.is_some_and(hyper::Error::is_canceled);
        causes.http2 = causes.http2.or(current.downcast_ref());
        causes.detail = current.to_string();
        cause = current.source();
    }
    let refused = |info: &ConnectionInfo| info.is_refused();
    let phase = match info {
        _ if causes.is_nonsense => Phase::Response,
        _ if info.or(progress.made()).is_some_and(refused) => Phase::Tls,
        Some(info) if info.is_http2() => of_http2(info, &causes),
        Some(info) if info.wrote() => Phase::AfterWrite,
        Some(_) | None => Phase::BeforeWrite,
    };
    // An HTTP/2 server may say goodbye with words of its own.
    causes.detail.truncate(causes.detail.floor_char_boundary(MAX_EXCERPT));
    Ok(Failure { phase, detail: causes.detail })
}

/// One connection carries many calls, so what was written says nothing of one of them: a request may
/// have arrived unless there is proof that it has not been processed (RFC 9113 section 8.7).
fn of_http2(info: &ConnectionInfo, causes: &Causes<'_>) -> Phase {
    let Some(error) = causes.http2 else {
        return match (causes.is_unsent, info.is_flooded()) {
            (true, _) => Phase::BeforeWrite,
            (false, true) => Phase::Response,
            (false, false) => Phase::AfterWrite,
        };
    };
    let is_refused =
        error.is_reset() && error.is_remote() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
    // A goodbye ends only the streams that it leaves out; where it leaves out none, the call was
    // about to begin, and may have.
    let is_left_out = error.is_go_away() && error.is_remote() && info.is_newest_refused();
    if is_refused || is_left_out {
        Phase::BeforeWrite
    } else if error.is_library() || info.is_flooded() {
        Phase::Response
    } else {
        Phase::AfterWrite
    }
}

/// How far a call had come whose time was over.
///
/// # Errors
/// If it was ours that took so long.
pub fn timed_out(progress: &Progress, info: Option<&ConnectionInfo>) -> Result<Failure> {
    let phase = match info {
        Some(_) => Phase::ResponseTimeout,
        None => progress.late()?,
    };
    Ok(Failure { phase, detail: "the endpoint's timeout has passed".to_owned() })
}

/// A call that was written may have arrived: it counts. One that was not is as if never begun.
///
/// # Errors
/// If nothing was written.
pub fn stopped(info: Option<&ConnectionInfo>) -> Result<Failure> {
    if info.is_some_and(ConnectionInfo::wrote) {
        let detail = "the worker stopped before an answer came".to_owned();
        return Ok(Failure { phase: Phase::ResponseTimeout, detail });
    }
    Err(Error::new("egress.send", "the worker stopped before anything was written"))
}
