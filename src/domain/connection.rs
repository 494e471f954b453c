//! How an endpoint is connected to: how long that may take, and what its connections must be.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Longest time that making a connection takes where the endpoint does not say.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What one call asks of its connection. Only calls that ask for the same share connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Connection {
    /// The time for connecting and the TLS handshake, together. Looking the name up is not the
    /// endpoint's to answer for.
    pub connect_timeout: Duration,
    /// The oldest TLS that will do.
    pub min_tls: TlsVersion,
}

impl Default for Connection {
    fn default() -> Self {
        Self { connect_timeout: CONNECT_TIMEOUT, min_tls: TlsVersion::default() }
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
