//! Signatures in the formats of providers.

use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use proptest::prelude::*;
use sealpost::auth::hmac::preset::PRESETS;
use sealpost::auth::verify::Captured;
use sealpost::domain::timestamp::Timestamp;
use serde_json::{Value, json};

use crate::data::shared;
use crate::scheme::{Case, captured};

/// The preset of a scheme in the shared cases.
fn preset(scheme: &str) -> &str {
    match scheme {
        "standard-webhooks-v1" => "standard_webhooks",
        "outpost-default" => "outpost",
        "outpost-legacy" => "outpost_legacy",
        "hook0-v0" => "hook0",
        "convoy-advanced" => "convoy",
        "generic-sha256-prefixed" => "sha256",
        "hubspot-v3" => "hubspot",
        "pagerduty-v3" => "pagerduty",
        other => other,
    }
}

/// The request of a shared case, as a case of ours.
fn request_of(case: &Value) -> Value {
    let name = preset(case["scheme"].as_str().unwrap());
    let mut own = json!({"settings": {"scheme": "hmac", "preset": name, "secret": "s"}});
    let body = match (&case["body_base64"], &case["body_generator"], &case["params"]) {
        (Value::String(encoded), _, _) => BASE64_STANDARD.decode(encoded).unwrap(),
        (_, Value::Object(generator), _) => {
            let count = usize::try_from(generator["count"].as_u64().unwrap()).unwrap();
            generator["repeat"].as_str().unwrap().repeat(count).into_bytes()
        }
        (_, _, Value::Array(pairs)) if !pairs.is_empty() => {
            own["headers"] =
                json!({"content-type": "application/x-www-form-urlencoded; charset=utf-8"});
            let pairs = pairs.iter().map(|p| (p[0].as_str().unwrap(), p[1].as_str().unwrap()));
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            form.extend_pairs(pairs).finish().into_bytes()
        }
        _ => case["body_utf8"].as_str().unwrap_or_default().as_bytes().to_vec(),
    };
    own["bodyBase64"] = BASE64_STANDARD.encode(body).into();
    let secrets = ["secret", "old_secret"].iter().filter_map(|key| case[*key].as_str());
    own["secret"] = secrets.collect::<Vec<_>>().into();
    own["seconds"] = match &case["timestamp"] {
        Value::String(time) => time.parse::<Timestamp>().unwrap().as_secs(),
        Value::Number(number) if number.as_i64().unwrap() > 100_000_000_000 => {
            number.as_i64().unwrap() / 1000
        }
        Value::Number(number) => number.as_i64().unwrap(),
        // Where a case does not tell its time, its signature may.
        _ => case["expected_headers"]
            .to_string()
            .split_once("t=")
            .map_or(0, |(_, rest)| rest.split(',').next().unwrap().parse().unwrap()),
    }
    .into();
    for (ours, theirs) in [("id", "message_id"), ("url", "url"), ("method", "method")] {
        if !case[theirs].is_null() {
            own[ours] = case[theirs].clone();
        }
    }
    own
}

fn signs_as_expected(case: &Value) {
    let own = request_of(case);
    for (name, expected) in case["expected_headers"].as_object().unwrap() {
        let signed = Case(&own).header(name);
        assert_eq!(signed.as_deref(), expected.as_str(), "{name}: {case}");
    }
    let request = Case(&own).apply().unwrap();
    let found = Case(&own).verify(&captured(&request), Duration::ZERO);
    assert!(found.is_empty(), "{case}: {found:?}");
}

#[test]
fn every_template_signs_as_the_cases_say() {
    let Some(file) = shared("scheme_templates.json") else { return };
    let cases = file["cases"].as_array().unwrap();
    assert!(cases.len() >= 26);
    cases.iter().for_each(signs_as_expected);
}

#[test]
fn providers_own_signatures_come_out() {
    let Some(file) = shared("webhook_signatures.json") else { return };
    let mut seen = 0;
    for case in file["cases"].as_array().unwrap() {
        let scheme = case["scheme"].as_str().unwrap();
        let port_is_default =
            ["twilio-port-443", "twilio-port-80"].contains(&case["id"].as_str().unwrap());
        // Those have tests of their own.
        if scheme.starts_with("standard-webhooks-v1") && scheme != "standard-webhooks-v1"
            || scheme == "adyen"
            || port_is_default
        {
            continue;
        }
        signs_as_expected(case);
        seen += 1;
    }
    assert!(seen >= 30, "{seen}");
}

/// A URL has no default port: what was signed with one is accepted, and can be signed.
#[test]
fn a_default_port_may_be_signed() {
    let Some(file) = shared("webhook_signatures.json") else { return };
    for id in ["twilio-port-443", "twilio-port-80"] {
        let case = file["cases"].as_array().unwrap().iter().find(|c| c["id"] == id).unwrap();
        let mut own = request_of(case);
        let expected = case["expected_headers"]["X-Twilio-Signature"].as_str().unwrap();
        let mut request = captured(&Case(&own).apply().unwrap());
        let header = request.headers.iter_mut().find(|(name, _)| name == "x-twilio-signature");
        expected.clone_into(&mut header.unwrap().1);
        assert_eq!(Case(&own).verify(&request, Duration::ZERO), [], "{id}");
        own["settings"] = json!({"scheme": "hmac", "secret": "s", "mac": "hmac-sha1", "key": "utf8",
            "string_to_sign": "{url_with_port}{form}", "output": "base64",
            "headers": {"X-Twilio-Signature": "{sig}"}});
        assert_eq!(Case(&own).header("X-Twilio-Signature").as_deref(), Some(expected), "{id}");
    }
}

#[test]
fn adyen_s_signature_is_put_in_the_body() {
    let Some(file) = shared("webhook_signatures.json") else { return };
    let case = file["cases"].as_array().unwrap().iter().find(|c| c["scheme"] == "adyen").unwrap();
    let signature =
        case["expected_headers"]["(json)additionalData.hmacSignature"].as_str().unwrap();
    let item = |data: &str| {
        format!(
            r#"{{ "live":"false", "notificationItems":[{{"NotificationRequestItem":{{{data}"amount":{{"currency":"EUR","value":1130}},"eventCode":"AUTHORISATION","merchantAccountCode":"TestMerchant","merchantReference":"TestPayment-1407325143704","pspReference":"7914073381342284","success":"true", "x": 1.10}}}}]}}"#
        )
    };
    let own = json!({"settings": {"scheme": "hmac", "preset": "adyen", "secret": "s"},
                     "secret": case["secret"], "body": item("")});
    let request = Case(&own).apply().unwrap();
    let expected = item(&format!(r#""additionalData":{{"hmacSignature":"{signature}"}},"#));
    assert_eq!(std::str::from_utf8(&request.body).unwrap(), expected);
    assert_eq!(Case(&own).verify(&captured(&request), Duration::ZERO), []);
}

fn custom(mac: &str) -> Value {
    json!({"scheme": "hmac", "preset": "custom", "secret": "s", "mac": mac, "key": "hex",
           "string_to_sign": "{body}", "output": "hex", "headers": {"x-sig": "{sig}"}})
}

#[test]
fn the_macs_are_those_of_rfc_4231() {
    let Some(file) = shared("rfc4231_hmac.json") else { return };
    for case in file["cases"].as_array().unwrap() {
        for (mac, key) in [("hmac-sha256", "hmac_sha256"), ("hmac-sha512", "hmac_sha512")] {
            let message = case["msg_hex"].as_str().unwrap().as_bytes();
            let bytes: Vec<u8> = message
                .chunks(2)
                .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
                .collect();
            let own = json!({"settings": custom(mac), "secret": case["key_hex"],
                             "bodyBase64": BASE64_STANDARD.encode(bytes)});
            let signed = Case(&own).header("x-sig").unwrap();
            let bits = case["truncate_to_bits"].as_u64();
            let digits = bits.map_or(signed.len(), |bits| usize::try_from(bits / 4).unwrap());
            let expected = case[key].as_str().unwrap();
            assert_eq!(signed[..digits], expected[..digits], "{}", case["id"]);
        }
    }
}

#[test]
fn the_documentation_s_table_is_the_code_s() {
    let docs = include_str!("../../docs/AUTH.md");
    let mut missing = Vec::new();
    for preset in PRESETS {
        let plain = |text: &str| {
            text.replace("json:/notificationItems/0/NotificationRequestItem/", "json:…/")
        };
        let headers: Vec<String> =
            preset.headers.iter().map(|(name, text)| format!("`{name}: {text}`")).collect();
        let place = preset.body_at.map(|at| {
            format!("body `{}`", at.replace("/notificationItems/0/NotificationRequestItem/", "…/"))
        });
        let name = |value: Value| value.as_str().unwrap().to_owned();
        let key = match preset.key_prefix {
            "" => name(json!(preset.key)),
            prefix => format!("{}, `{prefix}` optional", name(json!(preset.key))),
        };
        let uses_ts = preset.string_to_sign.contains("{ts}");
        let unit = if uses_ts { name(json!(preset.timestamp)) } else { "–".to_owned() };
        let rotation = preset.join.map_or("–".to_owned(), |join| format!("`{join}`"));
        let row = format!(
            "| `{}` | {} | `{}` | {} | {}, {} | {} | {} | {} |",
            preset.name,
            headers.into_iter().chain(place).collect::<Vec<_>>().join(" "),
            plain(preset.string_to_sign),
            key,
            name(json!(preset.mac)),
            name(json!(preset.output)),
            unit,
            rotation,
            preset.checked.text()
        );
        if !docs.contains(&row) {
            missing.push(row);
        }
    }
    assert!(missing.is_empty(), "docs/AUTH.md lacks these rows:\n{}", missing.join("\n"));
    let table = docs.split("\n| preset |").nth(1).unwrap().split("\n\n").next().unwrap();
    assert_eq!(table.matches("\n| `").count(), PRESETS.len(), "docs/AUTH.md has a row too many");
}

/// A request that a preset signed, and its case.
pub fn signed(preset: &str, secret: &str, body: &str) -> (Value, Captured) {
    let own = json!({"settings": {"scheme": "hmac", "preset": preset, "secret": "s"},
                     "secret": secret, "seconds": 1_700_000_000, "body": body,
                     "url": "https://a.example/in?x=1", "id": "msg_1"});
    let request = captured(&Case(&own).apply().unwrap());
    (own, request)
}

#[test]
fn wrong_settings_are_named_and_the_known_ones_listed() {
    let refused = |settings: Value| {
        let own = json!({"settings": settings, "secret": "s"});
        Case(&own).apply().err().unwrap()
    };
    let unknown = refused(json!({"scheme": "hmac", "preset": "nope", "secret": "s"}));
    assert!(unknown.starts_with("auth[0].preset: "), "{unknown}");
    assert!(PRESETS.iter().all(|preset| unknown.contains(preset.name)), "{unknown}");
    for (path, settings) in [
        ("nope", json!({"preset": "stripe", "nope": 1})),
        ("mac", json!({"preset": "stripe", "mac": "hmac-sha1"})),
        ("mac", json!({"key": "utf8"})),
        ("header", json!({"preset": "stripe", "header": "Host"})),
    ] {
        let mut settings = settings;
        settings["scheme"] = "hmac".into();
        settings["secret"] = "s".into();
        let refused = refused(settings);
        assert!(refused.starts_with(&format!("auth[0].{path}: ")), "{path}: {refused}");
    }
    for (path, name, value) in [
        ("string_to_sign", "string_to_sign", json!("{nope}")),
        ("headers.x-sig", "headers", json!({"x-sig": "{sig}\r\n"})),
        ("headers", "headers", json!({"x-sig": "v1"})),
        ("query.a", "query", json!({"a": "{body}"})),
        ("covered_headers[0]", "covered_headers", json!([""])),
        ("body_at", "body_at", json!("sig")),
    ] {
        let mut settings = custom("hmac-sha256");
        settings[name] = value;
        let refused = refused(settings);
        assert!(refused.starts_with(&format!("auth[0].{path}: ")), "{path}: {refused}");
    }
}

/// A body that every preset can sign.
const ITEM: &str = r#"{"notificationItems":[{"NotificationRequestItem":{"pspReference":"PSP"}}]}"#;

proptest! {
    #[test]
    fn what_a_preset_signs_its_verifier_accepts_and_one_changed_byte_it_refuses(
        preset in prop::sample::select(PRESETS),
        at in any::<prop::sample::Index>(),
        bit in 0..7_u8,
        previous in any::<bool>(),
    ) {
        let (mut own, _) = signed(preset.name, "00ffAA11", ITEM);
        if previous {
            own["secret"] = json!(["00ffAA11", "BB22cc33"]);
        }
        let request = captured(&Case(&own).apply().unwrap());
        let tolerance = Duration::from_secs(300);
        prop_assert_eq!(Case(&own).verify(&request, tolerance), []);
        // The previous value alone is good enough for a receiver that has not changed it yet.
        if previous && preset.join.is_some() {
            own["secret"] = json!("BB22cc33");
            prop_assert_eq!(Case(&own).verify(&request, tolerance), []);
        }
        own["secret"] = json!("00ffAA11");
        let change = |bytes: &[u8]| -> Vec<u8> {
            let mut bytes = bytes.to_vec();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            bytes
        };
        // Of Adyen's body, a few fields are signed; of the others, every byte.
        if preset.body_at.is_none() {
            let changed = Captured { body: change(&request.body).into(), ..request.clone() };
            prop_assert!(!Case(&own).verify(&changed, tolerance).is_empty());
        }
        for (index, (name, value)) in request.headers.iter().enumerate() {
            let changed = change(value.as_bytes());
            // What follows a second signature, or a letter case of white space, is another matter.
            let Ok(text) = String::from_utf8(changed) else { continue };
            if previous || text.trim() != text {
                continue;
            }
            let mut changed = request.clone();
            changed.headers[index].1 = text;
            prop_assert!(!Case(&own).verify(&changed, tolerance).is_empty(), "{} {:?}", name, changed.headers);
        }
    }
}
