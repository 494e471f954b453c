//! What token servers are asked for (RFC 6749 section 4.4, RFC 7523, RFC 8707).

use std::collections::HashMap;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use sealpost::domain::request::OutboundRequest;
use serde_json::{Value, json};

use crate::data::shared;
use crate::scheme::Case;

fn asked(settings: Value, secret: &str) -> OutboundRequest {
    let mut step = json!({"scheme": "oauth2_client_credentials", "client_id": "me",
                          "token_url": "https://t.example/token?x=1", "secret": "s"});
    step.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    Case(&json!({"settings": step, "secret": secret, "seconds": 1_700_000_000}))
        .token_request()
        .unwrap()
}

fn header(request: &OutboundRequest, name: &str) -> String {
    let value = request.header(name).map(|value| value.expose().to_vec());
    String::from_utf8(value.unwrap_or_default()).unwrap()
}

fn form(request: &OutboundRequest) -> Vec<(String, String)> {
    url::form_urlencoded::parse(&request.body).into_owned().collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

#[test]
fn the_client_proves_who_it_is_as_the_cases_say() {
    let Some(file) = shared("auth_headers.json") else { return };
    let mut seen = 0;
    for case in file["cases"].as_array().unwrap() {
        let (id, secret) = (&case["client_id"], case["client_secret"].as_str().unwrap_or(""));
        match case["kind"].as_str().unwrap() {
            "oauth2-client-basic" => {
                let request = asked(json!({"client_id": id}), secret);
                assert_eq!(header(&request, "authorization"), case["expected"], "{}", case["id"]);
                if let Some(unencoded) = case["non_encoding_variant"].as_str() {
                    let way = json!({"client_id": id,
                                     "client_authentication": "client_secret_basic_unencoded"});
                    assert_eq!(header(&asked(way, secret), "authorization"), unencoded);
                }
            }
            "form-encoding" => {
                let request = asked(json!({"scope": case["input"]}), "x");
                let body = String::from_utf8(request.body.to_vec()).unwrap();
                assert!(body.ends_with(&format!("scope={}", case["expected"].as_str().unwrap())));
            }
            _ => continue,
        }
        seen += 1;
    }
    assert!(seen >= 6);
}

#[test]
fn every_parameter_stands_where_the_settings_put_it() {
    let request = asked(
        json!({"client_authentication": "client_secret_post", "scope": "a b", "audience": "aud",
               "grant_type": "account_credentials",
               "resource": ["https://r.example/1", "https://r.example/2"],
               "headers": {"X-Tenant": "7", "X-Key": {"secret": "s"}},
               "query": {"q": {"secret": "s"}}, "body": {"extra": "1", "also": {"secret": "s"}}}),
        "k&y",
    );
    let expected = [
        ("grant_type", "account_credentials"),
        ("scope", "a b"),
        ("audience", "aud"),
        ("resource", "https://r.example/1"),
        ("resource", "https://r.example/2"),
        ("client_id", "me"),
        ("client_secret", "k&y"),
        ("also", "k&y"),
        ("extra", "1"),
    ];
    assert_eq!(form(&request), pairs(&expected));
    assert_eq!(request.full_url().as_str(), "https://t.example/token?x=1&q=k%26y");
    assert_eq!(
        (header(&request, "x-tenant"), header(&request, "x-key")),
        ("7".into(), "k&y".into())
    );
    assert_eq!(header(&request, "content-type"), "application/x-www-form-urlencoded");
    assert_eq!(header(&request, "accept"), "application/json");
}

#[test]
fn with_get_all_of_it_is_in_the_query() {
    let way = json!({"method": "GET", "client_authentication": "client_secret_post"});
    let request = asked(way, "x y");
    assert!(request.body.is_empty() && request.header("content-type").is_none());
    let url = request.full_url();
    let query: HashMap<_, _> = url.query_pairs().into_owned().collect();
    assert_eq!(query["grant_type"], "client_credentials");
    assert_eq!((query["client_secret"].as_str(), query["x"].as_str()), ("x y", "1"));
}

#[test]
fn an_assertion_names_client_audience_and_times_and_is_signed() {
    let key =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/keys/p256.pem"));
    let way =
        json!({"client_authentication": "private_key_jwt", "algorithm": "ES256", "kid": "k1"});
    let request = asked(way, &key.unwrap());
    let form: HashMap<_, _> = form(&request).into_iter().collect();
    assert_eq!(
        form["client_assertion_type"],
        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    );
    assert!(!form.contains_key("client_secret") && request.header("authorization").is_none());
    let parts: Vec<&str> = form["client_assertion"].split('.').collect();
    let json = |part: &str| -> Value {
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    assert_eq!(json(parts[0]), json!({"alg": "ES256", "typ": "JWT", "kid": "k1"}));
    assert_eq!(
        json(parts[1]),
        json!({"iss": "me", "sub": "me", "aud": "https://t.example/token?x=1", "iat": 1_700_000_000,
               "exp": 1_700_000_060, "jti": "0123456789abcdef0123456789abcdef"})
    );
    let public =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/keys/p256.pub.pem"));
    let public = pem(&public.unwrap());
    let key = aws_lc_rs::signature::UnparsedPublicKey::new(
        &aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED,
        // The point is the end of the key's info.
        &public[public.len() - 65..],
    );
    let signed = format!("{}.{}", parts[0], parts[1]);
    let signature = BASE64_URL_SAFE_NO_PAD.decode(parts[2]).unwrap();
    assert!(key.verify(signed.as_bytes(), &signature).is_ok());
}

fn pem(text: &str) -> Vec<u8> {
    let inner: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
    base64::prelude::BASE64_STANDARD.decode(inner).unwrap()
}
