//! What one HTTP call gave. An outcome is the endpoint's doing and costs an attempt; what fails on
//! our side is an [`crate::ports::Error`] and never becomes one of these.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::timestamp::Timestamp;

/// Longest piece of a response that is kept, in bytes.
pub const MAX_EXCERPT: usize = 1024;

/// What the endpoint did with one call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// A status line came back. It alone decides, whatever the body does.
    Answered {
        /// The HTTP status.
        status: u16,
        /// The wait that `Retry-After` asked for, capped, in milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
        /// Whether `Retry-After` was negative.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        never_again: bool,
    },
    /// No status line came back.
    Failed {
        /// How far the call had come.
        phase: Phase,
    },
}

impl AttemptOutcome {
    /// Whether the endpoint accepted the delivery.
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Answered { status: 200..=299, .. })
    }

    /// The wait the endpoint asked for.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Answered { retry_after_ms, .. } => retry_after_ms.map(Duration::from_millis),
            Self::Failed { .. } => None,
        }
    }
}

impl fmt::Display for AttemptOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered { status, .. } => write!(f, "status {status}"),
            Self::Failed { phase } => write!(f, "failed ({phase})"),
        }
    }
}

/// How far a call without an answer had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The name does not exist or has no address.
    Dns,
    /// The egress guard blocked the address; nothing was sent to it.
    Blocked,
    /// The TCP connection was refused or reset.
    Connect,
    /// The TCP connection was not made in time.
    ConnectTimeout,
    /// The TLS handshake failed: certificate, protocol or reset.
    Tls,
    /// The TLS handshake did not end in time.
    TlsTimeout,
    /// The connection broke before the request's first byte was written.
    BeforeWrite,
    /// The connection broke after the request was written, before an answer.
    AfterWrite,
    /// The request was written and no answer came in time.
    ResponseTimeout,
    /// What came back is not an HTTP response that can be understood.
    Response,
}

impl Phase {
    /// Whether the endpoint may have processed the request although no answer came.
    pub fn is_ambiguous(self) -> bool {
        match self {
            Self::AfterWrite | Self::ResponseTimeout | Self::Response => true,
            Self::Dns
            | Self::Blocked
            | Self::Connect
            | Self::ConnectTimeout
            | Self::Tls
            | Self::TlsTimeout
            | Self::BeforeWrite => false,
        }
    }

    /// The stable name, as in records and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Blocked => "blocked",
            Self::Connect => "connect",
            Self::ConnectTimeout => "connect_timeout",
            Self::Tls => "tls",
            Self::TlsTimeout => "tls_timeout",
            Self::BeforeWrite => "before_write",
            Self::AfterWrite => "after_write",
            Self::ResponseTimeout => "response_timeout",
            Self::Response => "response",
        }
    }
}

impl Phase {
    /// Every phase, in the order in which a call comes through them.
    pub const ALL: [Self; 10] = [
        Self::Dns,
        Self::Blocked,
        Self::Connect,
        Self::ConnectTimeout,
        Self::Tls,
        Self::TlsTimeout,
        Self::BeforeWrite,
        Self::AfterWrite,
        Self::ResponseTimeout,
        Self::Response,
    ];
}

impl std::str::FromStr for Phase {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|phase| phase.name() == text);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("{text:?} is not a phase: expected one of {names}")
        })
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The record of one attempt. Holds no secret: what the endpoint sent back is kept only if it
/// repeats none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// Number of the attempt in its round, from 1.
    pub number: u32,
    /// When the call began.
    pub at: Timestamp,
    /// How long the call took, in milliseconds.
    pub duration_ms: u64,
    /// The address that was dialled, with its port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// What the call gave.
    #[serde(flatten)]
    pub outcome: AttemptOutcome,
    /// What the transport said, or the beginning of the response's body.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}
