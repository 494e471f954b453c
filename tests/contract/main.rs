//! The ports' contracts: one suite, run over every implementation.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod backend;
mod deliveries;
mod queue;
mod stores;
