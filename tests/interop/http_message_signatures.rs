//! `http_message_signatures`.

use sealpost::domain::request::HeaderValue;
use serde_json::{Value, json};

use crate::exchange::{Keys, Receiver, check_with_time};
use crate::key_pairs::two_keys;
use crate::sender::now;

/// Everything that the libraries know beside the default.
const MANY: &[&str] = &[
    "@method",
    "@authority",
    "@scheme",
    "@request-target",
    "@path",
    "@query",
    "@query-param;name=\"a\"",
    "@query-param;name=\"b\"",
    "content-type",
    "content-digest",
    "x-spaced",
];

async fn agrees(language: &'static str, algorithm: &str, required: &[&str], extra: Value) {
    let mut auth = json!({"scheme": "http_message_signatures", "algorithm": algorithm,
                          "secret": "s", "key_id": "k1"});
    auth.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    let headers = json!({"x-spaced": "a  b   c"});
    let receiver = Receiver { headers, ..Receiver::new(language, "http_message_signatures", auth) };
    let keys = two_keys(algorithm);
    let known = json!({"key": keys.public, "algorithm": algorithm, "components": required});
    let known = known.to_string();
    let keys = Keys { theirs: &known, ours: &keys.private, wrong: &keys.other };
    let (sender, _server) = check_with_time(&receiver, keys).await;
    let query = sender.forge(now(), |request| request.url.set_query(Some("a=2&b=%C3%A9")));
    assert_eq!(query.await, 401, "the query was changed");
    let header = sender.forge(now(), |request| {
        request.set_header("content-type", HeaderValue::Plain("text/plain".to_owned()));
    });
    assert_eq!(header.await, 401, "a header was changed");
}

#[tokio::test]
async fn requests_http_signature_agrees() {
    let required = ["@method", "@target-uri", "content-digest", "content-type"];
    for algorithm in ["ed25519", "ecdsa-p256-sha256", "rsa-pss-sha512", "hmac-sha256"] {
        agrees("python", algorithm, &required, json!({"include_alg": true, "nonce": true})).await;
    }
    agrees("python", "ed25519", &["@query"], json!({"components": MANY, "expires": "5m"})).await;
}

#[tokio::test]
async fn http_message_signatures_of_npm_agrees() {
    let required = ["@method", "@target-uri", "content-digest", "content-type"];
    for algorithm in ["ed25519", "ecdsa-p256-sha256", "rsa-v1_5-sha256", "hmac-sha256"] {
        agrees("node", algorithm, &required, json!({"include_alg": true, "nonce": true})).await;
    }
    agrees("node", "ed25519", &["@query"], json!({"components": MANY, "expires": "5m"})).await;
}
