//! `Retry-After` (RFC 9110 section 10.2.3): how long an endpoint asks to be left alone.

use std::time::{Duration, UNIX_EPOCH};

use crate::domain::timestamp::Timestamp;

/// Whether a `Retry-After` value is a negative number of seconds.
pub fn is_negative(value: &str) -> bool {
    let digits = value.trim_matches([' ', '\t']).strip_prefix('-');
    digits.is_some_and(|digits| {
        digits.bytes().all(|b| b.is_ascii_digit()) && digits.bytes().any(|b| b != b'0')
    })
}

/// The wait that a `Retry-After` value asks for, at most `cap`; `None` if the value is neither a
/// number of seconds nor an HTTP date and must be ignored. A date in the past asks for no wait.
pub fn parse(value: &str, now: Timestamp, cap: Duration) -> Option<Duration> {
    let value = value.trim_matches([' ', '\t']);
    // A date has a fixed length; anything longer is an attack on the parser.
    if value.is_empty() || value.len() > 64 {
        return None;
    }
    if value.bytes().all(|b| b.is_ascii_digit()) {
        // Digits only, but more than fit: not a time anyone meant.
        let seconds: u32 = value.parse().ok()?;
        return Some(Duration::from_secs(seconds.into()).min(cap));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    let millis = date.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis());
    let until = Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX));
    Some(until.since(now).min(cap))
}
