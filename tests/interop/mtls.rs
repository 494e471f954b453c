//! `mtls`, against Node's own `https`.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::json;

use crate::mtls_server::MtlsServer;
use crate::sender::{Outcome, Sender, Target};

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate and its key.
    fn issue(&self, name: &str) -> (String, String) {
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

async fn sender(server: &MtlsServer, trusted: &Authority, identity: (String, String)) -> Sender {
    let auth = json!({"scheme": "mtls", "secret": "s", "authorities": trusted.0.pem()});
    let url = format!("https://127.0.0.1:{}/in", server.port());
    Sender::open(Target::new(&url, auth, &(identity.0 + &identity.1))).await
}

async fn agrees(version: &str) {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (certificate, key) = authority.issue("receiver");
    let mut server = MtlsServer::start(&certificate, &key, &authority.0.pem(), Some(version));
    let right = sender(&server, &authority, authority.issue("acme")).await;
    assert!(matches!(right.deliver().await, Outcome::Delivered));
    let seen = server.next();
    assert_eq!((&seen["subject"]["CN"], &seen["protocol"]), (&json!("acme"), &json!(version)));
    let wrong = sender(&server, &authority, stranger.issue("acme")).await;
    assert!(matches!(wrong.deliver().await, Outcome::Waits));
    assert!(server.next()["refused"].is_string());
}

#[tokio::test]
async fn a_server_of_tls_1_2_sees_the_certificate_and_refuses_a_stranger_s() {
    agrees("TLSv1.2").await;
}

#[tokio::test]
async fn a_server_of_tls_1_3_sees_the_certificate_and_refuses_a_stranger_s() {
    agrees("TLSv1.3").await;
}
