//! The map of the house.
//!
//! Dependencies point one way: `domain ← auth, ports ← vault, egress ← delivery ← worker, api ← cli, app`
//! and `adapters → ports`. `tests/architecture.rs` keeps it so.

pub mod access;
pub mod adapters;
pub mod api;
pub mod app;
pub mod auth;
pub mod cache;
pub mod cli;
pub mod config;
pub mod console;
pub mod cost;
pub mod customer;
pub mod delivery;
pub mod doctor;
pub mod domain;
pub mod egress;
pub mod import;
pub mod keygen;
pub mod monitor;
pub mod ports;
pub mod process;
pub mod redrive;
pub mod registration;
pub mod replay;
pub mod telemetry;
pub mod test_calls;
pub mod transform;
pub mod vault;
pub mod worker;
