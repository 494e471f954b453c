//! The call as its endpoint shapes it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../faults/bench.rs"]
mod bench;
#[path = "../vectors/data.rs"]
mod data;
mod eventbridge;
mod parameters;
mod recorded;
#[path = "../vectors/scheme.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod scheme;
mod signed;
#[path = "../faults/web.rs"]
mod web;
