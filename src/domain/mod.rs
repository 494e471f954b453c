//! The words of the product and its rules: pure values, no I/O, no clock, no randomness.
//!
//! Whoever needs the time or chance is handed it as a parameter, so that every rule here can be
//! tested as a table. `clippy.toml` and `tests/architecture.rs` keep it so.

pub mod access;
pub mod adaptive;
pub mod aws_role;
pub mod backoff;
pub mod body;
pub mod breaker;
pub mod bucket;
pub mod certificate;
pub mod client_identity;
pub mod connection;
pub mod dead_letter;
pub mod decide;
pub mod delivery;
pub mod delivery_record;
pub mod dry_run;
pub mod endpoint;
pub mod envelope;
pub mod event_type;
pub mod eventbridge;
pub mod fan_out;
pub mod field;
pub mod gate;
pub mod header;
pub mod health;
pub mod ids;
pub mod job;
pub mod limiter;
pub mod limits;
pub mod operational_event;
pub mod origin;
pub mod outcome;
pub mod parameter;
pub mod parking;
pub mod profile;
pub mod rate_limit;
pub mod reason;
pub mod reference;
pub mod replay;
pub mod request;
pub mod retry_after;
pub mod retry_policy;
pub mod retry_preset;
pub mod secret;
pub mod secret_record;
pub mod senders;
pub mod share;
pub mod shown_request;
pub mod submission;
pub mod target;
pub mod tenant_key;
pub mod timeline;
pub mod timestamp;
pub mod traces;
