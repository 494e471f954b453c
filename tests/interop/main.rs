//! Deliveries over a real socket to receivers that check them with their providers' own libraries.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod aws_sigv4;
mod digest;
#[path = "../support/digest_server.rs"]
mod digest_server;
mod exchange;
mod hmac;
mod http_message_signatures;
mod jwt;
mod key_pairs;
mod libraries;
mod mtls;
#[path = "../support/mtls_server.rs"]
mod mtls_server;
mod oauth2;
#[path = "../support/oauth_server.rs"]
mod oauth_server;
#[path = "../support/receivers.rs"]
mod receivers;
mod sender;
mod standard_webhooks;
