//! The program as its users run it: real processes, real sockets on loopback.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod browser;
mod canary;
#[cfg(feature = "aws")]
mod cloud;
mod commands;
#[cfg(feature = "aws")]
mod commands_on_aws;
#[cfg(feature = "aws")]
mod container;
mod cost;
mod crash;
#[cfg(feature = "aws")]
mod crash_on_aws;
mod crash_steps;
mod credentials;
mod customers;
mod deliveries;
mod demo;
mod docs;
mod doctor;
#[cfg(feature = "aws")]
mod doctor_on_aws;
mod dry_run;
#[cfg(feature = "aws")]
#[path = "../support/emulator.rs"]
mod emulator;
mod fan_out;
#[cfg(feature = "aws")]
mod fleet;
mod full_disk;
mod help;
mod import;
mod keys;
#[cfg(feature = "aws")]
mod lambda;
#[path = "../support/canary.rs"]
mod leaks;
mod memory;
mod order_through_crashes;
mod own_world;
mod process;
#[cfg(feature = "aws")]
#[path = "../support/producers.rs"]
mod producers;
mod program;
mod receiver;
#[cfg(feature = "aws")]
mod references;
mod replay;
#[cfg(feature = "aws")]
mod rewrap_on_aws;
mod secrets;
mod tenant_keys;
mod tutorial;
