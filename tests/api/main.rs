//! The HTTP API as its users call it: over sockets on loopback.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod console;
mod customers;
mod dead_letters;
mod deliveries;
mod document;
mod endpoints;
mod event_types;
mod fuzz;
mod jobs;
mod keys;
#[path = "../support/letter.rs"]
mod letter;
mod problems;
mod replays;
mod secrets;
mod server;
mod test_calls;
mod wrong_tokens;
