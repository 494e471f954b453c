//! How an endpoint is connected to: what its connections must be, and how long one may take to make.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Longest time that making a connection takes where the endpoint does not say.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What one call asks of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    /// The time for looking the name up, connecting and the TLS handshake, together.
    pub connect_timeout: Duration,
    /// The oldest TLS that will do.
    pub min_tls: TlsVersion,
    /// The version of HTTP that is spoken.
    pub http: HttpVersion,
}

impl Default for Connection {
    fn default() -> Self {
        Self {
            connect_timeout: CONNECT_TIMEOUT,
            min_tls: TlsVersion::default(),
            http: HttpVersion::default(),
        }
    }
}

/// An endpoint's settings of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TlsSettings {
    /// The oldest version that will do.
    #[serde(default)]
    pub min_version: TlsVersion,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum TlsVersion {
    /// 1.2 (RFC 5246).
    #[default]
    #[serde(rename = "1.2")]
    V1_2,
    /// 1.3 (RFC 8446).
    #[serde(rename = "1.3")]
    V1_3,
}

/// A version of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum HttpVersion {
    /// HTTP/1.1 (RFC 9112).
    #[default]
    #[serde(rename = "1.1")]
    V1_1,
    /// HTTP/2 (RFC 9113).
    #[serde(rename = "2")]
    V2,
}
