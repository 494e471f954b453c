//! HTTP Message Signatures against the cases of RFC 9421, and against whoever changes a request.

use std::time::Duration;

use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use proptest::prelude::*;
use sealpost::auth::http_message_signatures::base::signature_base;
use sealpost::auth::http_message_signatures::component::{Component, Message};
use sealpost::auth::http_message_signatures::fields::{
    Bare, Dictionary, InnerList, Item, Member, read_dictionary,
};
use sealpost::auth::verify::{Captured, Code};
use serde_json::{Value, json};

use crate::data::{key, shared};
use crate::scheme::{Case, captured};

const TOLERANCE: Duration = Duration::from_secs(300);

fn cases() -> Vec<(Value, Value)> {
    let Some(file) = shared("rfc9421_http_message_signatures.json") else { return Vec::new() };
    let cases = file["cases"].as_array().unwrap().iter();
    cases
        .map(|case| (case.clone(), file["keys"][case["keyid"].as_str().unwrap()].clone()))
        .collect()
}

fn text<'v>(case: &'v Value, name: &str) -> &'v str {
    case[name].as_str().unwrap()
}

/// The key of a case as a secret: the private one where there is one.
fn secret(key: &Value) -> String {
    match key["value"].as_str() {
        Some(value) => format!("base64:{value}"),
        None => text(key, if key["private_pem"].is_null() { "public_pem" } else { "private_pem" })
            .into(),
    }
}

fn member(text: &str) -> Member {
    let dictionary: Dictionary = read_dictionary(text).unwrap();
    let [(_, member)] = &dictionary[..] else { panic!("{text}") };
    member.clone()
}

fn input(case: &Value) -> InnerList {
    let Member::List(list) = member(text(case, "signature_input")) else { panic!("{case}") };
    list
}

fn signature_bytes(text: &str) -> Vec<u8> {
    let Member::Item(Item { value: Bare::Bytes(bytes), .. }) = member(text) else {
        panic!("{text}")
    };
    bytes
}

fn url(case: &Value) -> url::Url {
    let target = text(case, "start_line").split(' ').nth(1).unwrap();
    format!("https://example.com{target}").parse().unwrap()
}

fn headers(case: &Value) -> Vec<(String, String)> {
    let pair = |pair: &Value| (pair[0].as_str().unwrap().into(), pair[1].as_str().unwrap().into());
    case["headers"].as_array().unwrap().iter().map(pair).collect()
}

fn arrived(case: &Value) -> Captured {
    let method = text(case, "start_line").split(' ').next().unwrap().parse().unwrap();
    let body = text(case, "body_utf8").to_owned().into();
    Captured { method, url: url(case), headers: headers(case), body }
}

/// Settings that demand what the case covers.
fn as_covered(case: &Value, key: &Value) -> Value {
    let label = text(case, "signature_input").split('=').next().unwrap();
    let mut components = Vec::new();
    for item in &input(case).items {
        let mut text = String::new();
        sealpost::auth::http_message_signatures::fields::push_item(&mut text, item);
        components.push(text);
    }
    json!({"settings": {"scheme": "http_message_signatures", "algorithm": case["algorithm"],
                        "secret": "s", "key_id": case["keyid"], "label": label,
                        "components": components, "digest": "sha-512"},
           "secret": secret(key), "seconds": 1_618_884_473, "url": url(case).as_str(),
           "body": case["body_utf8"]})
}

#[test]
fn the_signature_base_is_that_of_the_cases() {
    let mut seen = 0;
    for (case, _) in cases().iter().filter(|(case, _)| case["id"] != "b24") {
        let (url, headers, list) = (url(case), headers(case), input(case));
        let message = Message {
            method: "POST",
            url: &url,
            headers: headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect(),
            body_length: text(case, "body_utf8").len(),
        };
        let components: Vec<_> =
            list.items.into_iter().map(|item| Component::of_item(item).unwrap()).collect();
        let base = signature_base(&message, &components, list.parameters).unwrap();
        assert_eq!(base.text.as_str(), text(case, "signature_base_utf8"), "{}", case["id"]);
        seen += 1;
    }
    assert!(seen == 5 || cases().is_empty());
}

/// Asked of the cryptography itself, without a line of ours between.
fn is_signature(algorithm: &str, key: &Value, base: &[u8], signature: &[u8]) -> bool {
    if algorithm == "hmac-sha256" {
        let key = BASE64_STANDARD.decode(text(key, "value")).unwrap();
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &key);
        return aws_lc_rs::hmac::verify(&key, base, signature).is_ok();
    }
    let verification: &'static dyn VerificationAlgorithm = match algorithm {
        "ed25519" => &signature::ED25519,
        "ecdsa-p256-sha256" => &signature::ECDSA_P256_SHA256_FIXED,
        "ecdsa-p384-sha384" => &signature::ECDSA_P384_SHA384_FIXED,
        "rsa-pss-sha512" => &signature::RSA_PSS_2048_8192_SHA512,
        "rsa-v1_5-sha256" => &signature::RSA_PKCS1_2048_8192_SHA256,
        _ => panic!("{algorithm}"),
    };
    let pem: String = text(key, "public_pem").lines().filter(|l| !l.starts_with("---")).collect();
    let der = BASE64_STANDARD.decode(pem.replace(' ', "")).unwrap();
    UnparsedPublicKey::new(verification, der).verify(base, signature).is_ok()
}

#[test]
fn every_signature_of_the_cases_is_accepted_and_no_other() {
    for (case, key) in cases() {
        use sealpost::auth::key::{Algorithm, VerifyingKey};
        let algorithm = match text(&case, "algorithm") {
            "rsa-pss-sha512" => Algorithm::Ps512,
            "ecdsa-p256-sha256" => Algorithm::Es256,
            "hmac-sha256" => Algorithm::Hs256,
            _ => Algorithm::EdDsa,
        };
        let base = text(&case, "signature_base_utf8").as_bytes();
        let signature = signature_bytes(text(&case, "signature"));
        let bytes = sealpost::domain::secret::SecretBytes::new(secret(&key).into_bytes());
        let ours = VerifyingKey::parse(algorithm, &"s".parse().unwrap(), &bytes).unwrap();
        assert!(ours.is_signature(base, &signature), "{}", case["id"]);
        assert!(!ours.is_signature(&base[1..], &signature), "{}", case["id"]);
        assert!(is_signature(text(&case, "algorithm"), &key, base, &signature), "{}", case["id"]);
    }
}

#[test]
fn the_requests_of_the_cases_are_authentic() {
    for (case, key) in cases() {
        // One signs nothing, one is an answer.
        if matches!(text(&case, "id"), "b21" | "b24") {
            continue;
        }
        let own = as_covered(&case, &key);
        let found = Case(&own).verify(&arrived(&case), TOLERANCE);
        assert!(found.is_empty(), "{}: {found:?}", case["id"]);
        let mut more = own.clone();
        more["settings"]["components"].as_array_mut().unwrap().push("@scheme".into());
        let found = Case(&more).verify(&arrived(&case), TOLERANCE);
        assert_eq!(found.iter().map(|f| f.code).collect::<Vec<_>>(), [Code::Mismatch]);
    }
}

#[test]
fn what_is_deterministic_is_signed_as_in_the_cases() {
    let mut seen = 0;
    for (case, key) in cases().iter().filter(|(case, _)| case["deterministic"] == true) {
        let mut own = as_covered(case, key);
        for (name, value) in headers(case).into_iter().take(3) {
            own["headers"][name.to_ascii_lowercase()] = value.into();
        }
        for name in ["signature-input", "signature"] {
            let expected = text(case, &name.replace('-', "_"));
            assert_eq!(Case(&own).header(name).as_deref(), Some(expected), "{}", case["id"]);
        }
        seen += 1;
    }
    assert!(seen == 2 || cases().is_empty());
}

fn own_case(algorithm: &str, secret: &str) -> Value {
    json!({"settings": {"scheme": "http_message_signatures", "algorithm": algorithm, "secret": "s",
                        "key_id": "k", "tag": "t", "nonce": true,
                        "components": ["@method", "@target-uri", "content-digest", "content-type"]},
           "secret": secret, "seconds": 1000, "url": "https://a.example/in?x=1", "body": "{}",
           "headers": {"content-type": "application/json"}})
}

#[test]
fn what_is_signed_with_a_private_key_is_a_signature_of_its_public_key() {
    for (algorithm, private, public) in [
        ("ed25519", "ed25519.pem", "ed25519.pub.pem"),
        ("ecdsa-p256-sha256", "p256.sec1.pem", "p256.pub.pem"),
        ("rsa-pss-sha512", "rsa2048.pem", "rsa2048.pub.pem"),
        ("rsa-v1_5-sha256", "rsa2048.pkcs1.pem", "rsa2048.pub.pem"),
    ] {
        let mut own = own_case(algorithm, &key(private));
        own["settings"]["components"] = json!(["@method"]);
        let request = Case(&own).apply().unwrap();
        let header =
            |name| String::from_utf8(request.header(name).unwrap().expose().to_vec()).unwrap();
        let input = header("signature-input");
        let base = format!("\"@method\": POST\n\"@signature-params\": {}", &input["sig1=".len()..]);
        let signature = signature_bytes(&header("signature"));
        let public_key = json!({"public_pem": key(public)});
        assert!(is_signature(algorithm, &public_key, base.as_bytes(), &signature), "{algorithm}");
        own["secret"] = key(public).into();
        assert!(Case(&own).verify(&captured(&request), TOLERANCE).is_empty(), "{algorithm}");
        assert!(Case(&own).apply().is_err(), "{algorithm}: a public key signs nothing");
    }
}

#[test]
fn every_fault_has_its_code() {
    let own = own_case("hmac-sha256", "secret");
    let sent = captured(&Case(&own).apply().unwrap());
    let codes = |own: &Value, change: &dyn Fn(&mut Captured)| {
        let mut changed = sent.clone();
        change(&mut changed);
        Case(own).verify(&changed, TOLERANCE).iter().map(|f| f.code).collect::<Vec<_>>()
    };
    let set = |name: &'static str, from: &'static str, to: &'static str| {
        move |captured: &mut Captured| {
            let header = captured.headers.iter_mut().find(|(n, _)| n == name).unwrap();
            assert!(header.1.contains(from), "{header:?}");
            header.1 = header.1.replace(from, to);
        }
    };
    let drop = |name: &'static str| {
        move |captured: &mut Captured| captured.headers.retain(|(n, _)| n != name)
    };
    let with = |pointer: &str, value: Value| {
        let mut own = own.clone();
        *own.pointer_mut(pointer).unwrap() = value;
        own
    };
    assert_eq!(codes(&own, &|_| ()), []);
    for name in ["signature", "signature-input", "content-type"] {
        assert_eq!(codes(&own, &drop(name)), [Code::HeaderMissing], "{name}");
    }
    assert_eq!(codes(&own, &drop("content-digest")), [Code::HeaderMissing; 2]);
    for (header, from, to) in [
        ("signature", "sig1=", "sig2="),
        ("signature", ":", "\""),
        ("signature-input", "sig1=", "sig2="),
        ("signature-input", "(", ""),
        ("signature-input", "created=1000", "created=x"),
        ("signature-input", "\"@method\"", "\"@status\""),
        ("signature-input", "\"@method\"", "\"@method\" \"@method\""),
    ] {
        assert_eq!(codes(&own, &set(header, from, to))[0], Code::Malformed, "{header} {to}");
    }
    let no_time = codes(&own, &set("signature-input", ";created=1000", ""));
    assert_eq!(no_time, [Code::Malformed, Code::Mismatch]);
    let no_nonce = codes(&own, &set("signature-input", ";nonce=", ";other="));
    assert_eq!(no_nonce, [Code::Malformed, Code::Mismatch]);
    for (from, to) in [
        ("keyid=\"k\"", "keyid=\"x\""),
        ("tag=\"t\"", "tag=\"x\""),
        (";tag=\"t\"", ";tag=\"t\";alg=\"ed25519\""),
        ("\"@target-uri\" ", ""),
    ] {
        let found = codes(&own, &set("signature-input", from, to));
        assert_eq!(found, [Code::Mismatch; 2], "{to}");
    }
    let changed_body = codes(&own, &|captured| captured.body = "{ }".into());
    assert_eq!(changed_body, [Code::BodyChanged]);
    let bad_digest = codes(&own, &set("content-digest", "sha-256=", "sha-512="));
    assert_eq!(bad_digest, [Code::Mismatch, Code::BodyChanged]);
    assert_eq!(codes(&with("/secret", "c2VjcmV0".into()), &|_| ()), [Code::KeyDecoding]);
    assert_eq!(codes(&with("/secret", "another".into()), &|_| ()), [Code::Mismatch]);
    assert_eq!(codes(&with("/secret", "".into()), &|_| ()), [Code::Secret]);
    assert_eq!(codes(&with("/secret", json!(["new", "secret"])), &|_| ()), []);
    for (seconds, expected) in [
        (700, &[][..]),
        (699, &[Code::OutsideTolerance]),
        (1300, &[]),
        (1301, &[Code::OutsideTolerance]),
    ] {
        assert_eq!(codes(&with("/seconds", seconds.into()), &|_| ()), expected, "{seconds}");
    }
}

#[test]
fn a_signature_that_says_when_it_expires_is_accepted_until_then() {
    let mut own = own_case("hmac-sha256", "secret");
    own["settings"]["expires"] = "1h".into();
    let sent = captured(&Case(&own).apply().unwrap());
    for (seconds, is_ok) in [(699, false), (700, true), (4900, true), (4901, false)] {
        own["seconds"] = seconds.into();
        assert_eq!(Case(&own).verify(&sent, TOLERANCE).is_empty(), is_ok, "{seconds}");
    }
    let mut without = own_case("hmac-sha256", "secret");
    let sent = captured(&Case(&without).apply().unwrap());
    without["settings"]["expires"] = "1h".into();
    assert_eq!(Case(&without).verify(&sent, TOLERANCE)[0].code, Code::Malformed);
}

/// The text with one byte changed to another that can stand in its place.
fn changed(text: &str, at: prop::sample::Index) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let at = at.index(bytes.len());
    bytes[at] = if bytes[at] == b'x' { b'y' } else { b'x' };
    String::from_utf8(bytes).unwrap()
}

proptest! {
    #[test]
    fn no_byte_of_what_is_covered_can_be_changed(
        body in "[ -~]{1,40}", path in "[a-z]{1,20}", header in "[a-z]{1,20}",
        what in 0..6_usize, at: prop::sample::Index,
    ) {
        let mut own = own_case("hmac-sha256", "secret");
        own["body"] = body.as_str().into();
        own["url"] = format!("https://a.example/{path}?{path}").into();
        own["headers"]["content-type"] = header.as_str().into();
        let sent = captured(&Case(&own).apply().unwrap());
        prop_assert!(Case(&own).verify(&sent, TOLERANCE).is_empty());
        let mut other = sent.clone();
        let mut change = |name: &str| {
            let header = other.headers.iter_mut().find(|(n, _)| n == name).unwrap();
            header.1 = changed(&header.1, at);
        };
        match what {
            0 => other.body = changed(&body, at).into(),
            1 => other.url.set_path(&changed(&path, at)),
            2 => other.url.set_query(Some(&changed(&path, at))),
            3 => change("content-type"),
            4 => change("content-digest"),
            _ => change("signature-input"),
        }
        prop_assert!(!Case(&own).verify(&other, TOLERANCE).is_empty());
    }

    #[test]
    fn a_query_parameter_is_signed_as_it_is_read(name in "\\PC{1,8}", value in "\\PC{0,8}") {
        let mut url: url::Url = "https://a.example/".parse().unwrap();
        url.query_pairs_mut().append_pair(&name, &value);
        let encode = |text: &str| -> String {
            let kept = |b: u8| b.is_ascii_alphanumeric() || b"*-._".contains(&b);
            text.bytes()
                .map(|b| if kept(b) { char::from(b).to_string() } else { format!("%{b:02X}") })
                .collect()
        };
        let setting = format!("@query-param;name=\"{}\"", encode(&name));
        let component = Component::of_setting(&setting).unwrap();
        let message = Message { method: "GET", url: &url, headers: Vec::new(), body_length: 0 };
        let mut signed = String::new();
        component.push_value(&mut signed, &message).unwrap();
        prop_assert_eq!(signed, encode(&value));
    }
}
