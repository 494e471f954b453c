//! The program as its users run it: real processes, real sockets on loopback.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod canary;
#[cfg(feature = "aws")]
mod cloud;
mod commands;
#[cfg(feature = "aws")]
mod commands_on_aws;
mod cost;
mod crash;
#[cfg(feature = "aws")]
mod crash_on_aws;
mod crash_steps;
mod credentials;
mod deliveries;
mod demo;
mod docs;
mod dry_run;
#[cfg(feature = "aws")]
#[path = "../support/emulator.rs"]
mod emulator;
mod fan_out;
mod full_disk;
mod help;
mod keys;
#[path = "../support/canary.rs"]
mod leaks;
mod memory;
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
