//! Reads a response: the status at once, the body up to a cap and a short time, never decompressed.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

/// Most bytes of a body that are read so that its connection can be used again; beyond, closing the
/// connection is cheaper.
const MAX_DRAIN: usize = 64 * 1024;
/// The time for reading a body once the status has decided.
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// The beginning of the body, up to `keep` bytes, read until the body's end, the cap, the
/// short time or the call's deadline. Whatever goes wrong here changes nothing: the status decides.
pub async fn excerpt(mut body: Incoming, keep: usize, deadline: Instant) -> Vec<u8> {
    let deadline = deadline.min(Instant::now() + DRAIN_TIME);
    let (mut kept, mut read) = (Vec::new(), 0);
    while let Ok(Some(Ok(frame))) = timeout_at(deadline, body.frame()).await {
        let Ok(data) = frame.into_data() else { continue };
        let room = keep.saturating_sub(kept.len());
        kept.extend_from_slice(&data[..data.len().min(room)]);
        read += data.len();
        if read > MAX_DRAIN {
            break;
        }
    }
    kept
}
