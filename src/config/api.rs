//! `[api]`: the HTTP API.

use std::net::{Ipv4Addr, SocketAddr};

use ipnet::IpNet;
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
    /// Most requests a minute from one address whose key is not good.
    pub failed_authentications_per_minute: u32,
    /// Proxies, as CIDR, whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            listen: None,
            requests_per_second: 5000,
            failed_authentications_per_minute: 100,
            trusted_proxies: Vec::new(),
        }
    }
}

impl ApiConfig {
    /// Where `sealpost api` listens: on this machine alone, where nobody says.
    pub fn address(&self) -> SocketAddr {
        self.listen.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 8700)))
    }
}
