//! The guard's verdicts.

use sealpost::domain::origin::Origin;
use sealpost::egress::guard::Guard;

use crate::data::cases;

#[test]
fn every_url_is_judged_as_the_cases_say() {
    let guard = Guard { allow_http: true, ..Guard::default() };
    let mut wrong = Vec::new();
    for case in cases("egress/urls.json", "ssrf_url_cases.json") {
        let url = match &case["url_generator"] {
            serde_json::Value::Null => case["url"].as_str().unwrap().to_owned(),
            generator => {
                let text = |key: &str| generator[key].as_str().unwrap().to_owned();
                let count = usize::try_from(generator["count"].as_u64().unwrap()).unwrap();
                text("prefix") + &text("repeat").repeat(count) + &text("suffix")
            }
        };
        let verdict = guard.check_url(&url);
        let expected = case["expect"].as_str().unwrap();
        if (expected == "allow") != verdict.is_ok() {
            wrong.push(format!("{url:?}: expected {expected}, got {verdict:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_address_is_judged_as_the_cases_say() {
    let guard = Guard::default();
    let mut wrong = Vec::new();
    for case in cases("egress/addresses.json", "ssrf_ip_cases.json") {
        let address = case["ip"].as_str().unwrap();
        let verdict = guard.check_address(address.parse().unwrap());
        // What a policy may decide either way is blocked here.
        let expected = case["expect"] == "allow";
        if expected != verdict.is_ok() {
            wrong.push(format!("{address}: expected {}, got {verdict:?}", case["expect"]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_operator_can_allow_and_deny_addresses_and_deny_wins() {
    let guard = Guard {
        allow: vec!["10.0.0.0/8".parse().unwrap()],
        deny: vec!["10.9.0.0/16".parse().unwrap(), "8.8.8.8/32".parse().unwrap()],
        ..Guard::default()
    };
    let allows = |address: &str| guard.check_address(address.parse().unwrap()).is_ok();
    assert!(allows("10.1.2.3") && allows("::ffff:10.1.2.3"));
    assert!(!allows("10.9.0.1") && !allows("8.8.8.8") && !allows("::ffff:8.8.8.8"));
    assert!(!allows("192.168.0.1"));
}

#[test]
fn plain_http_is_refused_unless_allowed() {
    assert!(Guard::default().check_url("http://example.com/").is_err());
    let origin: Origin = "https://example.com".parse().unwrap();
    assert_eq!(
        Origin::of(&Guard::default().check_url("https://example.com/x").unwrap()).unwrap(),
        origin
    );
}
