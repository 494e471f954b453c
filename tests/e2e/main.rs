//! The program as its users run it: real processes, real sockets on loopback.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod canary;
mod commands;
mod crash;
mod demo;
mod docs;
mod dry_run;
mod help;
mod program;
mod receiver;
