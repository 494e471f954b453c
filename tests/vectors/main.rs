//! Conformance data: shared cases where they are present, and the project's own in `fixtures/`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod aws_sigv4;
mod content_digest;
mod data;
mod digest;
mod egress;
mod forms;
mod headers;
mod hmac;
mod hmac_findings;
mod jobs;
mod jwt;
mod laws;
mod message_signatures;
mod oauth2;
#[path = "../support/producers.rs"]
mod producers;
mod scheme;
mod schemes;
mod sealed;
mod secrets;
mod signing;
mod standard_webhooks;
mod verification;
