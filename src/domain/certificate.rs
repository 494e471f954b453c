//! Certificates in PEM: whether they parse, and what they say that is no secret.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;

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
        certificate_fingerprint: Some(hex(fingerprint.as_ref())),
        not_before: validities().map(|(begin, _)| begin).max().map(at),
        not_after: validities().map(|(_, end)| end).min().map(at),
        ..Facts::default()
    })
}

/// Longest name that is shown of a certificate, and most names: whoever made it decides what it says.
const LONGEST_NAME: usize = 256;
const MOST_NAMES: usize = 16;

/// A certificate that a server showed, as people look at it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShownCertificate {
    /// Whom it is for.
    pub subject: String,
    /// The names that it is good for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// Who vouches for it.
    pub issuer: String,
    /// Its first moment.
    pub not_before: Timestamp,
    /// Its last moment.
    pub not_after: Timestamp,
    /// The kind of its key, as in `RSA 2048`.
    pub key: String,
    /// SHA-256 of it, in hexadecimal.
    pub fingerprint: String,
}

impl ShownCertificate {
    /// What a certificate in DER says; `None` if it does not parse.
    pub fn of(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let at = |seconds: i64| Timestamp::from_millis(seconds.saturating_mul(1000));
        let names = certificate.subject_alternative_name().ok().flatten();
        let names = names.into_iter().flat_map(|names| &names.value.general_names);
        let named = names.filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(cut(name)),
            GeneralName::IPAddress(bytes) => Some(address(bytes)),
            _ => None,
        });
        Some(Self {
            subject: cut(&certificate.subject().to_string()),
            names: named.take(MOST_NAMES).collect(),
            issuer: cut(&certificate.issuer().to_string()),
            not_before: at(certificate.validity().not_before.timestamp()),
            not_after: at(certificate.validity().not_after.timestamp()),
            key: key_of(&certificate),
            fingerprint: hex(digest(&SHA256, der).as_ref()),
        })
    }
}

fn cut(text: &str) -> String {
    text.chars().take(LONGEST_NAME).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn address(bytes: &[u8]) -> String {
    let four = <[u8; 4]>::try_from(bytes).map(std::net::IpAddr::from);
    let address = four.or_else(|_| <[u8; 16]>::try_from(bytes).map(std::net::IpAddr::from));
    address.map_or_else(|_| hex(bytes), |address| address.to_string())
}

fn key_of(certificate: &X509Certificate<'_>) -> String {
    let info = certificate.public_key();
    match info.parsed() {
        Ok(PublicKey::RSA(key)) => format!("RSA {}", key.key_size()),
        Ok(PublicKey::EC(point)) => format!("EC {}", point.key_size()),
        Ok(_) | Err(_) => match info.algorithm.algorithm.to_id_string().as_str() {
            "1.3.101.112" => "Ed25519".to_owned(),
            other => other.to_owned(),
        },
    }
}

impl fmt::Display for ShownCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subject, names, issuer, not_before, not_after, key, .. } = self;
        writeln!(f, "certificate of {subject} ({key})")?;
        if !names.is_empty() {
            writeln!(f, "  for {}", names.join(", "))?;
        }
        writeln!(f, "  by {issuer}")?;
        writeln!(f, "  from {not_before} to {not_after}")
    }
}
