//! The AWS form beyond the ports' contracts: keys, tables and the program itself, against the
//! emulator.

#![cfg(feature = "aws")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/aws.rs"]
mod aws;
#[path = "../support/canary.rs"]
mod canary;
#[path = "../support/emulator.rs"]
mod emulator;
#[path = "../support/exposition.rs"]
mod exposition;
#[path = "../support/fault_proxy.rs"]
mod fault_proxy;
#[path = "../support/producers.rs"]
mod producers;
#[path = "../e2e/receiver.rs"]
#[allow(dead_code, reason = "each suite uses its part")]
mod receiver;
#[path = "../support/sqs.rs"]
mod sqs;

mod access;
mod customers;
mod dead_letters;
mod faults;
mod fences;
mod infra;
mod keys;
mod leaks;
mod metrics;
mod outage;
mod program;
mod rates;
mod references;
mod rewrap;
mod roles;
mod tables;
mod tenant_keys;
mod unbound;
mod writers;
mod writes;
