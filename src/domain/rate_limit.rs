//! What an endpoint says about its own rate limit (draft-ietf-httpapi-ratelimit-headers): that
//! nothing is left, and when there will be more.
//!
//! Two forms are in use: `RateLimit-Remaining` with `RateLimit-Reset`, as drafts up to 07 had them,
//! and the field `RateLimit`, a list such as `"default";r=0;t=30`.

use std::time::Duration;

use crate::domain::timestamp::Timestamp;

/// Longer fields are not read.
const MAX_FIELD: usize = 512;
/// A larger number of seconds is meant as a time since 1970: some servers write it so.
const LONGEST_RESET: u64 = 1_000_000_000;

/// The fields as they came; `None` where there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RateLimitFields {
    /// `RateLimit`, all its values.
    pub limit: Option<String>,
    /// `RateLimit-Remaining`.
    pub remaining: Option<String>,
    /// `RateLimit-Reset`.
    pub reset: Option<String>,
}

impl RateLimitFields {
    /// How long no call should be made, at most `cap`; `None` if there is something left, or what
    /// came cannot be understood and must be ignored.
    pub fn wait(&self, now: Timestamp, cap: Duration) -> Option<Duration> {
        let seconds = match &self.limit {
            Some(limit) => exhausted(limit)?,
            None => {
                let nothing_left = number(self.remaining.as_deref()?)? == 0;
                nothing_left.then(|| number(self.reset.as_deref()?))??
            }
        };
        let wait = match seconds {
            0..=LONGEST_RESET => Duration::from_secs(seconds),
            since_1970 => {
                let millis = i64::try_from(since_1970.saturating_mul(1000)).unwrap_or(i64::MAX);
                Timestamp::from_millis(millis).since(now)
            }
        };
        Some(wait.min(cap)).filter(|wait| !wait.is_zero())
    }
}

/// The longest time until one of the limits that have nothing left has something again.
fn exhausted(list: &str) -> Option<u64> {
    if list.len() > MAX_FIELD {
        return None;
    }
    let (mut waits, mut old) = (Vec::new(), (None, None));
    for member in split(list, b',') {
        let mut parts = split(member, b';');
        let name = parts.next()?;
        match name.split_once('=') {
            // Drafts 06 and 07: `limit=100, remaining=0, reset=30`.
            Some(("remaining", value)) => old.0 = number(value),
            Some(("reset", value)) => old.1 = number(value),
            Some(_) | None => {
                let parameters: Vec<_> = parts.filter_map(|part| part.split_once('=')).collect();
                let of = |wanted: &str| {
                    let found = parameters.iter().find(|(name, _)| *name == wanted);
                    found.and_then(|(_, value)| number(value))
                };
                waits.extend(of("t").filter(|_| of("r") == Some(0)));
            }
        }
    }
    waits.extend(old.1.filter(|_| old.0 == Some(0)));
    waits.into_iter().max()
}

/// Splits at `separator` outside quotes (RFC 9651 section 3.3.3), without the spaces around.
fn split(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    let parts = text.split(move |c: char| {
        let is_end = c == char::from(separator) && !quoted;
        let was_escaped = std::mem::take(&mut escaped);
        match c {
            '"' if !was_escaped => quoted = !quoted,
            '\\' if quoted && !was_escaped => escaped = true,
            _ => {}
        }
        is_end
    });
    parts.map(|part| part.trim_matches([' ', '\t']))
}

/// A whole number of at most 15 digits (RFC 9651 section 3.3.1), not negative.
fn number(text: &str) -> Option<u64> {
    let text = text.trim_matches([' ', '\t']);
    let plausible = (1..=15).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    plausible.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
    const CAP: Duration = Duration::from_secs(3600);

    fn field(limit: &str) -> Option<u64> {
        let fields = RateLimitFields { limit: Some(limit.to_owned()), ..Default::default() };
        fields.wait(NOW, CAP).map(|wait| wait.as_secs())
    }

    fn pair(remaining: &str, reset: &str) -> Option<u64> {
        let (remaining, reset) = (Some(remaining.to_owned()), Some(reset.to_owned()));
        let fields = RateLimitFields { limit: None, remaining, reset };
        fields.wait(NOW, CAP).map(|wait| wait.as_secs())
    }

    #[test]
    fn nothing_left_asks_for_a_wait_until_there_is_more() {
        assert_eq!(pair("0", "30"), Some(30));
        assert_eq!(pair(" 0 ", "\t30 "), Some(30));
        assert_eq!(field("\"default\";r=0;t=30"), Some(30));
        assert_eq!(field("default;r=0;t=30"), Some(30));
        assert_eq!(field("\"a\";r=5;t=90, \"b\" ; r=0 ; t=20,\"c\";t=40;r=0"), Some(40));
        assert_eq!(field("limit=100, remaining=0, reset=30"), Some(30));
        assert_eq!(field("\"odd, \\\" ;r=7\";r=0;t=8"), Some(8));
    }

    #[test]
    fn something_left_asks_for_no_wait() {
        for (remaining, reset) in [("1", "30"), ("0", "0"), ("00", "0")] {
            assert_eq!(pair(remaining, reset), None, "{remaining} {reset}");
        }
        for limit in
            ["\"default\";r=50;t=30", "\"default\";r=0;t=0", "limit=1, remaining=2, reset=3"]
        {
            assert_eq!(field(limit), None, "{limit}");
        }
    }

    #[test]
    fn no_wait_is_longer_than_the_longest() {
        assert_eq!(pair("0", "86400"), Some(3600));
        assert_eq!(field("\"d\";r=0;t=999999999999999"), Some(3600));
    }

    #[test]
    fn a_time_since_1970_is_understood() {
        assert_eq!(pair("0", "1800000045"), Some(45));
        assert_eq!(pair("0", "1799999999"), None, "it is over");
    }

    #[test]
    fn what_cannot_be_understood_is_ignored() {
        for text in ["", "-1", "+1", "1.5", "1e3", "0x10", "٣", "9999999999999999", "1 2", "soon"]
        {
            assert_eq!(pair("0", text), None, "{text}");
            assert_eq!(pair(text, "30"), None, "{text}");
            assert_eq!(field(&format!("\"d\";r=0;t={text}")), None, "{text}");
            assert_eq!(field(text), None, "{text}");
        }
        let endless = "a".repeat(10_000);
        for limit in ["\"d;r=0;t=30", "\"d\";r=0", "\"d\";t=30", ";;;,,,===", "\"d\";r=?0;t=30"] {
            assert_eq!(field(limit), None, "{limit}");
        }
        assert_eq!(field(&format!("{endless};r=0;t=30")), None);
        let alone = RateLimitFields { remaining: Some("0".into()), ..Default::default() };
        assert_eq!(alone.wait(NOW, CAP), None);
    }

    proptest! {
        #[test]
        fn whatever_comes_the_wait_is_none_or_between_nothing_and_the_cap(
            limit in proptest::option::of("[ -~]{0,80}|(\"?[a-z;=,0-9\" \\\\]{0,40})"),
            remaining in proptest::option::of("[0-9]{0,20}|.{0,10}"),
            reset in proptest::option::of("[0-9]{0,20}|.{0,10}"),
        ) {
            let fields = RateLimitFields { limit, remaining, reset };
            if let Some(wait) = fields.wait(NOW, CAP) {
                prop_assert!(!wait.is_zero() && wait <= CAP);
            }
        }
    }
}
