//! `digest`, against the checks of Flask-HTTPAuth and of httpbin.

use sealpost::domain::reason::Reason;
use serde_json::json;

use crate::digest_server::DigestServer;
use crate::sender::{Outcome, Sender, Target};

const PASSWORD: &str = "Circle of Life";

async fn sender(server: &DigestServer, password: &str) -> Sender {
    let auth = json!({"scheme": "digest", "username": "mufasa", "secret": "s", "allow_md5": true});
    Sender::open(Target::new(&format!("{}/in", server.origin()), auth, password)).await
}

async fn agrees(algorithm: &str, qop: &str) {
    let mut server = DigestServer::start(algorithm, qop, "mufasa", PASSWORD);
    let right = sender(&server, PASSWORD).await;
    assert!(matches!(right.deliver().await, Outcome::Delivered), "{algorithm} {qop}");
    let seen = (server.next(), server.next());
    assert_eq!((&seen.0["status"], &seen.0["asked"]), (&json!(401), &json!(true)));
    assert_eq!((&seen.1["status"], &seen.1["asked"]), (&json!(204), &json!(false)));
    let Outcome::GivenUp(letter) = sender(&server, "another").await.deliver().await else {
        panic!("{algorithm} {qop}: a wrong password is refused")
    };
    assert_eq!(letter.reason, Reason::Rejected);
}

#[tokio::test]
async fn flask_httpauth_agrees() {
    agrees("MD5", "auth").await;
    agrees("MD5-sess", "auth").await;
}

#[tokio::test]
async fn httpbin_agrees() {
    agrees("SHA-256", "auth").await;
    agrees("SHA-256", "auth-int").await;
    agrees("MD5", "auth-int").await;
}

#[tokio::test]
async fn a_nonce_serves_as_long_as_the_server_takes_it() {
    let mut server = DigestServer::start("MD5", "auth", "mufasa", PASSWORD);
    let sender = sender(&server, PASSWORD).await;
    for _ in 0..4 {
        assert!(matches!(sender.deliver().await, Outcome::Delivered));
    }
    // A question, three answers to it, a fourth that is one too many, and one to the next challenge.
    let seen: Vec<u64> = (0..6).map(|_| server.next()["status"].as_u64().unwrap()).collect();
    assert_eq!(seen, [401, 204, 204, 204, 401, 204]);
}
