//! Connections that nothing is sent over: whether somebody is there, and can be trusted.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tower_service::Service;
use url::Url;

use super::connector::GuardedConnector;
use super::guard::Guard;
use super::proxy::Proxy;
use super::resolver::Resolver;
use super::tls::Trust;
use crate::domain::connection::{HttpVersion, TlsVersion};
use crate::ports::Result;

/// Longest time for one connection.
const PATIENCE: Duration = Duration::from_secs(15);

/// Connects as a delivery does, without a customer's certificate.
#[derive(Clone)]
pub struct Probe(GuardedConnector);

impl Probe {
    /// As [`super::client::Client::through`].
    ///
    /// # Errors
    /// If the authorities cannot be read.
    pub fn through(
        proxy: Option<Proxy>,
        guard: Guard,
        resolver: Arc<dyn Resolver>,
        extra_roots: Option<&Path>,
    ) -> Result<Self> {
        let trust = Trust::system(extra_roots)?;
        let http = HttpVersion::V1_1;
        let tls = trust.client_config(None, TlsVersion::V1_2, http, None)?;
        let (guard, proxy, tls) = (Arc::new(guard), proxy.map(Arc::new), TlsConnector::from(tls));
        Ok(Self(GuardedConnector { guard, resolver, tls, http, proxy, notes: None }))
    }

    /// Opens a connection to the host of `url`, with TLS if it is https, and closes it.
    ///
    /// # Errors
    /// With how far it came.
    pub async fn connect(&self, url: &Url) -> std::result::Result<(), String> {
        let uri: Uri = url.as_str().parse().map_err(|e: http::uri::InvalidUri| e.to_string())?;
        match timeout(PATIENCE, self.0.clone().call(uri)).await {
            Ok(connected) => connected.map(drop).map_err(|error| error.to_string()),
            Err(_) => Err("no connection within 15 s".to_owned()),
        }
    }
}

/// How many certificate authorities the machine has.
///
/// # Errors
/// If there is none at all, or `extra_roots` is not a PEM file of certificates; with all that went wrong.
pub fn check_roots(extra_roots: Option<&Path>) -> std::result::Result<usize, String> {
    let (count, errors) = Trust::machine_roots();
    match Trust::system(extra_roots) {
        Ok(_) => Ok(count),
        Err(error) => Err([vec![error.source.to_string()], errors].concat().join("; ")),
    }
}
