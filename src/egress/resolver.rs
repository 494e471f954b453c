//! Names to addresses. Names are absolute: the machine's search domains are never tried.

use std::net::IpAddr;

use async_trait::async_trait;
use hickory_resolver::TokioResolver;
use hickory_resolver::net::{DnsError, NetError};

use crate::ports::{Error, Result};

/// Looks names up.
#[async_trait]
pub trait Resolver: Send + Sync {
    /// Every address of `name`. An empty list says that there is no such name, or that it has no
    /// address: the endpoint's fault. An `Err` says that it could not be found out: ours.
    async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>>;
}

/// The resolver that the machine is configured with.
pub struct SystemResolver(TokioResolver);

impl SystemResolver {
    /// Reads the machine's configuration (`/etc/resolv.conf`, `/etc/hosts`).
    pub fn new() -> Result<Self> {
        let failed = |e| Error::new("resolver.open", e);
        let resolver = TokioResolver::builder_tokio().map_err(failed)?.build().map_err(failed)?;
        Ok(Self(resolver))
    }
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
