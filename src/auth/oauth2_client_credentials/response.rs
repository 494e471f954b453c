//! What a token server answered (RFC 6749 section 5).

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::domain::header;
use crate::domain::secret::SecretBytes;
use crate::domain::timestamp::Timestamp;

/// How long a token is used whose server does not say.
const ASSUMED_LIFETIME: Duration = Duration::from_secs(30 * 60);
/// Longest time a token is used, whatever its server says.
const LONGEST_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// A token is fetched anew this long before its end, or a fifth of its lifetime if that is less.
const REFRESH_BEFORE: Duration = Duration::from_secs(5 * 60);
/// A token is not sent any more this long before its end, or a tenth of its lifetime if that is less:
/// it has to be valid still when it arrives.
const MARGIN: Duration = Duration::from_secs(10);
/// Longest piece of a server's words that is repeated, in bytes.
const MAX_WORDS: usize = 300;

/// An access token.
#[derive(Clone)]
pub struct Token {
    /// What is sent.
    pub value: SecretBytes,
    /// From then on, it is fetched anew while it is still used.
    pub refresh_at: Timestamp,
    /// From then on, it is not used.
    pub use_until: Timestamp,
}

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenFailure {
    /// The server refuses: somebody has to correct something.
    Refused(String),
    /// The server is out of order, or busy: it may pass.
    Unavailable(String),
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    #[serde(default)]
    token_type: Option<String>,
    #[serde(default)]
    expires_in: Value,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
    #[serde(default)]
    error_description: Option<String>,
}

/// Reads the answer to a token request that came at `now`.
///
/// # Errors
/// If there is no token in it that can be used.
pub fn read(status: u16, body: &[u8], now: Timestamp) -> Result<Token, TokenFailure> {
    match status {
        200..=299 => granted(body, now),
        408 | 425 | 429 | 500..=599 => {
            Err(TokenFailure::Unavailable(format!("the token server answered {status}")))
        }
        300..=399 => Err(TokenFailure::Refused(format!(
            "the token server answered {status}; redirects are not followed: correct token_url"
        ))),
        _ => Err(refusal(status, body)),
    }
}

fn refusal(status: u16, body: &[u8]) -> TokenFailure {
    let Ok(Refusal { error, error_description }) = serde_json::from_slice(body) else {
        return TokenFailure::Refused(format!("the token server answered {status}"));
    };
    let mut words = match error_description {
        Some(description) => format!("{error}: {description}"),
        None => error.clone(),
    };
    crate::domain::delivery::truncate(&mut words, MAX_WORDS);
    let words = format!("the token server answered {status}, {words:?}");
    match error.as_str() {
        "temporarily_unavailable" | "server_error" | "slow_down" => {
            TokenFailure::Unavailable(words)
        }
        _ => TokenFailure::Refused(words),
    }
}

fn granted(body: &[u8], now: Timestamp) -> Result<Token, TokenFailure> {
    let strange = |what: &str| {
        TokenFailure::Unavailable(format!("the token server's answer is not RFC 6749's: {what}"))
    };
    let granted: Granted = serde_json::from_slice(body)
        .map_err(|_| strange("expected a JSON object with access_token, as in section 5.1"))?;
    let token = SecretBytes::new(granted.access_token.into_bytes());
    let sendable = token
        .expose_str()
        .is_some_and(|text| !text.is_empty() && header::check_value(text) == Ok(text));
    if !sendable {
        return Err(strange("access_token is empty, or cannot stand in a header"));
    }
    if granted.token_type.is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        let problem = "the token server gives tokens of a token_type that is not Bearer";
        return Err(TokenFailure::Refused(problem.to_owned()));
    }
    let seconds = match &granted.expires_in {
        Value::Null => Some(ASSUMED_LIFETIME.as_secs_f64()),
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    let lifetime = seconds
        .filter(|seconds| seconds.is_finite() && *seconds > 0.0)
        .map(|seconds| Duration::from_secs_f64(seconds.min(LONGEST_LIFETIME.as_secs_f64())))
        .ok_or_else(|| strange("expires_in is not a number of seconds above 0"))?;
    let before_end = |margin| now.plus(lifetime.saturating_sub(margin));
    Ok(Token {
        value: token,
        refresh_at: before_end(REFRESH_BEFORE.min(lifetime / 5)),
        use_until: before_end(MARGIN.min(lifetime / 10)),
    })
}
