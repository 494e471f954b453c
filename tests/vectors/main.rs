//! Conformance data: shared cases where they are present, and the project's own in `fixtures/`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod data;
mod egress;
mod headers;
mod jobs;
mod laws;
mod oauth2;
mod scheme;
mod schemes;
mod secrets;
mod signing;
