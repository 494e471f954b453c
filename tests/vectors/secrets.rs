//! Envelopes and signatures.

use std::collections::HashMap;

use sealpost::auth::{Call, Chain};
use sealpost::domain::endpoint::Method;
use sealpost::domain::request::OutboundRequest;
use sealpost::domain::secret::SecretBytes;
use sealpost::domain::timestamp::Timestamp;
use sealpost::vault::context_bytes;
use sealpost::vault::envelope::Envelope;
use serde_json::{Value, json};

use crate::data::{own, shared};

fn hex(case: &Value, key: &str) -> Vec<u8> {
    let text = case[key].as_str().unwrap();
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn context(case: &Value) -> Vec<(&'static str, String)> {
    let pairs = case["context"].as_object().unwrap();
    // Test data lives as long as the test.
    pairs.iter().map(|(k, v)| (&*k.clone().leak(), v.as_str().unwrap().to_owned())).collect()
}

#[test]
fn envelopes_open_and_refuse_as_the_cases_say() {
    let Some(file) = shared("envelope_vectors.json") else { return };
    let mut seen = 0;
    for case in file["cases"].as_array().unwrap() {
        match case["kind"].as_str().unwrap() {
            "context-serialisation" => {
                assert_eq!(context_bytes(&context(case)), hex(case, "serialised_hex"))
            }
            "decrypt" => {
                let (message_id, commitment) =
                    (hex(case, "message_id_hex"), hex(case, "commit_key_hex"));
                let (nonce, sealed) = (hex(case, "nonce_hex"), hex(case, "ciphertext_and_tag_hex"));
                let envelope = Envelope {
                    wrapped_key: &[],
                    message_id: message_id.first_chunk().unwrap(),
                    commitment: commitment.first_chunk().unwrap(),
                    nonce: nonce.first_chunk().unwrap(),
                    sealed: &sealed,
                };
                let opened =
                    envelope.open(&SecretBytes::new(hex(case, "data_key_hex")), &context(case));
                assert_eq!(opened.is_ok(), case["accept"].as_bool().unwrap(), "{}", case["id"]);
                if let (Ok(opened), Some(plain)) = (opened, case["plaintext_utf8"].as_str()) {
                    assert_eq!(opened.expose(), plain.as_bytes());
                }
            }
            _ => continue,
        }
        seen += 1;
    }
    assert!(seen > 10);
}

fn header(
    steps: &Value,
    secrets: &[&str],
    id: &str,
    seconds: i64,
    body: &[u8],
    name: &str,
) -> Option<String> {
    let values = secrets.iter().map(|s| SecretBytes::new(s.as_bytes().to_vec())).collect();
    let secrets = HashMap::from([("s".parse().unwrap(), values)]);
    let job_id = id.parse().unwrap();
    let call =
        Call { job_id: &job_id, now: Timestamp::from_millis(seconds * 1000), secrets: &secrets };
    let mut request = OutboundRequest {
        method: Method::Post,
        url: "https://a.example/".parse().unwrap(),
        secret_query: Vec::new(),
        headers: Vec::new(),
        body: body.to_vec().into(),
    };
    let steps: Vec<_> = serde_json::from_value(steps.clone()).unwrap();
    Chain::compile(&steps, std::iter::empty()).ok()?.apply(&mut request, &call).ok()?;
    let found = request.headers.iter().find(|h| h.name == name)?;
    Some(String::from_utf8(found.value.expose().to_vec()).unwrap())
}

#[test]
fn standard_webhooks_v1_signs_as_the_cases_say() {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    let Some(file) = shared("webhook_signatures.json") else { return };
    let mut seen = 0;
    for case in
        file["cases"].as_array().unwrap().iter().filter(|c| c["scheme"] == "standard-webhooks-v1")
    {
        let body = match case["body_base64"].as_str() {
            Some(encoded) => BASE64_STANDARD.decode(encoded).unwrap(),
            None => case["body_utf8"].as_str().unwrap().as_bytes().to_vec(),
        };
        let secrets: Vec<&str> =
            ["secret", "old_secret"].iter().filter_map(|k| case[*k].as_str()).collect();
        let steps = json!([{"scheme": "standard_webhooks", "secret": "s"}]);
        let (id, at) = (case["message_id"].as_str().unwrap(), case["timestamp"].as_i64().unwrap());
        let signed = header(&steps, &secrets, id, at, &body, "webhook-signature");
        assert_eq!(
            signed.as_deref(),
            case["expected_headers"]["webhook-signature"].as_str(),
            "{}",
            case["id"]
        );
        seen += 1;
    }
    assert!(seen >= 7);
}

#[test]
fn basic_and_bearer_are_written_and_refused_as_the_cases_say() {
    let Some(file) = shared("auth_headers.json") else { return };
    let mut seen = 0;
    for case in file["cases"].as_array().unwrap() {
        let (steps, secret) = match case["kind"].as_str().unwrap() {
            "basic" => (
                json!([{"scheme": "basic", "username": case["username"], "secret": "s"}]),
                &case["password"],
            ),
            "bearer" => (json!([{"scheme": "bearer", "secret": "s"}]), &case["token"]),
            _ => continue,
        };
        if case["refuse"] == "warn" {
            continue;
        }
        let written = header(&steps, &[secret.as_str().unwrap()], "j", 0, b"", "authorization");
        assert_eq!(written.as_deref(), case["expected"].as_str(), "{}", case["id"]);
        seen += 1;
    }
    assert!(seen >= 7);
}

#[test]
fn every_scheme_has_a_file_vectors_and_a_heading() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = std::fs::read_to_string(root.join("docs/AUTH.md")).unwrap();
    for scheme in sealpost::auth::REGISTRY {
        let name = scheme.name();
        assert!(root.join(format!("src/auth/{name}.rs")).is_file(), "src/auth/{name}.rs");
        assert!(docs.contains(&format!("\n## {name}\n")), "docs/AUTH.md has no heading {name}");
        let file = own(&format!("auth/{name}/cases.json"));
        for case in file["cases"].as_array().unwrap() {
            let mut step = case["settings"].clone();
            step["scheme"] = name.into();
            let steps = json!([step]);
            let (id, body) =
                (case["id"].as_str().unwrap_or("j"), case["body"].as_str().unwrap_or(""));
            let seconds = case["seconds"].as_i64().unwrap_or(0);
            let secret = [case["secret"].as_str().unwrap()];
            let get = |header_name: &str| {
                header(&steps, &secret, id, seconds, body.as_bytes(), header_name)
            };
            match case["expect"].as_object() {
                Some(expected) => expected
                    .iter()
                    .for_each(|(n, v)| assert_eq!(get(n).as_deref(), v.as_str(), "{case}")),
                None => assert_eq!(
                    get("authorization").or(get("x-key")).or(get("webhook-signature")),
                    None,
                    "{case}"
                ),
            }
        }
    }
}
