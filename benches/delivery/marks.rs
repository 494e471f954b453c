//! The marks: what each figure must hold, beside its name.

use serde_json::{Value, json};

/// How long the embedded queue's writer lets a job wait for others to share its commit with, in ms: a job
/// is committed at once, with what has come together meanwhile (`src/adapters/embedded/database.rs`).
const LINGER_MS: f64 = 0.0;

/// What the median of a figure is held to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mark {
    /// At most this.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
    /// At most so many times what the bare sender takes.
    TimesBare(f64),
}

impl Mark {
    /// Whether a median, with its ratio to the bare sender, holds it.
    pub fn holds(self, median: f64, ratio: Option<f64>) -> bool {
        match self {
            Self::AtMost(most) => median <= most,
            Self::AtLeast(least) => median >= least,
            Self::TimesBare(times) => ratio.is_some_and(|ratio| ratio <= times),
        }
    }

    /// In words.
    pub fn text(self) -> String {
        match self {
            Self::AtMost(most) => format!("at most {}", shown(most)),
            Self::AtLeast(least) => format!("at least {}", shown(least)),
            Self::TimesBare(times) => format!("at most {} x bare", shown(times)),
        }
    }

    /// For machines.
    pub fn json(self, median: f64, ratio: Option<f64>) -> Value {
        json!({"mark": self.text(), "holds": self.holds(median, ratio)})
    }
}

fn shown(number: f64) -> String {
    let text = format!("{number:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The marks of a figure; those of latency are made of the time of an fsync in the same run, in ms.
pub fn of(key: &str, fsync_ms: f64) -> Vec<Mark> {
    match key {
        "whole.cpu" => vec![Mark::AtMost(45.0), Mark::TimesBare(3.0)],
        "aws.cpu" => vec![Mark::AtMost(90.0)],
        "aws.sqs_calls" => vec![Mark::AtMost(0.25)],
        "dollars.dynamodb_kms_calls" => vec![Mark::AtMost(0.001)],
        "dollars.retries.none" => vec![Mark::AtMost(0.25)],
        "latency.own_process.p50" => vec![Mark::AtMost(fsync_ms + LINGER_MS + 3.0)],
        "latency.own_process.p99" => vec![Mark::AtMost(3.0 * fsync_ms + 10.0)],
        "endpoints.10000.memory" => vec![Mark::AtMost(300.0)],
        "endpoints.10000.rate_to_one" => vec![Mark::AtLeast(0.8)],
        "idle.embedded.share" | "idle.aws.share" => vec![Mark::AtMost(0.5)],
        "startup.first_delivery" => vec![Mark::AtMost(150.0)],
        _ => Vec::new(),
    }
}
