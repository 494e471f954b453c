//! How servers are authenticated, and how we are: the machine's certificate authorities and the
//! operator's own, and the certificate of one customer.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};

use super::connector::H2;
use super::notes::{Notes, NotingVerifier};
use crate::domain::certificate::NOT_PEM;
use crate::domain::client_identity::ClientIdentity;
use crate::domain::connection::{HttpVersion, TlsVersion};
use crate::ports::{Error, Result};

static FROM_1_2: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];
static FROM_1_3: &[&SupportedProtocolVersion] = &[&TLS13];

/// Whom servers are vouched for by. Shared by all connections: reading the machine's authorities
/// takes longer than a call.
#[derive(Debug, Clone)]
pub struct Trust {
    provider: Arc<CryptoProvider>,
    verifier: Arc<WebPkiServerVerifier>,
}

impl Trust {
    /// The machine's authorities, and those in a PEM file.
    ///
    /// # Errors
    /// If `extra_roots` is not a PEM file of certificates.
    pub fn system(extra_roots: Option<&Path>) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(path) = extra_roots {
            let failed = |e: String| Error::new("tls.roots", format!("{}: {e}", path.display()));
            let pem = std::fs::read(path).map_err(|e| failed(e.to_string()))?;
            add(&mut roots, &pem).map_err(failed)?;
        }
        Self::of(roots, Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
    }

    /// How many certificate authorities the machine has, and what went wrong while they were read.
    pub fn machine_roots() -> (usize, Vec<String>) {
        let found = rustls_native_certs::load_native_certs();
        (found.certs.len(), found.errors.iter().map(ToString::to_string).collect())
    }

    fn of(roots: RootCertStore, provider: Arc<CryptoProvider>) -> Result<Self> {
        let builder =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let verifier = builder.build().map_err(|e| Error::new("tls.roots", e))?;
        Ok(Self { provider, verifier })
    }

    /// A configuration for connections that show `identity`, or none, over `oldest` or newer, to speak
    /// `http` and nothing else. What the server shows is noted where `notes` are given.
    ///
    /// # Errors
    /// If the identity's PEM cannot be used; the auth step has checked it before.
    pub fn client_config(
        &self,
        identity: Option<&ClientIdentity>,
        oldest: TlsVersion,
        http: HttpVersion,
        notes: Option<&Arc<Notes>>,
    ) -> Result<Arc<ClientConfig>> {
        let failed = |e: String| Error::new("tls.identity", e);
        let private = match identity.and_then(|identity| identity.authorities.as_deref()) {
            Some(pem) => {
                let mut roots = RootCertStore::empty();
                add(&mut roots, pem.as_bytes()).map_err(failed)?;
                Some(Self::of(roots, Arc::clone(&self.provider))?)
            }
            None => None,
        };
        let verifier = &private.as_ref().unwrap_or(self).verifier;
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(versions(oldest))
            .map_err(|e| Error::new("tls.config", e))?;
        let verifier = Arc::clone(verifier);
        let builder = match notes.map(Arc::clone) {
            None => builder.with_webpki_verifier(verifier),
            Some(notes) => {
                let noting = Arc::new(NotingVerifier { verifier, notes });
                builder.dangerous().with_custom_certificate_verifier(noting)
            }
        };
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let pem = identity.certificate.expose();
                let chain: std::result::Result<Vec<_>, _> =
                    CertificateDer::pem_slice_iter(pem).collect();
                // The parser's words repeat what it could not read.
                let chain = chain.map_err(|_| failed(NOT_PEM.to_owned()))?;
                let key =
                    PrivateKeyDer::from_pem_slice(pem).map_err(|_| failed(NOT_PEM.to_owned()))?;
                builder.with_client_auth_cert(chain, key).map_err(|e| failed(e.to_string()))?
            }
        };
        let protocol = match http {
            HttpVersion::V1_1 => b"http/1.1",
            HttpVersion::V2 => H2,
        };
        config.alpn_protocols = vec![protocol.to_vec()];
        Ok(Arc::new(config))
    }
}

fn versions(oldest: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    match oldest {
        TlsVersion::V1_2 => FROM_1_2,
        TlsVersion::V1_3 => FROM_1_3,
    }
}

fn add(roots: &mut RootCertStore, pem: &[u8]) -> std::result::Result<(), String> {
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|e| e.to_string())?;
        roots.add(certificate).map_err(|e| e.to_string())?;
    }
    Ok(())
}
