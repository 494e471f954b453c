use std::time::Duration;

use bytes::Bytes;
use sealpost::config::Config;
use sealpost::domain::access::Scope;
use serde_json::{Value, json};

use crate::server::Server;

const KEYS: &str = "/v1/api-keys";
const ENDPOINTS: &str = "/v1/customers/acme/endpoints";

#[tokio::test]
async fn a_key_is_shown_once_works_and_is_revoked() {
    let server = Server::start().await;
    // Keys are listed by age.
    server.clock.advance(Duration::from_millis(1));
    let new = json!({"name": "billing", "scope": "read_only", "customers": ["acme"]});
    let made = server.call("POST", KEYS, new).await.is(201);
    let text = made["key"].as_str().unwrap();
    assert!(text.starts_with("sp_"));
    server.call_as(text, "GET", ENDPOINTS, Value::Null).await.is(200);
    let listed = server.call("GET", KEYS, Value::Null).await;
    assert!(!listed.text.contains(&text[24..]) && !listed.text.contains("hash"), "{listed:?}");
    let listed = listed.is(200);
    let billing = &listed["data"][1];
    assert_eq!((&billing["name"], &billing["customers"]), (&json!("billing"), &json!(["acme"])));
    let path = format!("{KEYS}/{}", made["id"].as_str().unwrap());
    assert_eq!(server.call("DELETE", &path, Value::Null).await.status, 204);
    let refused = server.call_as(text, "GET", ENDPOINTS, Value::Null).await;
    assert_eq!((refused.status, refused.problem().as_str()), (401, "unauthenticated"));
    let missing = server.call("DELETE", &format!("{KEYS}/key_1"), Value::Null).await;
    assert_eq!(missing.problem(), "not_found");
}

#[tokio::test]
async fn a_key_ends_when_its_time_is_over() {
    let server = Server::start().await;
    let new = json!({"name": "short", "scope": "operator", "expiresIn": "1h"});
    let text = server.call("POST", KEYS, new).await.is(201)["key"].as_str().unwrap().to_owned();
    server.clock.advance(Duration::from_secs(3599));
    server.call_as(&text, "GET", ENDPOINTS, Value::Null).await.is(200);
    server.clock.advance(Duration::from_secs(1));
    assert_eq!(server.call_as(&text, "GET", ENDPOINTS, Value::Null).await.status, 401);
}

#[tokio::test]
async fn a_key_that_would_be_good_for_nothing_is_refused() {
    let server = Server::start().await;
    for (new, path) in [
        (json!({"scope": "operator"}), ""),
        (json!({"name": " ", "scope": "operator"}), "name"),
        (json!({"name": "x", "scope": "everything"}), "scope"),
        (json!({"name": "x", "scope": "operator", "customers": []}), "customers"),
        (json!({"name": "x", "scope": "operator", "customers": ["a b"]}), "customers[0]"),
        (json!({"name": "x", "scope": "operator", "expiresIn": "soon"}), "expiresIn"),
        (json!({"name": "x", "scope": "operator", "admin": true}), "admin"),
    ] {
        let refused = server.call("POST", KEYS, new.clone()).await;
        assert_eq!(
            (refused.problem().as_str(), refused.path().as_str()),
            ("validation_failed", path),
            "{new}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn a_token_is_a_customer_s_for_a_while_and_ends_with_the_key_it_was_made_with() {
    let server = Server::start().await;
    let (key, text) = server.full_key(Scope::Operator, &["acme"], &[]).await;
    let mint = "/v1/customers/acme/tokens";
    let short = server.call_as(&text, "POST", mint, json!({"expiresIn": "1m"})).await.is(201);
    let long = server.call_as(&text, "POST", mint, Value::Null).await.is(201);
    let token = |made: &Value| made["token"].as_str().unwrap().to_owned();
    for made in [&short, &long] {
        server.call_as(&token(made), "GET", ENDPOINTS, Value::Null).await.is(200);
        let other = "/v1/customers/other/endpoints";
        let refused = server.call_as(&token(made), "GET", other, Value::Null).await;
        assert_eq!(refused.problem(), "forbidden");
    }
    server.clock.advance(Duration::from_secs(60));
    let use_it = async |made: &Value| {
        server.call_as(&token(made), "GET", ENDPOINTS, Value::Null).await.status
    };
    assert_eq!((use_it(&short).await, use_it(&long).await), (401, 200));
    assert_eq!(server.call("DELETE", &format!("{KEYS}/{}", key.id), Value::Null).await.status, 204);
    assert_eq!(use_it(&long).await, 401);
    for bad in ["0s", "25h"] {
        let refused = server.call("POST", mint, json!({"expiresIn": bad})).await;
        assert_eq!(refused.path(), "expiresIn");
    }
}

#[tokio::test]
async fn a_key_that_is_used_too_fast_is_told_when_to_go_on_and_others_are_not_slowed() {
    let server = Server::start_with(|config| config.api.requests_per_second = 3).await;
    let other = server.key(Scope::Operator, &[], &[]).await;
    for _ in 0..3 {
        server.call("GET", ENDPOINTS, Value::Null).await.is(200);
    }
    let refused = server.call("GET", ENDPOINTS, Value::Null).await;
    assert_eq!((refused.status, refused.problem().as_str()), (429, "rate_limited"));
    assert_eq!(refused.header("retry-after"), "1");
    server.call_as(&other, "GET", ENDPOINTS, Value::Null).await.is(200);
    server.clock.advance(Duration::from_secs(1));
    server.call("GET", ENDPOINTS, Value::Null).await.is(200);
}

#[tokio::test]
async fn an_address_that_shows_bad_keys_is_told_to_wait_and_good_keys_are_let_in_from_there() {
    let few = |config: &mut Config| config.api.failed_authentications_per_minute = 5;
    let server = Server::start_with(few).await;
    let fresh = server.key(Scope::Operator, &[], &[]).await;
    server.call("GET", ENDPOINTS, Value::Null).await.is(200);
    let unknown = |n: u32| format!("sp_{n:020}_{}", "A".repeat(43));
    for n in 0..5 {
        let refused = server.call_as(&unknown(n), "GET", ENDPOINTS, Value::Null).await;
        assert_eq!((refused.status, refused.problem().as_str()), (401, "unauthenticated"));
    }
    // Another bad one, a known id with another secret, and a good key that was never seen: none is
    // looked up.
    let forged = format!("{}{}", &server.operator[..24], "A".repeat(43));
    for key in [&unknown(5), &forged, &fresh] {
        let refused = server.call_as(key, "GET", ENDPOINTS, Value::Null).await;
        assert_eq!((refused.status, refused.problem().as_str()), (429, "rate_limited"));
        assert_eq!(refused.header("retry-after"), "12");
    }
    server.call("GET", ENDPOINTS, Value::Null).await.is(200);
    server.clock.advance(Duration::from_secs(12));
    server.call_as(&fresh, "GET", ENDPOINTS, Value::Null).await.is(200);
    // A good one costs nothing.
    for _ in 0..9 {
        let key = server.key(Scope::Operator, &[], &[]).await;
        server.call_as(&key, "GET", ENDPOINTS, Value::Null).await.is(200);
    }
}

#[tokio::test]
async fn behind_a_trusted_proxy_those_behind_it_are_counted() {
    let server = Server::start_with(|config| {
        config.api.failed_authentications_per_minute = 1;
        config.api.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let bad = format!("Bearer sp_{}_{}", "0".repeat(20), "A".repeat(43));
    let call = async |from: &str| {
        let headers = [("authorization", bad.as_str()), ("x-forwarded-for", from)];
        server.send("GET", ENDPOINTS, &headers, Bytes::new()).await.status
    };
    assert_eq!((call("192.0.2.1").await, call("192.0.2.1").await), (401, 429));
    assert_eq!(call("192.0.2.2").await, 401);
}
