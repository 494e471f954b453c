//! What a running process says of itself: metrics, health and traces; and what is made of them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../faults/bench.rs"]
mod bench;
mod events;
#[path = "../support/exposition.rs"]
mod exposition;
mod health;
#[path = "../faults/held.rs"]
#[allow(dead_code, reason = "each suite uses its part")]
mod held;
mod metrics;
mod rules;
mod traces;
mod watched;
#[path = "../faults/web.rs"]
#[allow(dead_code, reason = "each suite uses its part")]
mod web;
