//! What is said of signatures that do not fit.

use std::time::Duration;

use sealpost::auth::verify::{Captured, Code, Finding};
use serde_json::{Value, json};

use crate::hmac::signed;
use crate::scheme::{Case, captured};

fn set(request: &mut Captured, name: &str, value: &str) {
    let header = request.headers.iter_mut().find(|(n, _)| n.eq_ignore_ascii_case(name));
    value.clone_into(&mut header.unwrap().1);
}

fn only(own: &Value, request: &Captured) -> Finding {
    let mut found = Case(own).verify(request, Duration::from_secs(300));
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[test]
fn a_key_decoded_in_another_way_is_found_out() {
    let base64 = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    for (sender, receiver, secret, sent_with) in [
        ("svix", json!({"key": "utf8"}), base64, base64),
        ("stripe", json!({"key": "base64", "key_prefix": "whsec_"}), base64, base64),
        ("stripe", json!({"key": "hex"}), "00ff", "00ff"),
        ("adyen_key", json!({}), "a b", "a b\n"),
    ] {
        let sender = if sender == "adyen_key" { "github" } else { sender };
        let (mut own, _) = signed(sender, sent_with, "{}");
        for (name, value) in receiver.as_object().unwrap() {
            own["settings"][name] = value.clone();
        }
        let request = captured(&Case(&own).apply().unwrap());
        let (checked, _) = signed(sender, secret, "{}");
        let found = only(&checked, &request);
        assert_eq!(found.code, Code::KeyDecoding, "{found}");
        assert!(!found.message.contains(secret), "{found}");
    }
}

#[test]
fn a_body_that_was_spelled_anew_is_found_out() {
    let compact = r#"{"b":[1.0,2],"a":"é"}"#;
    let spellings = [
        compact,
        r#"{"b": [1.0, 2], "a": "é"}"#,
        "{\n  \"b\": [\n    1.0,\n    2\n  ],\n  \"a\": \"é\"\n}",
        "{\"b\":[1.0,2],\"a\":\"é\"}\n",
    ];
    for sent in spellings {
        for arrived in spellings.into_iter().filter(|arrived| *arrived != sent) {
            let (own, mut request) = signed("stripe", "s", sent);
            request.body = arrived.into();
            assert_eq!(only(&own, &request).code, Code::BodyChanged, "{sent} {arrived}");
        }
    }
    let (own, mut request) = signed("github", "s", "a\nb");
    request.body = "a\r\nb".into();
    assert_eq!(only(&own, &request).code, Code::BodyChanged);
    request.body = "a\nc".into();
    assert_eq!(only(&own, &request).code, Code::Mismatch);
}

#[test]
fn what_else_would_fit_is_said() {
    let says = |own: &Value, request: &Captured, words: &str| {
        let found = only(own, request);
        assert!(found.message.contains(words), "{found}");
        found.code
    };
    let (own, mut request) = signed("svix", "c2VjcmV0", "{}");
    set(&mut request, "svix-id", "other");
    request.headers.push(("X-Request-Id".to_owned(), "msg_1".to_owned()));
    assert_eq!(says(&own, &request, "X-Request-Id"), Code::Mismatch);

    let (own, mut request) = signed("slack", "s", "{}");
    set(&mut request, "x-slack-request-timestamp", "1700000001");
    request.headers.push(("X-Sent".to_owned(), "1700000000".to_owned()));
    assert_eq!(says(&own, &request, "X-Sent"), Code::Mismatch);

    let (own, mut request) = signed("square", "s", "{}");
    request.url = "http://a.example/in?x=1".parse().unwrap();
    assert_eq!(says(&own, &request, "http and https"), Code::Mismatch);

    let (own, mut request) = signed("svix", "c2VjcmV0", "{}");
    for (name, _) in &mut request.headers {
        *name = name.replace("svix-", "webhook-");
    }
    assert_eq!(says(&own, &request, "webhook-signature for svix-signature"), Code::HeaderMissing);

    let (own, mut request) = signed("github", "s", "{}");
    request.headers[0].0 = "X-Other".to_owned();
    assert_eq!(says(&own, &request, "X-Other"), Code::HeaderMissing);
}

/// Whoever covers headers is not content with the version that covers none.
#[test]
fn covered_headers_cannot_be_left_out() {
    let (mut own, request) = signed("hook0", "s", "{}");
    own["settings"]["covered_headers"] = json!(["x-a"]);
    assert_eq!(only(&own, &request).code, Code::Malformed);
}

#[test]
fn what_changes_the_body_comes_before_what_may_sign_it() {
    let adyen = json!({"scheme": "hmac", "preset": "adyen", "secret": "s"});
    let github = json!({"scheme": "hmac", "preset": "github", "secret": "s"});
    let body = r#"{"notificationItems":[{"NotificationRequestItem":{}}]}"#;
    let own = |steps: Value| json!({"settings": steps, "secret": "00", "body": body});
    let refused = Case(&own(json!([github, adyen]))).apply().err().unwrap();
    assert!(refused.starts_with("auth[1]: changes the body"), "{refused}");
    let both = own(json!([adyen, github]));
    let request = captured(&Case(&both).apply().unwrap());
    assert_eq!(Case(&both).verify(&request, Duration::ZERO), []);
}

#[test]
fn a_time_has_one_spelling_so_that_no_part_of_the_body_becomes_a_part_of_it() {
    let (own, request) = signed("hubspot", "secret", r#"{"a":1}0"#);
    let mut request = request;
    let time = request.all("x-hubspot-request-timestamp").next().unwrap().to_owned();
    set(&mut request, "x-hubspot-request-timestamp", &format!("0{time}"));
    request.body = r#"{"a":1}"#.into();
    assert_eq!(only(&own, &request).code, Code::Malformed);
}

#[test]
fn an_item_that_was_added_to_what_is_signed_is_noticed() {
    let item =
        r#"{"NotificationRequestItem":{"pspReference":"1","amount":{"value":1,"currency":"EUR"}}}"#;
    let body = format!(r#"{{"notificationItems":[{item}]}}"#);
    let (own, mut request) = signed("adyen", "44782DEF547AAA06C910C43932B1EB0C", &body);
    assert!(Case(&own).verify(&request, Duration::from_secs(300)).is_empty());
    let text = String::from_utf8(request.body.to_vec()).unwrap();
    let end = text.rfind(']').unwrap();
    request.body = format!("{},{item}{}", &text[..end], &text[end..]).into();
    assert_eq!(only(&own, &request).code, Code::Malformed);
}

#[test]
fn a_body_of_endless_brackets_is_looked_at_and_refused() {
    let (own, mut request) = signed("github", "secret", "{}");
    for depth in [50, 100, 20_000, 100_000] {
        request.body = ("[".repeat(depth) + &"]".repeat(depth)).into();
        assert_eq!(only(&own, &request).code, Code::Mismatch);
    }
}
