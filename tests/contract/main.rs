//! The ports' contracts: one suite, run over every implementation.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[cfg(feature = "aws")]
#[path = "../support/aws.rs"]
mod aws;
mod backend;
mod control;
mod customers;
mod deliveries;
mod effectively_once;
#[cfg(feature = "aws")]
#[path = "../support/emulator.rs"]
mod emulator;
mod event_types;
mod kept_bodies;
#[path = "../support/letter.rs"]
mod letter;
mod mortal;
mod ordering;
mod ordering_model;
mod queue;
#[path = "../e2e/receiver.rs"]
#[allow(dead_code, reason = "each suite uses its part")]
mod receiver;
mod records;
mod recoveries;
mod replace;
mod replays;
#[cfg(feature = "aws")]
#[path = "../support/sqs.rs"]
mod sqs;
mod stores;
mod tenant_keys;
mod test_calls;
mod vault;
