//! What SQS adds to the queue's contract, against the emulator.

#![cfg(feature = "aws")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/emulator.rs"]
mod emulator;
#[path = "../e2e/receiver.rs"]
#[allow(dead_code, reason = "each suite uses its part")]
mod receiver;
#[path = "../support/sqs.rs"]
mod sqs;

mod calls;
mod dead_letters;
mod life;
mod loss;
mod retries;
mod trouble;
mod worker;

use std::time::Duration;

use sealpost::domain::dead_letter::{DeadLetter, job_sha256};
use sealpost::domain::reason::Reason;
use sealpost::ports::Queue;
use sealpost::ports::queue::{NewMessage, Received};

const SECOND: Duration = Duration::from_secs(1);

fn message(body: &'static str) -> NewMessage {
    NewMessage { body: body.into(), ..NewMessage::default() }
}

async fn receive(queue: &impl Queue) -> Vec<Received> {
    queue.receive(10, Duration::ZERO).await.unwrap()
}

async fn one(queue: &impl Queue) -> Received {
    let mut received = receive(queue).await;
    assert_eq!(received.len(), 1);
    received.remove(0)
}

/// The index record of a message that is given up.
fn letter(id: &str, message: &Received) -> DeadLetter {
    DeadLetter {
        id: id.to_owned(),
        message_id: message.message_id.clone(),
        customer_id: Some("customer-123".parse().unwrap()),
        endpoint_id: None,
        job_id: None,
        round: 1,
        reason: Reason::TooOld,
        message: "too old".to_owned(),
        accepted_at: message.sent_at,
        dead_at: message.sent_at,
        attempts: 0,
        history: Vec::new(),
        job_size: message.body.len(),
        job_sha256: job_sha256(&message.body),
    }
}
