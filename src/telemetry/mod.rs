//! What is told of what happens: one place that writes the log line and counts.

pub mod counters;
pub mod logging;
pub mod metrics;
pub mod pulse;
pub mod recent;
pub mod requests;
mod span_export;
mod tally;
pub mod tracer;

pub use counters::Counters;
pub use tally::{Counts, Tally, WorkerState};
pub use tracer::Tracer;
