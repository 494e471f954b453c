//! Nothing that is secret comes out: whatever the scheme, whatever goes wrong.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../faults/bench.rs"]
mod bench;
#[path = "../support/canary.rs"]
mod canary;
#[path = "../vectors/data.rs"]
mod data;
mod kept_bodies;
mod log;
mod panics;
mod schemes;
#[path = "../faults/web.rs"]
#[allow(dead_code, reason = "each suite uses its part")]
mod web;
