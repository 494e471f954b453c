//! `[egress]`: what may be called.

use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::domain::verification::WebhookOrigin;
use crate::egress::guard::{Guard, PortRange};
use crate::egress::proxy::ProxyUrl;

/// What may be called.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EgressConfig {
    /// Whether plain http may be called.
    pub allow_http: bool,
    /// Addresses, as CIDR, that may be called although they are not public.
    pub allow: Vec<IpNet>,
    /// Addresses, as CIDR, that may not be called although they are public.
    pub deny: Vec<IpNet>,
    /// Names that may be called although they are reserved for local use.
    pub allow_names: Vec<String>,
    /// Ports that may be called.
    pub ports: Vec<PortRange>,
    /// A PEM file of certificate authorities to trust beside the machine's.
    pub extra_roots: Option<PathBuf>,
    /// Name servers to ask, with their ports, instead of the machine's.
    pub nameservers: Vec<SocketAddr>,
    /// The proxy that every call goes through.
    pub proxy: Option<ProxyUrl>,
    /// A file with the proxy's credentials, one line: `user:password`.
    pub proxy_authorization_file: Option<PathBuf>,
    /// The name by which receivers know this sender: a DNS name that they let in in a handshake.
    pub webhook_origin: Option<WebhookOrigin>,
}

impl Default for EgressConfig {
    fn default() -> Self {
        let Guard { allow_http, allow, deny, allow_names, ports } = Guard::default();
        Self {
            allow_http,
            allow,
            deny,
            allow_names,
            ports,
            extra_roots: None,
            nameservers: Vec::new(),
            proxy: None,
            proxy_authorization_file: None,
            webhook_origin: None,
        }
    }
}

impl EgressConfig {
    /// The guard that these settings describe.
    pub fn guard(&self) -> Guard {
        let Self { allow_http, allow, deny, allow_names, ports, .. } = self.clone();
        Guard { allow_http, allow, deny, allow_names, ports }
    }
}
