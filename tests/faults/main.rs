//! Hostile and broken surroundings.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod abuse;
mod bench;
mod blame;
mod challenges;
#[path = "../vectors/data.rs"]
mod data;
mod dns_server;
mod held;
mod limits;
mod mtls;
mod names;
mod responses;
mod roles;
mod server;
mod stores;
mod tls_server;
mod token_failures;
mod token_server;
mod tokens;
mod web;
