//! `standard_webhooks`. Its libraries in Python and JavaScript know version `v1` alone.

use serde_json::json;

use crate::exchange::{Keys, Receiver, check_with_time, rotation};

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// Its public key is one of RFC 8032 section 7.1.
const ED25519: &str =
    "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg==";

async fn agrees(language: &'static str) {
    let auth = json!({"scheme": "standard_webhooks", "secret": "s"});
    let receiver = Receiver::new(language, "standard_webhooks", auth);
    check_with_time(&receiver, Keys::shared(KEY, OTHER)).await;
    assert_eq!(rotation(&receiver, OTHER, KEY).await, [true, true]);
    let both = json!({"scheme": "standard_webhooks", "secret": "s", "ed25519_secret": "t"});
    let receiver = Receiver { auth: both, second: ED25519, ..receiver };
    check_with_time(&receiver, Keys::shared(KEY, OTHER)).await;
}

#[tokio::test]
async fn its_library_in_python_agrees() {
    agrees("python").await;
}

#[tokio::test]
async fn its_library_in_javascript_agrees() {
    agrees("node").await;
}
