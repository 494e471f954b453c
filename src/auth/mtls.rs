//! `mtls`: a client certificate, shown to a server that asks for one (RFC 8446 section 4.4.2).
//!
//! Nothing in the request tells of it: the connection is the customer's own, and serves no other.

use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::prepared::Prepared;
use super::verify::{Check, Code, Finding};
use super::{AuthError, Call, Part, Scheme, Step, read_settings};
use crate::domain::certificate;
use crate::domain::client_identity::ClientIdentity;
use crate::domain::field::FieldError;
use crate::domain::ids::{CustomerId, SecretId};
use crate::domain::request::OutboundRequest;
use crate::domain::secret::{Facts, SecretBytes};

/// The scheme.
pub struct Mtls;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The certificate chain, the client's own certificate first, and its private key: PEM.
    secret: SecretId,
    /// The certificate authorities that the server is checked against: PEM. The machine's own, if it
    /// is left out.
    #[serde(default)]
    authorities: Option<String>,
    #[serde(skip)]
    identities: Prepared<Arc<ClientIdentity>>,
}

impl Scheme for Mtls {
    fn name(&self) -> &'static str {
        "mtls"
    }

    fn summary(&self) -> &'static str {
        "a client certificate in the TLS handshake"
    }

    fn example(&self) -> &'static str {
        r#"{"scheme": "mtls", "secret": "client-certificate"}"#
    }

    fn compile(&self, settings: &Map<String, Value>) -> Result<Box<dyn Step>, FieldError> {
        let settings: Settings = read_settings(settings)?;
        if let Some(pem) = &settings.authorities {
            let refuse = |problem| FieldError::new("authorities", problem);
            certificate::authorities(pem).map_err(refuse)?;
        }
        Ok(Box::new(settings))
    }
}

impl Step for Settings {
    fn secrets(&self) -> Vec<&SecretId> {
        vec![&self.secret]
    }

    fn sets(&self) -> Vec<Part> {
        vec![Part::Identity]
    }

    fn check_secret(&self, secret: &SecretId, value: &SecretBytes) -> Result<(), AuthError> {
        check(value.expose()).map_err(|problem| AuthError::of_secret(secret, problem))
    }

    fn check_facts(&self, secret: &SecretId, facts: &Facts) -> Result<(), AuthError> {
        if facts.certificate_fingerprint.is_some() {
            return Ok(());
        }
        let problem = "found a key without a certificate; expected both, in PEM";
        Err(AuthError::of_secret(secret, problem))
    }

    fn apply(&self, request: &mut OutboundRequest, call: &Call<'_>) -> Result<(), AuthError> {
        if request.url.scheme() != "https" {
            let problem =
                "a client certificate is shown in a TLS handshake, and the URL is not https";
            return Err(AuthError::new(problem));
        }
        let value = call.secret(&self.secret)?;
        let identity = self.identities.get(value, |value| {
            self.check_secret(&self.secret, value)?;
            Ok(Arc::new(identity(call.customer_id, value, self.authorities.as_deref())))
        })?;
        request.identity = Some(Arc::clone(&identity));
        Ok(())
    }

    fn verify(&self, _: &Check<'_>) -> Vec<Finding> {
        let problem =
            "a client certificate is shown in the TLS handshake: the request says nothing of it";
        vec![Finding::new(Code::NotVisible, problem)]
    }
}

fn identity(customer: &CustomerId, pem: &SecretBytes, authorities: Option<&str>) -> ClientIdentity {
    let mut hash = Context::new(&SHA256);
    for part in [customer.as_str().as_bytes(), authorities.unwrap_or("").as_bytes(), pem.expose()] {
        hash.update(&part.len().to_be_bytes());
        hash.update(part);
    }
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(hash.finish().as_ref());
    ClientIdentity {
        customer_id: customer.clone(),
        certificate: pem.clone(),
        authorities: authorities.map(str::to_owned),
        fingerprint,
    }
}

/// Checks that a handshake can be made with this certificate and key.
fn check(pem: &[u8]) -> Result<(), String> {
    let chain = certificate::chain(pem)?;
    let chain = chain.iter().map(|der| CertificateDer::from(der.as_slice()).into_owned()).collect();
    let mut keys = PrivateKeyDer::pem_slice_iter(pem);
    let key = match (keys.next(), keys.next()) {
        (Some(Ok(key)), None) => key,
        (Some(_), Some(_)) => return Err("there is more than one private key in it".to_owned()),
        // The parser's words repeat what it could not read.
        (Some(Err(_)), None) => return Err(certificate::NOT_PEM.to_owned()),
        (None, _) if contains(pem, b"ENCRYPTED PRIVATE KEY") => {
            return Err("its private key is encrypted: decrypt it first, for instance with \
                        `openssl pkey`"
                .to_owned());
        }
        (None, _) => {
            return Err(
                "there is no private key in it: expected PRIVATE KEY, EC PRIVATE KEY or RSA \
                        PRIVATE KEY after the certificates"
                    .to_owned(),
            );
        }
    };
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    CertifiedKey::from_der(chain, key, &provider).map(drop).map_err(|e| match e {
        rustls::Error::InconsistentKeys(_) => {
            "its private key is not that of the first certificate".to_owned()
        }
        _ => {
            "its private key cannot be used: expected RSA, ECDSA P-256, P-384 or P-521, or Ed25519"
                .to_owned()
        }
    })
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}
