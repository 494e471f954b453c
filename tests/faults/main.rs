//! Hostile and broken surroundings.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod abuse;
mod bench;
mod blame;
mod challenges;
mod clock_steps;
mod connections;
#[path = "../vectors/data.rs"]
mod data;
mod dns_server;
mod events;
mod fan_out;
mod faulty;
mod fences;
mod h2_cases;
mod h2_server;
mod handshakes;
mod health;
mod held;
mod http2;
mod keep_alive;
mod limits;
mod long_calls;
mod matrix;
mod model;
mod mtls;
mod names;
mod ordering;
mod panics;
mod previous_secret;
mod proxy;
mod proxy_server;
mod replayed;
mod responses;
mod roles;
mod server;
mod stores;
mod test_calls;
mod tls_server;
mod token_failures;
mod token_server;
mod tokens;
mod torn_log;
mod web;
