//! TLS servers with something wrong about them.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::version::TLS13;
use rustls::{ServerConfig, SupportedProtocolVersion};
use sealpost::domain::certificate::facts;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::server::Seen;

/// The name that a good certificate is for.
pub const HOST: &str = "h.test.example";

/// What is wrong with a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    Nothing,
    Expired,
    NotYetValid,
    SelfSigned,
    WrongHost,
    UntrustedRoot,
    AsksForClientCertificate,
    HugeChain,
    OnlyHttp2,
}

/// A certificate authority that the client is told to trust.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: tempfile::NamedTempFile,
}

impl Authority {
    pub fn new() -> Self {
        let issuer = issuer();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), issuer.pem()).unwrap();
        Self { issuer, file }
    }

    pub fn roots(&self) -> &std::path::Path {
        self.file.path()
    }

    /// Its own certificate, in PEM.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for a client of this name, and its key, in PEM.
    pub fn client(&self, name: &str) -> String {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        certificate.pem() + &key.serialize_pem()
    }

    /// A server without flaw at [`HOST`], which speaks one version of TLS and these protocols.
    pub fn server(
        &self,
        version: &'static SupportedProtocolVersion,
        protocols: &[&str],
    ) -> TlsAcceptor {
        self.sound(version, WebPkiClientVerifier::no_client_auth(), protocols)
    }

    /// The same, over TLS 1.3, for clients that it vouches for.
    pub fn server_for_clients(&self, protocols: &[&str]) -> TlsAcceptor {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
        self.sound(&TLS13, verifier.build().unwrap(), protocols)
    }

    fn sound(
        &self,
        version: &'static SupportedProtocolVersion,
        clients: Arc<dyn ClientCertVerifier>,
        protocols: &[&str],
    ) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([HOST.to_owned()]).unwrap();
        let chain = vec![params.signed_by(&key, &self.issuer).unwrap().der().clone()];
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_client_cert_verifier(clients)
            .with_single_cert(chain, PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }

    fn config(&self, flaw: Flaw) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let name = if flaw == Flaw::WrongHost { "other.test.example" } else { HOST };
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        match flaw {
            Flaw::Expired => params.not_after = date_time_ymd(2020, 1, 1),
            Flaw::NotYetValid => params.not_before = date_time_ymd(2300, 1, 1),
            Flaw::Nothing
            | Flaw::SelfSigned
            | Flaw::WrongHost
            | Flaw::UntrustedRoot
            | Flaw::AsksForClientCertificate
            | Flaw::HugeChain
            | Flaw::OnlyHttp2 => {}
        }
        let certificate = match flaw {
            Flaw::SelfSigned => params.self_signed(&key).unwrap(),
            Flaw::UntrustedRoot => params.signed_by(&key, &issuer()).unwrap(),
            _ => params.signed_by(&key, &self.issuer).unwrap(),
        };
        let mut chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
        if flaw == Flaw::HugeChain {
            let each = self.issuer.der().len();
            chain.extend(std::iter::repeat_n(self.issuer.der().clone(), 100 * 1024 / each + 1));
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = if flaw == Flaw::AsksForClientCertificate {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(self.issuer.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            builder.with_client_cert_verifier(verifier.allow_unauthenticated().build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let mut config = builder.with_single_cert(chain, key).unwrap();
        if flaw == Flaw::OnlyHttp2 {
            config.alpn_protocols = vec![b"h2".to_vec()];
        }
        config
    }
}

fn issuer() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Listens on loopback; answers 204 on every connection whose handshake succeeds. Only what comes
/// through the encryption counts as received.
pub async fn listen(authority: &Authority, flaw: Flaw) -> (SocketAddr, Arc<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(Seen::default());
    let shared = Arc::clone(&seen);
    let acceptor = TlsAcceptor::from(Arc::new(authority.config(flaw)));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            shared.connections.fetch_add(1, Ordering::SeqCst);
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            assert!(stream.get_ref().1.peer_certificates().is_none(), "nobody configured one");
            let mut buffer = vec![0; 64 * 1024];
            let read = stream.read(&mut buffer).await.unwrap_or(0);
            shared.received.lock().unwrap().extend_from_slice(&buffer[..read]);
            // Whether the client still listens is not this server's business.
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
        }
    });
    (address, seen)
}

/// Listens on loopback; answers 204 to every request on every connection whose handshake succeeds.
pub async fn listen_as(acceptor: TlsAcceptor) -> (SocketAddr, Arc<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(Seen::default());
    let shared = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            shared.connections.fetch_add(1, Ordering::SeqCst);
            let (acceptor, seen) = (acceptor.clone(), Arc::clone(&shared));
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut buffer = vec![0; 64 * 1024];
                while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                    seen.received.lock().unwrap().extend_from_slice(&buffer[..read]);
                    let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
                }
            });
        }
    });
    (address, seen)
}

/// Listens on loopback for clients that `clients` vouches for, at an address that `servers` vouches
/// for; answers 204 to every request. What it has seen: on which connection, whose request, from 1.
pub async fn listen_for_clients(
    servers: &Authority,
    clients: &Authority,
) -> (SocketAddr, Arc<Mutex<Vec<(usize, String)>>>) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &servers.issuer).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(clients.issuer.der().clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen: Arc<Mutex<Vec<(usize, String)>>> = Arc::default();
    let (shared, acceptor) = (Arc::clone(&seen), TlsAcceptor::from(Arc::new(config)));
    tokio::spawn(async move {
        for connection in 1.. {
            let Ok((stream, _)) = listener.accept().await else { return };
            let (seen, acceptor) = (Arc::clone(&shared), acceptor.clone());
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let subject = {
                    let certificates = stream.get_ref().1.peer_certificates().unwrap();
                    let pem = in_pem(&certificates[0]);
                    facts(pem.as_bytes()).unwrap().certificate_subject.unwrap()
                };
                let mut buffer = vec![0; 64 * 1024];
                while let Ok(1..) = stream.read(&mut buffer).await {
                    seen.lock().unwrap().push((connection, subject.clone()));
                    let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
                }
            });
        }
    });
    (address, seen)
}

fn in_pem(der: &[u8]) -> String {
    let encoded = BASE64_STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{encoded}\n-----END CERTIFICATE-----\n")
}

/// A TLS record with one handshake message that picks a version and a cipher suite.
pub fn server_hello(version: [u8; 2], suite: [u8; 2]) -> Vec<u8> {
    let mut hello = version.to_vec();
    hello.extend([7; 32]);
    // No session, the suite, no compression.
    hello.extend([0, suite[0], suite[1], 0]);
    let length = u8::try_from(hello.len()).unwrap();
    let mut record = vec![22, version[0], version[1], 0, length + 4, 2, 0, 0, length];
    record.extend(hello);
    record
}

/// A TLS record that says goodbye.
pub const CLOSE_NOTIFY: [u8; 7] = [21, 3, 3, 0, 2, 1, 0];
