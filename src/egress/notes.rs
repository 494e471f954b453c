//! What one call over a connection of its own met on its way, noted where it happens: for somebody who
//! wants to see it.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, DistinguishedName, SignatureScheme};

/// Most certificates of a server that are kept.
const MOST_CERTIFICATES: usize = 8;

/// The way of a call, as far as it came.
#[derive(Debug, Clone, Default)]
pub struct Route {
    /// The addresses of the name; of a URL that names an address, that.
    pub addresses: Vec<IpAddr>,
    /// How long the lookup took.
    pub lookup: Duration,
    /// Whether every address may be called; `None` if it was not come to.
    pub vetted: Option<Result<(), String>>,
    /// The address that a connection was made to.
    pub connected: Option<SocketAddr>,
    /// How long it took to make it.
    pub connect: Duration,
    /// Whether it was made through the operator's proxy.
    pub proxied: bool,
    /// The certificates that the server showed, its own first, in DER.
    pub certificates: Vec<Vec<u8>>,
    /// What was agreed upon in the handshake.
    pub session: Option<Session>,
    /// How long the handshake took.
    pub handshake: Duration,
}

/// What was agreed upon in a TLS handshake.
#[derive(Debug, Clone)]
pub struct Session {
    /// The version, as in `TLS 1.3`.
    pub version: &'static str,
    /// The cipher suite.
    pub cipher: String,
    /// What is spoken (ALPN).
    pub protocol: Option<String>,
}

/// Where a [`Route`] is noted.
#[derive(Debug, Default)]
pub struct Notes(Mutex<Route>);

impl Notes {
    /// Notes something.
    pub fn note(&self, note: impl FnOnce(&mut Route)) {
        note(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// What was noted.
    pub fn read(&self) -> Route {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Session {
    /// What a connection has agreed upon.
    pub fn of(connection: &rustls::ClientConnection) -> Self {
        let version = match connection.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3",
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2",
            // No other is offered.
            Some(_) | None => "TLS",
        };
        let cipher = connection.negotiated_cipher_suite();
        let cipher = cipher.and_then(|suite| suite.suite().as_str()).unwrap_or_default().to_owned();
        let protocol = connection.alpn_protocol();
        let protocol = protocol.map(|name| String::from_utf8_lossy(name).into_owned());
        Self { version, cipher, protocol }
    }
}

/// Notes the certificates of a server and leaves the judgement to the verifier of all other calls: who is
/// refused should see what was shown.
#[derive(Debug)]
pub struct NotingVerifier {
    /// Who judges.
    pub verifier: Arc<WebPkiServerVerifier>,
    /// Where it is noted.
    pub notes: Arc<Notes>,
}

impl ServerCertVerifier for NotingVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let shown = std::iter::once(end_entity).chain(intermediates).take(MOST_CERTIFICATES);
        let shown = shown.map(|certificate| certificate.to_vec()).collect();
        self.notes.note(|route| route.certificates = shown);
        self.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        self.verifier.requires_raw_public_keys()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        self.verifier.root_hint_subjects()
    }
}
