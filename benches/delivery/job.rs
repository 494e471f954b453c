//! The jobs that are sent: 1 KiB of JSON that says when it was enqueued.

use std::time::{SystemTime, UNIX_EPOCH};

/// Bytes of a body.
pub const BODY_LEN: usize = 1024;
const MARK: &[u8] = br#"{"at":"#;

/// Nanoseconds since the Unix epoch, now.
pub fn now_nanos() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
}

/// A body of exactly [`BODY_LEN`] bytes that was made now.
pub fn body() -> String {
    let head = format!(r#"{{"at":{},"pad":""#, now_nanos());
    let tail = r#""}"#;
    let pad = "x".repeat(BODY_LEN - head.len() - tail.len());
    head + &pad + tail
}

/// When a body was made, in nanoseconds since the Unix epoch.
pub fn made_at(body: &[u8]) -> Option<u64> {
    let rest = body.strip_prefix(MARK)?;
    let end = rest.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(&rest[..end]).ok()?.parse().ok()
}
