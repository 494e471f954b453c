//! `standard_webhooks`.

use serde_json::json;

use crate::exchange::{Receiver, check_rotation, check_with_time};

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

fn receiver(language: &'static str) -> Receiver {
    let auth = json!({"scheme": "standard_webhooks", "secret": "s"});
    Receiver::new(language, "standard_webhooks", auth)
}

#[tokio::test]
async fn in_python() {
    check_with_time(&receiver("python"), KEY, OTHER).await;
    check_rotation(&receiver("python"), OTHER, KEY).await;
}

#[tokio::test]
async fn in_javascript() {
    check_with_time(&receiver("node"), KEY, OTHER).await;
    check_rotation(&receiver("node"), OTHER, KEY).await;
}
