//! Reads a response: the status at once, the body up to a cap and a short time, never decompressed.

use http::HeaderMap;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use super::client::Keep;
use crate::domain::rate_limit::RateLimitFields;

/// Most bytes of a body that are read so that its connection can be used again; beyond, closing the
/// connection is cheaper.
const MAX_DRAIN: usize = 64 * 1024;

/// The beginning of the body, up to the bytes kept, read until the body's end, the cap, the
/// short time or the call's deadline. Whatever goes wrong here changes nothing: the status decides.
pub async fn excerpt(mut body: Incoming, keep: Keep, deadline: Instant) -> Vec<u8> {
    let deadline = deadline.min(Instant::now() + keep.time);
    let (mut kept, mut read) = (Vec::new(), 0);
    while let Ok(Some(Ok(frame))) = timeout_at(deadline, body.frame()).await {
        let Ok(data) = frame.into_data() else { continue };
        let room = keep.bytes.saturating_sub(kept.len());
        kept.extend_from_slice(&data[..data.len().min(room)]);
        read += data.len();
        if read > MAX_DRAIN {
            break;
        }
    }
    kept
}

/// What a response says of the endpoint's own rate limit.
pub fn rate_limit(headers: &HeaderMap) -> RateLimitFields {
    let all = |name| {
        let values: Vec<_> =
            headers.get_all(name).into_iter().filter_map(|v| v.to_str().ok()).collect();
        (!values.is_empty()).then(|| values.join(", "))
    };
    RateLimitFields {
        limit: all("ratelimit"),
        remaining: all("ratelimit-remaining"),
        reset: all("ratelimit-reset"),
    }
}
