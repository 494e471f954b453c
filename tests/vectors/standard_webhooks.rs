//! Standard Webhooks: version `v1`, version `v1a`, and both.

use std::time::Duration;

use proptest::prelude::*;
use sealpost::auth::verify::Code;
use serde_json::{Value, json};

use crate::data::shared;
use crate::scheme::{Case, captured};

const V1: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const V1A: &str =
    "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
const BOTH: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==";

fn both() -> Value {
    json!({"settings": {"scheme": "standard_webhooks", "secret": "h", "ed25519_secret": "e"},
           "secrets": {"h": V1, "e": V1A}, "id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
           "seconds": 1_614_265_330, "body": "{\"test\": 2432232314}"})
}

#[test]
fn v1_and_v1a_stand_side_by_side() {
    assert_eq!(Case(&both()).header("webhook-signature").as_deref(), Some(BOTH));
    let mut one = both();
    one["settings"] = json!({"scheme": "standard_webhooks", "ed25519_secret": "e"});
    let (_, v1a) = BOTH.split_once(' ').unwrap();
    assert_eq!(Case(&one).header("webhook-signature").as_deref(), Some(v1a));
    let mut rotation = both();
    rotation["secrets"]["h"] = json!([V1, "C2FVsBQIhrscChlQIMV+b5sSYspob7oD"]);
    let signed = Case(&rotation).header("webhook-signature").unwrap();
    let versions: Vec<&str> = signed.split(' ').map(|s| s.split(',').next().unwrap()).collect();
    assert_eq!(versions, ["v1", "v1", "v1a"]);
}

#[test]
fn the_shared_signatures_of_v1a_come_out() {
    let Some(file) = shared("webhook_signatures.json") else { return };
    let named = |id: &str| {
        let cases = file["cases"].as_array().unwrap();
        let case = cases.iter().find(|case| case["id"] == id).unwrap();
        case["expected_headers"]["webhook-signature"].as_str().unwrap().to_owned()
    };
    assert_eq!(named("standardwebhooks-v1+v1a"), BOTH);
    assert_eq!(BOTH.split(' ').next_back(), Some(named("standardwebhooks-v1a-1").as_str()));
}

#[test]
fn with_both_secrets_both_versions_have_to_be_right() {
    let (v1, v1a) = BOTH.split_once(' ').unwrap();
    let codes = |signature: &str| -> Vec<Code> {
        let mut request = captured(&Case(&both()).apply().unwrap());
        let header = request.headers.iter_mut().find(|(name, _)| name == "webhook-signature");
        signature.clone_into(&mut header.unwrap().1);
        let found = Case(&both()).verify(&request, Duration::ZERO);
        found.into_iter().map(|finding| finding.code).collect()
    };
    assert_eq!(codes(BOTH), []);
    assert_eq!(codes(&format!("{v1a} v9,x {v1}")), []);
    assert_eq!(codes(v1), [Code::Malformed]);
    assert_eq!(codes(v1a), [Code::Malformed]);
    assert_eq!(codes(&BOTH.replace("v1a,h", "v1a,i")), [Code::Mismatch]);
}

#[test]
fn secrets_are_accepted_as_the_cases_say() {
    let Some(file) = shared("verification_cases.json") else { return };
    let cases = file["secret_configuration"].as_array().unwrap();
    assert!(cases.len() >= 10);
    for case in cases {
        let secret = case["secret"].as_str().unwrap();
        let setting = if secret.starts_with("whsk_") { "ed25519_secret" } else { "secret" };
        let own =
            json!({"settings": {"scheme": "standard_webhooks", setting: "s"}, "secret": secret});
        assert_eq!(Case(&own).apply().is_ok(), case["accept"] != false, "{}", case["name"]);
    }
}

#[test]
fn a_key_of_the_other_version_is_refused() {
    for (setting, secret) in [("secret", V1A), ("ed25519_secret", V1)] {
        let own =
            json!({"settings": {"scheme": "standard_webhooks", setting: "s"}, "secret": secret});
        assert!(Case(&own).apply().is_err(), "{setting}");
    }
    let none = json!({"settings": {"scheme": "standard_webhooks"}});
    assert!(Case(&none).apply().err().unwrap().starts_with("auth[0].secret: "));
}

proptest! {
    #[test]
    fn what_is_signed_verifies_and_no_changed_body_does(body in "[ -~]{0,40}", other in "[ -~]{0,40}") {
        prop_assume!(body != other);
        let mut case = both();
        case["body"] = body.into();
        let mut request = captured(&Case(&case).apply().unwrap());
        prop_assert_eq!(Case(&case).verify(&request, Duration::ZERO), []);
        request.body = other.into();
        prop_assert!(!Case(&case).verify(&request, Duration::ZERO).is_empty());
    }
}
