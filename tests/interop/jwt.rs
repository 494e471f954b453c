//! `jwt`.

use serde_json::json;

use crate::exchange::{Keys, Receiver, check_with_time};
use crate::key_pairs::two_keys;

async fn agrees(language: &'static str, algorithms: &[&str]) {
    for algorithm in algorithms {
        let auth = json!({"scheme": "jwt", "algorithm": algorithm, "secret": "s", "kid": "k1",
                          "issuer": "acme", "audience": "{url}", "nbf": true,
                          "body_hash": {"claim": "request_body_sha256", "encoding": "base64"}});
        let keys = two_keys(algorithm);
        let known = json!({"key": keys.public, "algorithm": algorithm}).to_string();
        let keys = Keys { theirs: &known, ours: &keys.private, wrong: &keys.other };
        check_with_time(&Receiver::new(language, "jwt", auth), keys).await;
    }
}

#[tokio::test]
async fn jose_agrees() {
    agrees("node", &["ES256", "EdDSA", "RS256", "HS256"]).await;
}

#[tokio::test]
async fn pyjwt_agrees() {
    agrees("python", &["ES256", "ES384", "EdDSA", "PS256", "HS256"]).await;
}
