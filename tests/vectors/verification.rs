//! What a receiver accepts and refuses, and what it says is wrong.

use std::time::Duration;

use sealpost::auth::verify::{Captured, Code, Finding};
use serde_json::{Value, json};

use crate::data::shared;
use crate::scheme::Case;

fn verify(case: &Value) -> Vec<Finding> {
    let (settings, header) = match case["scheme"].as_str().unwrap() {
        "standard-webhooks" => (json!({"scheme": "standard_webhooks", "secret": "s"}), None),
        "timestamped-hex" => {
            let settings = json!({"scheme": "hmac", "preset": "hook0", "secret": "s"});
            (settings, Some("X-Hook0-Signature"))
        }
        "stripe" => {
            let settings = json!({"scheme": "hmac", "preset": "stripe", "secret": "s"});
            (settings, Some("Stripe-Signature"))
        }
        other => panic!("{other}"),
    };
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut headers: Vec<(String, String)> = match &case["headers"] {
        Value::Array(list) => list.iter().map(|pair| (text(&pair[0]), text(&pair[1]))).collect(),
        map => map.as_object().into_iter().flatten().map(|(n, v)| (n.clone(), text(v))).collect(),
    };
    headers.extend(header.map(|name| (name.to_owned(), text(&case["signature"]))));
    let captured = Captured {
        method: "POST".parse().unwrap(),
        url: "https://a.example/".parse().unwrap(),
        headers,
        body: text(&case["body"]).into(),
    };
    let own = json!({"settings": settings, "secret": case["secret"], "seconds": case["now"]});
    let tolerance = Duration::from_secs(case["tolerance_s"].as_u64().unwrap());
    Case(&own).verify(&captured, tolerance)
}

#[test]
fn requests_are_accepted_and_refused_as_the_cases_say() {
    let Some(file) = shared("verification_cases.json") else { return };
    let mut wrong = Vec::new();
    for case in file["cases"].as_array().unwrap() {
        let found = verify(case);
        let codes: Vec<Code> = found.iter().map(|finding| finding.code).collect();
        let expected = match case["refusal"].as_str() {
            Some("mismatch") => vec![Code::Mismatch],
            Some("header-missing") => vec![Code::HeaderMissing],
            Some("not-hex" | "malformed") => vec![Code::Malformed],
            Some("outside-tolerance") => vec![Code::OutsideTolerance],
            Some(other) => panic!("{other}"),
            None => Vec::new(),
        };
        let is_right = match case["valid"].as_bool().unwrap() {
            true => codes.is_empty(),
            false if case["refusal"].is_null() => !codes.is_empty(),
            false => codes == expected,
        };
        if !is_right {
            wrong.push(format!("{} {}: {found:?}", case["scheme"], case["name"]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
