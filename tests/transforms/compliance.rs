//! The compliance cases of JMESPath (`fixtures/transform/jmespath/README.md`).

use std::path::Path;

use serde_json::Value;

use crate::case::Case;

/// As JMESPath's own cases are compared: numbers by value.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(l, r)| same(l, r))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(name, l)| right.get(name).is_some_and(|r| same(l, r)))
        }
        (left, right) => left == right,
    }
}

/// What is wrong with a case, if anything is.
fn check(given: &Value, case: &Value) -> Option<String> {
    let body = serde_json::json!({"jmespath": case["expression"]});
    let made = Case::new(&body.to_string(), &given.to_string()).text();
    let wrong = match (&made, case.get("error")) {
        (Err(_), Some(_)) => false,
        (Ok(_), Some(_)) | (Err(_), None) => true,
        (Ok(text), None) => !same(&serde_json::from_str(text).unwrap(), &case["result"]),
    };
    wrong.then(|| format!("{case}: {made:?}"))
}

#[test]
fn every_compliance_case_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/transform/jmespath");
    let mut wrong = Vec::new();
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let suites: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        for suite in suites.as_array().unwrap() {
            for case in suite["cases"].as_array().unwrap() {
                wrong.extend(check(&suite["given"], case));
                seen += 1;
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {seen}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(seen > 700, "only {seen} cases");
}
