//! What a receiver accepts and refuses, and what it says is wrong.

use std::time::Duration;

use sealpost::auth::verify::{Captured, Code, Finding};
use serde_json::{Value, json};

use crate::data::shared;
use crate::hmac::signed;
use crate::scheme::{Case, captured};

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

/// What is found if the signature of a request by Stripe, at second 1700000000, is changed.
fn codes(arrival: i64, change: impl Fn(&str) -> String) -> Vec<Code> {
    let (mut own, mut request) = signed("stripe", "s", "{}");
    own["seconds"] = arrival.into();
    let header = request.headers.iter_mut().find(|(name, _)| name == "stripe-signature").unwrap();
    header.1 = change(&header.1);
    let found = Case(&own).verify(&request, Duration::from_secs(300));
    found.into_iter().map(|finding| finding.code).collect()
}

#[test]
fn a_part_of_a_signature_is_none() {
    let sent = |change: fn(&str) -> String| codes(1_700_000_000, change);
    assert_eq!(sent(|text| text.to_owned()), []);
    assert_eq!(sent(|text| text[..text.len() - 2].to_owned()), [Code::Mismatch]);
    assert_eq!(sent(|text| format!("{text}00")), [Code::Mismatch]);
    assert_eq!(sent(|text| text[..text.len() - 1].to_owned()), [Code::Malformed]);
    assert_eq!(
        sent(|text| text.to_uppercase().replace("T=", "t=").replace("V1", "v1")),
        [Code::Malformed]
    );
    assert_eq!(sent(|_| "t=1700000000,v1=".to_owned()), [Code::Malformed]);
    assert_eq!(sent(|_| String::new()), [Code::Malformed]);
}

#[test]
fn elements_of_a_signature_stand_in_any_order_and_one_is_enough() {
    let sent = |change: fn(&str) -> String| codes(1_700_000_000, change);
    assert_eq!(sent(|text| text.split(',').rev().collect::<Vec<_>>().join(", ")), []);
    assert_eq!(sent(|text| text.replace(",v1", ",v1=00,v9=x,v1")), []);
    assert_eq!(sent(|text| format!("{text},v1=")), []);
    assert_eq!(sent(|text| text.replace("v1=", "v0=")), [Code::Malformed]);
    assert_eq!(sent(|text| format!("{text},t=1700000000")), [Code::Malformed]);
    assert_eq!(sent(|text| text.replace("t=", "t=+")), [Code::Malformed]);
    assert_eq!(sent(|text| text.replace("t=1700000000,", "")), [Code::Malformed]);
}

#[test]
fn the_ends_of_the_tolerance_are_within_it() {
    for (arrival, expected) in [
        (1_700_000_300, vec![]),
        (1_699_999_700, vec![]),
        (1_700_000_301, vec![Code::OutsideTolerance]),
        (1_699_999_699, vec![Code::OutsideTolerance]),
    ] {
        assert_eq!(codes(arrival, str::to_owned), expected, "{arrival}");
    }
}

#[test]
fn an_id_that_could_end_elsewhere_is_refused() {
    let (own, mut request) = signed("svix", "c2VjcmV0", "{}");
    let id = request.headers.iter_mut().find(|(name, _)| name == "svix-id").unwrap();
    id.1 = "msg.1".to_owned();
    let found = Case(&own).verify(&request, Duration::from_secs(300));
    assert_eq!(found[0].code, Code::Malformed, "{found:?}");
    assert!(found[0].message.contains("id holds"), "{found:?}");
}

#[test]
fn a_header_that_is_there_twice_counts_for_nothing() {
    let (own, mut request) = signed("github", "s", "{}");
    request.headers.push(("X-Hub-Signature-256".to_owned(), "sha256=00".to_owned()));
    let found = Case(&own).verify(&request, Duration::ZERO);
    assert_eq!(found[0].code, Code::Malformed, "{found:?}");
}

/// A receiver that knows `v1` of hook0 does not fall back to `v0`, which covers no headers.
#[test]
fn a_stronger_version_counts_alone() {
    let (mut own, weak) = signed("hook0", "s", "{}");
    own["settings"]["covered_headers"] = json!(["content-type"]);
    own["headers"] = json!({"content-type": "text/plain"});
    let mut request = captured(&Case(&own).apply().unwrap());
    own["settings"]["covered_headers"] = json!([]);
    assert_eq!(Case(&own).verify(&request, Duration::ZERO), []);
    let v0 = weak.headers.iter().find(|(name, _)| name == "x-hook0-signature").unwrap();
    let v0 = v0.1.split(',').next_back().unwrap();
    for (name, value) in &mut request.headers {
        if name == "x-hook0-signature" {
            value.push_str(&format!(",{v0}"));
        } else if name == "content-type" {
            "text/html".clone_into(value);
        }
    }
    let found = Case(&own).verify(&request, Duration::ZERO);
    assert_eq!(found.iter().map(|f| f.code).collect::<Vec<_>>(), [Code::Mismatch]);
}
