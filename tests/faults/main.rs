//! Hostile and broken surroundings.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod names;
mod responses;
mod server;
