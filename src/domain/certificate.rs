//! Certificates in PEM: whether they parse, and what they say that is no secret.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::domain::secret::Facts;
use crate::domain::timestamp::Timestamp;

/// The certificates of a PEM text in DER, in order.
///
/// # Errors
/// If there is none, or one does not parse.
pub fn chain(pem: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let mut chain = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|e| format!("it is not PEM: {e}"))?;
        let number = chain.len() + 1;
        X509Certificate::from_der(&certificate)
            .map_err(|e| format!("certificate {number} in it does not parse: {e}"))?;
        chain.push(certificate.to_vec());
    }
    if chain.is_empty() {
        return Err("there is no certificate in it: expected PEM that begins with \
                    -----BEGIN CERTIFICATE-----"
            .to_owned());
    }
    Ok(chain)
}

/// Checks certificate authorities.
///
/// # Errors
/// If there is none in the text, or one that cannot vouch for a server.
pub fn authorities(pem: &str) -> Result<(), String> {
    let mut roots = rustls::RootCertStore::empty();
    for (index, der) in chain(pem.as_bytes())?.into_iter().enumerate() {
        let number = index + 1;
        roots
            .add(CertificateDer::from(der))
            .map_err(|e| format!("certificate {number} cannot vouch for a server: {e}"))?;
    }
    Ok(())
}

/// What the first certificate of a PEM text says, to be kept beside the sealed value; `None` if there
/// is none that parses.
pub fn facts(pem: &[u8]) -> Option<Facts> {
    let chain = chain(pem).ok()?;
    let (_, certificate) = X509Certificate::from_der(chain.first()?).ok()?;
    // A chain ends when its first link does.
    let ends = chain.iter().filter_map(|der| {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        Some(certificate.validity().not_after.timestamp())
    });
    Some(Facts {
        certificate_subject: Some(certificate.subject().to_string()),
        not_after: ends.min().map(|seconds| Timestamp::from_millis(seconds.saturating_mul(1000))),
    })
}
