//! Laws that hold for every scheme: what a step made it accepts, and nothing that was changed since.

use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use proptest::prelude::*;
use sealpost::auth::verify::{Captured, Code, Finding};
use serde_json::{Value, json};

use crate::data::own;
use crate::scheme::{Case, captured, received};

const TOLERANCE: Duration = Duration::from_secs(300);

/// Every step of the own cases that is accepted, whatever the scheme.
fn steps() -> Vec<Value> {
    let mut steps = Vec::new();
    for scheme in sealpost::auth::REGISTRY {
        let name = scheme.name();
        for case in own(&format!("auth/{name}/cases.json"))["cases"].as_array().unwrap() {
            let mut case = case.clone();
            if case["expect"].is_null() {
                continue;
            }
            if let Some(settings) = case["settings"].as_object_mut() {
                settings.insert("scheme".to_owned(), name.into());
            }
            steps.push(case);
        }
    }
    steps
}

/// The case with another message.
fn with_message(case: &Value, id: &str, seconds: i64, path: &str, body: &[u8]) -> Value {
    let mut case = case.clone();
    let changed = json!({"id": id, "seconds": seconds, "url": format!("https://a.example/{path}?q=1"),
                         "bodyBase64": BASE64_STANDARD.encode(body)});
    case.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
    case
}

fn faults(case: &Value, request: &Captured) -> Vec<Finding> {
    let mut found = Case(&received(case)).verify(request, TOLERANCE);
    found.retain(|finding| finding.code != Code::NotVisible);
    found
}

/// The headers of a request that a case makes, if they are the same each time.
fn headers(case: &Value) -> Option<Vec<(String, String)>> {
    let make = || Case(case).apply().ok().map(|request| captured(&request).headers);
    make().filter(|headers| make().as_ref() == Some(headers))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn every_step_accepts_what_it_made_and_refuses_another_body(
        id in "[a-zA-Z0-9_-]{1,40}",
        seconds in 1_000_000_000_i64..4_000_000_000,
        path in "[a-z0-9/%_.-]{0,20}",
        body in prop_oneof![
            any::<Vec<u8>>(),
            any::<String>().prop_map(|text| json!({"text": text}).to_string().into_bytes()),
        ],
        at in any::<prop::sample::Index>(),
    ) {
        for step in steps() {
            let case = with_message(&step, &id, seconds, &path, &body);
            // Some schemes take bodies of one kind alone.
            let Ok(request) = Case(&case).apply() else { continue };
            let request = captured(&request);
            let found = faults(&case, &request);
            prop_assert!(found.is_empty(), "{case}: {found:?}");
            if body.is_empty() {
                continue;
            }
            let mut changed = body.clone();
            let at = at.index(changed.len());
            changed[at] ^= 1;
            let other = with_message(&step, &id, seconds, &path, &changed);
            let (one, another) = (headers(&case), headers(&other));
            let covers_body = one.is_some() && another.is_some() && one != another;
            if covers_body {
                let forged = Captured { body: changed.into(), ..request };
                prop_assert!(!faults(&case, &forged).is_empty(), "accepted another body: {case}");
            }
        }
    }
}

/// Whether what a step computes covers the body, by its settings.
fn covers_body(case: &Value) -> bool {
    let settings = &case["settings"];
    match settings["scheme"].as_str().unwrap_or_default() {
        "standard_webhooks" | "hmac" | "aws_sigv4" => true,
        "jwt" => !settings["body_hash"].is_null(),
        "http_message_signatures" => {
            let components = settings["components"].as_array();
            let is_digest = |c: &Value| c.as_str().is_some_and(|c| c.contains("content-digest"));
            components.is_none_or(|components| components.iter().any(is_digest))
        }
        "digest" => settings["qop"] == "auth-int",
        _ => false,
    }
}

#[test]
fn every_step_that_covers_the_body_refuses_its_own_case_with_another() {
    let mut checked = std::collections::BTreeMap::new();
    for case in steps().iter().filter(|case| covers_body(case)) {
        let request = captured(&Case(case).apply().unwrap());
        assert!(faults(case, &request).is_empty(), "{case}");
        for at in 0..request.body.len().min(64) {
            let mut body = request.body.to_vec();
            body[at] ^= 1;
            let forged = Captured { body: body.into(), ..request.clone() };
            // Adyen's covers some fields of the body alone.
            if case["settings"]["preset"] != "adyen" {
                assert!(!faults(case, &forged).is_empty(), "byte {at} of {case}");
            }
        }
        let name = case["settings"]["scheme"].as_str().unwrap().to_owned();
        *checked.entry(name).or_insert(0) += usize::from(!request.body.is_empty());
    }
    let schemes: Vec<&str> = checked.iter().filter(|(_, n)| **n > 0).map(|(s, _)| &**s).collect();
    let all =
        ["aws_sigv4", "digest", "hmac", "http_message_signatures", "jwt", "standard_webhooks"];
    assert_eq!(schemes, all);
}
