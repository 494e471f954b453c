//! Names to addresses. Names are absolute: the machine's search domains are never tried.

use std::net::{IpAddr, SocketAddr};

use async_trait::async_trait;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::RecordType;

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

impl SystemResolver {
    /// The addresses of one family; none if the answer says that there are none.
    async fn lookup(&self, name: &str, family: RecordType) -> Result<Vec<IpAddr>> {
        match self.0.lookup(name, family).await {
            Ok(found) => Ok(found.answers().iter().filter_map(|r| r.data.ip_addr()).collect()),
            Err(NetError::Dns(DnsError::NoRecordsFound(none))) if is_final(&none) => Ok(Vec::new()),
            Err(error) => Err(Error::new("resolver.lookup", error)),
        }
    }
}

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>> {
        let absolute = format!("{}.", name.trim_end_matches('.'));
        let (six, four) = tokio::join!(
            self.lookup(&absolute, RecordType::AAAA),
            self.lookup(&absolute, RecordType::A)
        );
        match (six, four) {
            (Ok(six), Ok(four)) => Ok([six, four].concat()),
            // One family failed. What the other has will do; that it has none says nothing.
            (Ok(found), Err(_)) | (Err(_), Ok(found)) if !found.is_empty() => Ok(found),
            (Ok(_), Err(error)) | (Err(error), Ok(_) | Err(_)) => Err(error),
        }
    }
}

/// Whether the answer says that there is nothing, rather than that the server failed.
fn is_final(none: &NoRecords) -> bool {
    matches!(none.response_code, ResponseCode::NXDomain | ResponseCode::NoError)
}
