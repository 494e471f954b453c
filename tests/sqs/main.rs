//! What SQS adds to the queue's contract, against the emulator.

#![cfg(feature = "aws")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/emulator.rs"]
mod emulator;
#[path = "../support/letter.rs"]
mod letter;
#[path = "../e2e/receiver.rs"]
#[allow(dead_code, reason = "each suite uses its part")]
mod receiver;
#[path = "../support/sqs.rs"]
mod sqs;

mod calls;
mod dead_letters;
mod fifo;
mod life;
mod loss;
mod retries;
mod senders;
mod trouble;
mod worker;

use std::time::Duration;

use sealpost::ports::Queue;
use sealpost::ports::queue::{NewMessage, Received};

use crate::letter::letter;

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
