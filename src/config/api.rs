//! `[api]`: the HTTP API.

use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

/// The HTTP API.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApiConfig {
    /// Where it listens. Set, `sealpost serve` and `sealpost worker` serve it beside their work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    /// Most requests a second with one key.
    pub requests_per_second: u32,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self { listen: None, requests_per_second: 5000 }
    }
}

impl ApiConfig {
    /// Where `sealpost api` listens: on this machine alone, where nobody says.
    pub fn address(&self) -> SocketAddr {
        self.listen.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 8700)))
    }
}
