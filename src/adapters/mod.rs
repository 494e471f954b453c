//! The outside, behind the ports.

#[cfg(feature = "aws")]
pub mod aws;
pub mod counted_events;
pub mod counted_keys;
pub mod embedded;
pub mod otlp;
pub mod queued_events;
pub mod system;
