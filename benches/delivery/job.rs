//! The jobs that are sent: JSON of a given length that says when it was made.

use std::time::{SystemTime, UNIX_EPOCH};

/// Bytes of a body where a scenario does not say otherwise.
pub const BODY_LEN: usize = 1024;
/// The customers' names are this and a number.
pub const CUSTOMER: &str = "c";
/// The endpoint of each customer.
pub const ENDPOINT: &str = "e";
const MARK: &[u8] = br#"{"at":"#;

/// Nanoseconds since the Unix epoch, now.
pub fn now_nanos() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
}

/// A body of exactly `len` bytes, 64 or more, that is made now.
pub fn body(len: usize) -> String {
    let head = format!(r#"{{"at":{},"pad":""#, now_nanos());
    let tail = r#""}"#;
    let pad = "x".repeat(len - head.len() - tail.len());
    head + &pad + tail
}

/// A job for the endpoint of a customer, with a body of `len` bytes that is made now.
pub fn job(customer: usize, len: usize) -> String {
    let data = body(len);
    format!(r#"{{"customerId":"{CUSTOMER}{customer}","endpointId":"{ENDPOINT}","data":{data}}}"#)
}

/// When a body was made, in nanoseconds since the Unix epoch.
pub fn made_at(body: &[u8]) -> Option<u64> {
    let rest = body.strip_prefix(MARK)?;
    let end = rest.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(&rest[..end]).ok()?.parse().ok()
}
