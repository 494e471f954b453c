//! `[worker]`: how the worker works.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::delivery::Fencing;

/// How the worker works.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WorkerConfig {
    /// Most deliveries at once.
    pub concurrency: usize,
    /// How long a stop waits for calls in progress.
    #[serde(with = "humantime_serde")]
    pub drain: Duration,
    /// How long a message is leased; renewed while it is in hand.
    #[serde(with = "humantime_serde")]
    pub lease: Duration,
    /// Receipts after which a message that crashes the worker is given up.
    pub max_receives: u32,
    /// Which attempts claim their fence.
    pub fence: Fencing,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self {
            concurrency: 256,
            drain: Duration::from_secs(25),
            lease: Duration::from_secs(30),
            max_receives: 10,
            fence: Fencing::Retries,
        }
    }
}
