//! How calls look where nothing else is said: sealpost's own way, or Amazon EventBridge's.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::retry_preset::RetryPreset;

/// Whose ways an endpoint is called in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Sealpost's.
    #[default]
    Sealpost,
    /// Those of Amazon EventBridge's API destinations, as they are documented.
    #[serde(rename = "eventbridge")]
    EventBridge,
}

/// Headers that EventBridge removes, besides setting some of them itself ("API destinations as
/// targets in Amazon EventBridge", "Headers included in requests to API destinations").
const REMOVED: [&str; 33] = [
    "a-im",
    "accept-charset",
    "accept-datetime",
    "accept-encoding",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-md5",
    "date",
    "expect",
    "forwarded",
    "from",
    "host",
    "http2-settings",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "max-forwards",
    "origin",
    "pragma",
    "proxy-authorization",
    "range",
    "referer",
    "te",
    "trailer",
    "transfer-encoding",
    "user-agent",
    "upgrade",
    "via",
    "warning",
];

/// A header that every call carries.
pub type Fixed = (&'static str, &'static str);

impl Profile {
    /// The `user-agent`.
    pub fn user_agent(self) -> &'static str {
        match self {
            Self::Sealpost => concat!("sealpost/", env!("CARGO_PKG_VERSION")),
            Self::EventBridge => "Amazon/EventBridge/ApiDestinations",
        }
    }

    /// Headers that neither the endpoint nor the job may set, besides the user agent.
    pub fn fixed_headers(self) -> &'static [Fixed] {
        match self {
            Self::Sealpost => &[],
            Self::EventBridge => {
                &[("range", "bytes=0-1048575"), ("accept-encoding", "gzip,deflate")]
            }
        }
    }

    /// Whether the endpoint and the job may set the header of this name, in lower case.
    pub fn lets_be_set(self, name: &str) -> bool {
        match self {
            Self::Sealpost => true,
            Self::EventBridge => !REMOVED.contains(&name),
        }
    }

    /// Whether the job's id goes out in `webhook-id` and `idempotency-key`.
    pub fn sends_ids(self) -> bool {
        match self {
            Self::Sealpost => true,
            Self::EventBridge => false,
        }
    }

    /// The `content-type` of a body for which nobody has named another than `made`.
    pub fn content_type(self, made: &str) -> &str {
        match self {
            Self::EventBridge if made == "application/json" => "application/json; charset=utf-8",
            Self::Sealpost | Self::EventBridge => made,
        }
    }

    /// Whether each call has a connection of its own.
    pub fn closes_connections(self) -> bool {
        match self {
            Self::Sealpost => false,
            Self::EventBridge => true,
        }
    }

    /// What the endpoint sets and the job sets too: the endpoint's holds. Otherwise it is an error.
    pub fn endpoint_wins(self) -> bool {
        match self {
            Self::Sealpost => false,
            Self::EventBridge => true,
        }
    }

    /// The retry policy.
    pub fn retry(self) -> RetryPreset {
        match self {
            Self::Sealpost => RetryPreset::Sealpost,
            Self::EventBridge => RetryPreset::EventBridge,
        }
    }

    /// The time that one call may take.
    pub fn timeout(self) -> Duration {
        match self {
            Self::Sealpost => Duration::from_secs(15),
            Self::EventBridge => Duration::from_secs(5),
        }
    }
}
