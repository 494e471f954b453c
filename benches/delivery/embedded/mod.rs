//! The embedded form: `sealpost serve` in a process of its own, on a data directory of its own.

pub mod backlog;
pub mod bodies;
pub mod drain;
pub mod endpoints;
pub mod idle;
pub mod latency;
mod producer;
pub mod schemes;
mod stage;
pub mod startup;
pub mod storm;
pub mod whole;
