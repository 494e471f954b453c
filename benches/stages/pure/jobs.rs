//! A message's body is read and checked, and the state that travels beside it.

use std::cell::RefCell;

use anyhow::ensure;
use sealpost::domain::delivery::DeliveryState;
use sealpost::domain::envelope::{Pointers, read};
use sealpost::domain::outcome::{Attempt, AttemptOutcome, Phase};
use sealpost::domain::timestamp::Timestamp;
use serde_json::json;

use super::Stage;

/// A job with a body of about 1 KiB.
pub fn job() -> String {
    json!({"customerId": "acme", "endpointId": "orders", "type": "order.created",
           "data": {"orderId": 42, "note": "x".repeat(1000)}})
    .to_string()
}

pub fn stages() -> anyhow::Result<Vec<Stage>> {
    let pointers = Pointers::default();
    let ours = job().into();
    ensure!(read(&ours, &pointers).is_ok(), "it is no job");
    let event = json!({"version": "0", "id": "evt-1", "source": "shop", "account": "123456789012",
        "time": "2026-11-24T10:00:00Z", "region": "eu-west-1", "resources": [],
        "detail-type": "order.created",
        "detail": {"customerId": "acme", "endpointId": "orders", "note": "x".repeat(1000)}});
    let event = event.to_string().into();
    ensure!(read(&event, &pointers).is_ok(), "it is no event");
    let state = state()?;
    let text = serde_json::to_vec(&state)?;
    let written = RefCell::new(text.clone());
    let (for_event, for_ours) = (pointers.clone(), pointers);
    Ok(vec![
        Stage::new("job: read and check, 1 KiB", move || read(&ours, &for_ours)),
        Stage::new("job: an EventBridge event, 1 KiB", move || read(&event, &for_event)),
        Stage::new("state: write, two attempts", move || {
            // Into the same bytes: whether a vector grows where it is, or moves, is chance.
            let mut bytes = written.borrow_mut();
            bytes.clear();
            serde_json::to_writer(&mut *bytes, &state)
        }),
        Stage::new("state: read, two attempts", move || {
            serde_json::from_slice::<DeliveryState>(&text)
        }),
    ])
}

/// What is known of a delivery after two failures.
fn state() -> anyhow::Result<DeliveryState> {
    let at = Timestamp::from_millis(1_800_000_000_000);
    let attempt = Attempt {
        number: 1,
        at,
        duration_ms: 12,
        address: Some("192.0.2.1:443".to_owned()),
        outcome: AttemptOutcome::Failed { phase: Phase::Connect },
        detail: "connection refused".to_owned(),
    };
    Ok(DeliveryState::first("msg_1".parse()?, at).after(attempt.clone()).after(attempt))
}
