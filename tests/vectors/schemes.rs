//! Every scheme does what its own cases say, and some of the shared ones.

use std::time::Duration;

use sealpost::auth::verify::Code;
use serde_json::json;

use crate::data::{own, shared};
use crate::scheme::{Case, captured, received};

#[test]
fn every_scheme_has_a_file_vectors_a_heading_and_an_example() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = std::fs::read_to_string(root.join("docs/AUTH.md")).unwrap();
    for scheme in sealpost::auth::REGISTRY {
        let name = scheme.name();
        assert!(root.join(format!("src/auth/{name}.rs")).is_file(), "src/auth/{name}.rs");
        assert!(root.join(format!("fixtures/auth/{name}/cases.json")).is_file(), "{name}");
        let (_, section) = docs
            .split_once(&format!("\n## {name}\n"))
            .unwrap_or_else(|| panic!("docs/AUTH.md has no heading {name}"));
        let section = section.split("\n## ").next().unwrap();
        let example = section.split("```json\n").nth(1).unwrap().split("\n```").next().unwrap();
        assert_eq!(example, scheme.example(), "the first example of {name} in docs/AUTH.md");
        let step: sealpost::domain::endpoint::AuthStep = serde_json::from_str(example).unwrap();
        let compiled = sealpost::auth::Chain::compile(&[step], std::iter::empty());
        assert!(compiled.is_ok(), "{name}: {}", compiled.err().unwrap());
        assert!(!scheme.summary().is_empty() && !scheme.summary().ends_with('.'), "{name}");
    }
}

/// `expect` of a case: the headers (a map), `"verifies"` where they are not the same every time, or
/// `null` where the settings or the secret are refused. What a step made, it also accepts.
#[test]
fn every_scheme_does_what_its_cases_say() {
    for scheme in sealpost::auth::REGISTRY {
        let name = scheme.name();
        let file = own(&format!("auth/{name}/cases.json"));
        for case in file["cases"].as_array().unwrap() {
            let mut case = case.clone();
            if let Some(settings) = case["settings"].as_object_mut() {
                settings.insert("scheme".to_owned(), name.into());
            }
            let applied = Case(&case).apply();
            if case["expect"].is_null() {
                let refused = applied.is_err() || Case(&case).check_secrets().is_err();
                assert!(refused, "{name}: {case}");
                continue;
            }
            let request = applied.unwrap_or_else(|e| panic!("{name}: {case}: {e}"));
            let checked = Case(&case).check_secrets();
            assert!(checked.is_ok(), "{name}: {case}: {}", checked.unwrap_err());
            for (header, value) in case["expect"].as_object().into_iter().flatten() {
                let sent = request.header(&header.to_ascii_lowercase()).map(|v| v.expose());
                assert_eq!(
                    sent.map(String::from_utf8_lossy).as_deref(),
                    value.as_str(),
                    "{name}: {header}: {case}"
                );
            }
            let mut found =
                Case(&received(&case)).verify(&captured(&request), Duration::from_secs(300));
            // Some schemes leave nothing in a request that shows whether they were used rightly.
            found.retain(|finding| finding.code != Code::NotVisible);
            assert!(found.is_empty(), "{name}: {case}: {found:?}");
        }
    }
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
        let own = json!({"settings": {"scheme": "standard_webhooks", "secret": "s"},
                         "secret": secrets, "id": case["message_id"], "seconds": case["timestamp"],
                         "bodyBase64": BASE64_STANDARD.encode(body)});
        let signed = Case(&own).header("webhook-signature");
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
        let (settings, secret) = match case["kind"].as_str().unwrap() {
            "basic" => (
                json!({"scheme": "basic", "username": case["username"], "secret": "s"}),
                &case["password"],
            ),
            "bearer" => (json!({"scheme": "bearer", "secret": "s"}), &case["token"]),
            _ => continue,
        };
        if case["refuse"] == "warn" {
            continue;
        }
        let own = json!({"settings": settings, "secret": secret});
        let written = Case(&own).header("authorization");
        assert_eq!(written.as_deref(), case["expected"].as_str(), "{}", case["id"]);
        seen += 1;
    }
    assert!(seen >= 7);
}
