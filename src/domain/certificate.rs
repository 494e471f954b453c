//! Certificates in PEM: whether they parse, and what they say that is no secret.

use aws_lc_rs::digest::{SHA256, digest};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::domain::secret::Facts;
use crate::domain::timestamp::Timestamp;

/// What is said of a text that is cut short, or has lost its line breaks.
pub const NOT_PEM: &str = "it is not PEM: expected lines that begin with -----BEGIN and end with -----END, \
                           each on a line of its own";

/// The certificates of a PEM text in DER, in order.
///
/// # Errors
/// If there is none, or one does not parse.
pub fn chain(pem: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let mut chain = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        // The parser's words repeat the line that it could not read, which may hold a key.
        let certificate = certificate.map_err(|_| NOT_PEM.to_owned())?;
        let number = chain.len() + 1;
        X509Certificate::from_der(&certificate)
            .map_err(|_| format!("certificate {number} in it does not parse"))?;
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

/// The public key of the first certificate of a PEM text, in DER (`SubjectPublicKeyInfo`).
pub fn public_key(pem: &[u8]) -> Option<Vec<u8>> {
    let chain = chain(pem).ok()?;
    let (_, certificate) = X509Certificate::from_der(chain.first()?).ok()?;
    Some(certificate.public_key().raw.to_vec())
}

/// What the first certificate of a PEM text says, to be kept beside the sealed value; `None` if there
/// is none that parses.
pub fn facts(pem: &[u8]) -> Option<Facts> {
    let chain = chain(pem).ok()?;
    let first = chain.first()?;
    let (_, certificate) = X509Certificate::from_der(first).ok()?;
    // A chain begins with its last link and ends with its first.
    let validities = || {
        chain.iter().filter_map(|der| {
            let (_, certificate) = X509Certificate::from_der(der).ok()?;
            Some((
                certificate.validity().not_before.timestamp(),
                certificate.validity().not_after.timestamp(),
            ))
        })
    };
    let at = |seconds: i64| Timestamp::from_millis(seconds.saturating_mul(1000));
    let fingerprint = digest(&SHA256, first);
    Some(Facts {
        certificate_subject: Some(certificate.subject().to_string()),
        certificate_issuer: Some(certificate.issuer().to_string()),
        certificate_fingerprint: Some(
            fingerprint.as_ref().iter().map(|byte| format!("{byte:02x}")).collect(),
        ),
        not_before: validities().map(|(begin, _)| begin).max().map(at),
        not_after: validities().map(|(_, end)| end).min().map(at),
        ..Facts::default()
    })
}
