//! What is told of what happens: one place that writes the log line and counts.

pub mod logging;
pub mod recent;
mod tally;

pub use tally::{Counts, Tally, WorkerState};
