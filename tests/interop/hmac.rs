//! `hmac`: each preset against its provider's own library.

use serde_json::{Value, json};

use crate::exchange::{Keys, Receiver, check, check_with_time, rotation};
use crate::sender::now;

const KEY: &str = "a key of nobody, known to both";
const OTHER: &str = "a key of nobody, known to one";
const KEYS: Keys<'static> = Keys { theirs: KEY, ours: KEY, wrong: OTHER };

fn preset(language: &'static str, name: &'static str) -> Receiver {
    Receiver::new(language, name, json!({"scheme": "hmac", "preset": name, "secret": "s"}))
}

#[tokio::test]
async fn stripe_s_library_agrees() {
    let receiver = preset("node", "stripe");
    check_with_time(&receiver, KEYS).await;
    assert_eq!(rotation(&receiver, OTHER, KEY).await, [true, true]);
}

#[tokio::test]
async fn svix_s_libraries_agree() {
    let (key, other) =
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
    for language in ["python", "node"] {
        let receiver = preset(language, "svix");
        check_with_time(&receiver, Keys::shared(key, other)).await;
        assert_eq!(rotation(&receiver, other, key).await, [true, true]);
    }
}

#[tokio::test]
async fn github_s_library_agrees() {
    check(&preset("node", "github"), KEYS).await;
}

#[tokio::test]
async fn slack_s_library_agrees() {
    check_with_time(&preset("python", "slack"), KEYS).await;
}

#[tokio::test]
async fn square_s_library_agrees() {
    check(&preset("python", "square"), KEYS).await;
}

#[tokio::test]
async fn hubspot_s_library_agrees() {
    check_with_time(&preset("python", "hubspot"), KEYS).await;
}

#[tokio::test]
async fn webflow_s_library_agrees() {
    let (sender, _server) = check(&preset("node", "webflow"), KEYS).await;
    let later = sender.forge(now(), |request| {
        let time = sealpost::domain::request::HeaderValue::Plain("1700000000000".to_owned());
        request.set_header("x-webflow-timestamp", time);
    });
    assert_eq!(later.await, 401, "the time is signed");
}

#[tokio::test]
async fn linear_s_library_agrees() {
    check(&preset("node", "linear"), KEYS).await;
}

#[tokio::test]
async fn shopify_s_library_agrees() {
    let headers = json!({
        "x-shopify-topic": "orders/create", "x-shopify-api-version": "2026-10",
        "x-shopify-shop-domain": "acme.myshopify.com", "x-shopify-webhook-id": "b54557e4",
    });
    check(&Receiver { headers, ..preset("node", "shopify") }, KEYS).await;
}

/// Paddle's library reads the last signature of the header alone, which is the previous secret's.
#[tokio::test]
async fn paddle_s_library_agrees_and_reads_one_signature_of_a_rotation() {
    let receiver = preset("node", "paddle");
    check_with_time(&receiver, KEYS).await;
    assert_eq!(rotation(&receiver, OTHER, KEY).await, [true, false]);
}

#[tokio::test]
async fn twilio_s_library_agrees_on_json_and_on_forms() {
    check(&preset("node", "twilio"), KEYS).await;
    let form = "To=%2B15550100&Body=Zo%C3%AB+%E2%98%83&AccountSid=AC1&Empty=";
    let payload = format!(r#""body":"{form}","contentType":"application/x-www-form-urlencoded""#);
    check(&Receiver { payload, ..preset("node", "twilio") }, KEYS).await;
}

#[tokio::test]
async fn hook0_s_library_agrees_with_and_without_covered_headers() {
    check_with_time(&preset("node", "hook0"), KEYS).await;
    let headers = json!({"x-event-id": "7", "x-event-type": "order.created"});
    let auth = json!({"scheme": "hmac", "preset": "hook0", "secret": "s",
                      "covered_headers": ["x-event-id", "x-event-type"]});
    let receiver = Receiver { headers, auth, ..preset("node", "hook0") };
    let (sender, _server) = check_with_time(&receiver, KEYS).await;
    let changed = sender.forge(now(), |request| {
        let other = sealpost::domain::request::HeaderValue::Plain("8".to_owned());
        request.set_header("x-event-id", other);
    });
    assert_eq!(changed.await, 401, "a header that is covered was changed");
}

/// The library wants the whole of what Adyen sends; the signature goes into the body.
#[tokio::test]
async fn adyen_s_library_agrees() {
    let key = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056";
    let other = "54782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056";
    let item = json!({
        "additionalData": {"cardSummary": "7777"},
        "amount": {"value": 10100, "currency": "EUR"}, "success": "true",
        "eventCode": "AUTHORISATION", "pspReference": "7914073381342284",
        "merchantAccountCode": "TestMerchant", "merchantReference": "Zo\u{eb}-1",
    });
    let items: Value =
        json!({"live": "false", "notificationItems": [{"NotificationRequestItem": item}]});
    let receiver = Receiver { payload: format!(r#""data":{items}"#), ..preset("python", "adyen") };
    check(&receiver, Keys::shared(key, other)).await;
}

/// LINE has no preset: its format is written out.
#[tokio::test]
async fn line_s_library_agrees_with_a_format_of_one_s_own() {
    let auth = json!({"scheme": "hmac", "preset": "custom", "secret": "s", "mac": "hmac-sha256",
                      "key": "utf8", "string_to_sign": "{body}", "output": "base64",
                      "headers": {"x-line-signature": "{sig}"}});
    check(&Receiver::new("node", "line", auth), KEYS).await;
}
