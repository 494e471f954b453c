//! The handshake by which an endpoint agrees to be called: before it has passed, nothing is delivered.
//!
//! Two kinds: the abuse protection of CloudEvents (HTTP 1.1 Web Hooks for Event Delivery, section 4), where
//! the receiver answers an OPTIONS request with the origin that it lets in; and a challenge that the receiver
//! has to send back. Either says that whoever runs the server expects calls, and not only that whoever
//! registered the URL wants them made.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::domain::endpoint::Endpoint;
use crate::domain::limits::Rate;
use crate::domain::timestamp::Timestamp;

/// The header that asks for leave, and that every delivery bears once it was given.
pub const REQUEST_ORIGIN: &str = "webhook-request-origin";
/// The header that says how many calls a minute are wanted.
pub const REQUEST_RATE: &str = "webhook-request-rate";
/// The header that gives leave.
pub const ALLOWED_ORIGIN: &str = "webhook-allowed-origin";
/// The header that says how many calls a minute are taken.
pub const ALLOWED_RATE: &str = "webhook-allowed-rate";
/// The type of the message with a challenge.
const CHALLENGE_TYPE: &str = "url_verification";

/// An endpoint's settings of its handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VerificationSettings {
    /// Which handshake it is.
    pub handshake: Handshake,
}

/// A kind of handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Handshake {
    /// An OPTIONS request that the receiver answers with the origin that it lets in.
    Cloudevents,
    /// A POST with a random challenge that the receiver sends back.
    Challenge,
}

/// A handshake that was passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verified {
    /// What it was passed for, as [`subject`] gives it.
    pub of: String,
    /// When.
    pub at: Timestamp,
}

/// What a handshake came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// It is passed; what there is to say.
    Passed(String),
    /// It is not: why, and what to do.
    Failed(String, &'static str),
}

/// What a handshake is passed for: the kind of it, and the URL. Another URL has to agree itself. The number
/// of the endpoint's version is no part of it: an endpoint that is put again stays verified.
pub fn subject(endpoint: &Endpoint) -> Option<String> {
    let kind = match endpoint.verification?.handshake {
        Handshake::Cloudevents => "cloudevents",
        Handshake::Challenge => "challenge",
    };
    let mut hasher = Sha256::new();
    for part in [kind, endpoint.url.as_str()] {
        hasher.update(part.as_bytes());
        // Neither holds a NUL.
        hasher.update([0]);
    }
    let digest: [u8; 32] = hasher.finalize().into();
    Some(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The message with a challenge.
pub fn challenge(challenge: &str) -> Value {
    json!({"type": CHALLENGE_TYPE, "challenge": challenge})
}

/// Whether the beginning of a response sends a challenge back: as its text, or as the member `challenge` of a
/// JSON object. One that only sends back all that it was sent agrees to nothing.
pub fn judge_challenge(status: u16, challenge: &str, body: &[u8]) -> Judgement {
    const ADVICE: &str =
        "answer with status 200 and the challenge, as text or as {\"challenge\": \"…\"}";
    if !(200..=299).contains(&status) {
        return Judgement::Failed(format!("it answered with status {status}"), ADVICE);
    }
    let text = String::from_utf8_lossy(body);
    let json: Value = serde_json::from_str(&text).unwrap_or_default();
    let is_member = json["challenge"] == challenge && json["type"] != CHALLENGE_TYPE;
    if is_member || text.trim() == challenge || json == challenge {
        return Judgement::Passed("it sent the challenge back".to_owned());
    }
    Judgement::Failed("it did not send the challenge back".to_owned(), ADVICE)
}

/// Whether a response lets `origin` in. Its status says nothing (section 4.2). `rate` is the endpoint's own.
pub fn judge_cloudevents(
    origin: &str,
    allowed_origin: Option<&str>,
    allowed_rate: Option<&str>,
    rate: Option<&Rate>,
) -> Judgement {
    let advice =
        "answer OPTIONS with the header WebHook-Allowed-Origin: the origin that is asked for, or *";
    match allowed_origin.map(str::trim) {
        None => {
            let why = format!("it does not say that it lets {origin} in");
            return Judgement::Failed(why, advice);
        }
        Some(allowed) if allowed != "*" && !allowed.eq_ignore_ascii_case(origin) => {
            let why = format!("it lets {allowed:?} in, and not {origin}");
            return Judgement::Failed(why, advice);
        }
        Some(_) => {}
    }
    let passed = |says: String| Judgement::Passed(format!("it lets {origin} in{says}"));
    match allowed_rate.map(str::trim) {
        None | Some("*") => passed(String::new()),
        Some(text) => match text.parse::<u32>() {
            Ok(most @ 1..) if rate.is_some_and(|rate| per_minute(rate) <= most) => {
                passed(format!(", {most} times a minute"))
            }
            Ok(most @ 1..) => passed(format!(
                ", {most} times a minute: set limits.rate to \"{most}/m\", or expect status 429"
            )),
            Ok(0) | Err(_) => Judgement::Failed(
                format!("its WebHook-Allowed-Rate is {text:?}"),
                "answer with a number of requests a minute, or *",
            ),
        },
    }
}

/// How many calls a minute a rate is, at least 1.
pub fn per_minute(rate: &Rate) -> u32 {
    let per_minute = f64::from(rate.count) * 60.0 / rate.per.as_secs_f64().max(1.0);
    // Rounded down and within the range, by the cast's own rule.
    (per_minute as u32).max(1)
}

/// The name by which receivers know this sender: a DNS name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WebhookOrigin(String);

impl WebhookOrigin {
    /// As it stands in a header.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for WebhookOrigin {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let is_label = |label: &str| {
            !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        if text.len() > 253 || !text.split('.').all(is_label) {
            return Err(format!("{text:?} is no DNS name: expected one as hooks.example.com"));
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

impl TryFrom<String> for WebhookOrigin {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<WebhookOrigin> for String {
    fn from(origin: WebhookOrigin) -> Self {
        origin.0
    }
}

impl fmt::Display for WebhookOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn passes(judgement: Judgement) -> bool {
        matches!(judgement, Judgement::Passed(_))
    }

    #[test]
    fn a_challenge_is_sent_back_as_text_or_as_a_member_and_not_by_an_echo_of_everything() {
        let judge = |status, body: &str| passes(judge_challenge(status, "c-1", body.as_bytes()));
        for body in
            ["c-1", " c-1\n", "\"c-1\"", r#"{"challenge":"c-1"}"#, r#"{"challenge":"c-1","ok":1}"#]
        {
            assert!(judge(200, body), "{body}");
        }
        let echo = challenge("c-1").to_string();
        for body in
            ["", "c-2", "c-1 and more", r#"{"challenge":"c-2"}"#, r#"["c-1"]"#, &echo, "null"]
        {
            assert!(!judge(200, body), "{body}");
        }
        assert!(!judge(401, "c-1") && !judge(302, "c-1"));
    }

    #[test]
    fn the_origin_has_to_be_let_in_by_name_or_with_all_others() {
        let judge = |origin, rate| passes(judge_cloudevents("a.example", origin, rate, None));
        for origin in ["*", "a.example", "A.Example", " a.example "] {
            assert!(judge(Some(origin), None) && judge(Some(origin), Some("*")), "{origin}");
        }
        for origin in
            [None, Some(""), Some("b.example"), Some("a.example, b.example"), Some("*.example")]
        {
            assert!(!judge(origin, Some("*")), "{origin:?}");
        }
        assert!(judge(Some("*"), Some("120")));
        for rate in ["0", "-1", "many", ""] {
            assert!(!judge(Some("*"), Some(rate)), "{rate}");
        }
    }

    #[test]
    fn a_rate_that_is_more_than_the_receiver_takes_is_told() {
        let rate = Rate::new(2, Duration::from_secs(1), None);
        assert_eq!(per_minute(&rate), 120);
        let says = |most: &str| match judge_cloudevents("a", Some("*"), Some(most), Some(&rate)) {
            Judgement::Passed(says) => says,
            Judgement::Failed(why, _) => panic!("{why}"),
        };
        assert!(says("60").contains("limits.rate") && !says("120").contains("limits.rate"));
    }

    #[test]
    fn another_url_or_handshake_is_another_subject_and_another_version_is_not() {
        let of = |url: &str, more: &str| {
            let json = format!(r#"{{"customerId":"c","endpointId":"e","url":"{url}"{more}}}"#);
            subject(&Endpoint::from_json(&json).unwrap())
        };
        let asks = r#","verification":{"handshake":"challenge"}"#;
        let first = of("https://a.example/", asks).unwrap();
        assert_eq!(
            of("https://a.example/", &format!(r#"{asks},"timeout":"3s""#)),
            Some(first.clone())
        );
        assert_ne!(of("https://a.example/other", asks), Some(first.clone()));
        let other = r#","verification":{"handshake":"cloudevents"}"#;
        assert_ne!(of("https://a.example/", other), Some(first));
        assert_eq!(of("https://a.example/", ""), None);
    }

    #[test]
    fn an_origin_is_a_dns_name() {
        assert_eq!(
            "Hooks.Example.com".parse::<WebhookOrigin>().unwrap().as_str(),
            "hooks.example.com"
        );
        for bad in ["", "*", "a b", "a..b", "https://a.example", "a.example:443", "a_b.example"] {
            assert!(bad.parse::<WebhookOrigin>().is_err(), "{bad}");
        }
    }
}
