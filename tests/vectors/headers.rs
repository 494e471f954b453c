//! Header values that a job brings, and `Retry-After` values that an endpoint sends.

use std::time::Duration;

use sealpost::domain::endpoint::Method;
use sealpost::domain::header::check_plain;
use sealpost::domain::retry_after;
use sealpost::domain::timestamp::Timestamp;

use crate::data::{cases, own, shared};

#[test]
fn header_names_values_and_methods_are_refused_as_the_cases_say() {
    let mut wrong = Vec::new();
    for case in cases("egress/headers.json", "header_injection_cases.json") {
        let accepted = match (&case["method"], &case["header_name"]) {
            (serde_json::Value::String(method), _) => method.parse::<Method>().is_ok(),
            // Twice the same name: refused where headers are a map, as in jobs and endpoints.
            (_, serde_json::Value::Array(_)) => false,
            (_, name) => {
                let value = case["header_value"].as_str().unwrap();
                let checked = check_plain(name.as_str().unwrap(), value);
                checked.is_ok_and(|(_, sent)| sent == value.trim())
            }
        };
        let expected = case["expect"].as_str().unwrap();
        if accepted != expected.starts_with("accept") {
            wrong.push(format!("{case}: expected {expected}, accepted: {accepted}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn retry_after_is_read_as_the_cases_say() {
    let cap = Duration::from_secs(3600);
    let files = [Some(own("egress/retry_after.json")), shared("retry_after.json")];
    for file in files.into_iter().flatten() {
        let now = Timestamp::from_millis(file["now_unix"].as_i64().unwrap() * 1000);
        for case in file["cases"].as_array().unwrap() {
            let value = case["value"].as_str().unwrap();
            let read = retry_after::parse(value, now, cap);
            let expected = match &case["delay_s"] {
                serde_json::Value::Null => vec![None],
                serde_json::Value::Number(seconds) => {
                    vec![Some(Duration::from_secs(seconds.as_u64().unwrap()))]
                }
                words if words == "clamp" => vec![Some(cap)],
                _ => vec![None, Some(Duration::from_secs(120))],
            };
            assert!(expected.contains(&read), "{}: {read:?}", case["name"]);
        }
    }
}
