//! Names to addresses. Names are absolute: the machine's search domains are never tried.

use std::net::{IpAddr, SocketAddr};

use async_trait::async_trait;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};

use crate::ports::{Error, Result};

/// Looks names up.
#[async_trait]
pub trait Resolver: Send + Sync {
    /// Every address of `name`. An empty list says that there is no such name, or that it has no
    /// address: the endpoint's fault. An `Err` says that it could not be found out: ours.
    async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>>;
}

/// The resolver that the machine is configured with, or one that asks the operator's name servers.
pub struct SystemResolver(TokioResolver);

impl SystemResolver {
    /// Asks `nameservers`; if there are none, those of the machine's configuration
    /// (`/etc/resolv.conf`). Either way `/etc/hosts` is read first.
    ///
    /// # Errors
    /// If the machine's configuration cannot be read.
    pub fn new(nameservers: &[SocketAddr]) -> Result<Self> {
        let failed = |e| Error::new("resolver.open", e);
        let builder = if nameservers.is_empty() {
            TokioResolver::builder_tokio().map_err(failed)?
        } else {
            let servers = nameservers.iter().map(|server| name_server(*server)).collect();
            let config = ResolverConfig::from_name_servers(servers);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        Ok(Self(builder.build().map_err(failed)?))
    }
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(address.ip());
    for connection in &mut server.connections {
        connection.port = address.port();
    }
    server
}

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>> {
        let absolute = format!("{}.", name.trim_end_matches('.'));
        match self.0.lookup_ip(absolute).await {
            Ok(found) => Ok(found.iter().collect()),
            Err(NetError::Dns(DnsError::NoRecordsFound(none))) if is_final(&none) => Ok(Vec::new()),
            Err(error) => Err(Error::new("resolver.lookup", error)),
        }
    }
}

/// Whether the answer says that there is nothing, rather than that the server failed.
fn is_final(none: &hickory_resolver::net::NoRecords) -> bool {
    use hickory_resolver::proto::op::ResponseCode;
    matches!(none.response_code, ResponseCode::NXDomain | ResponseCode::NoError)
}
