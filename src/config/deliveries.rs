//! `[deliveries]`: what is kept of deliveries, to be looked at.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::delivery_record::Recording;

/// What is kept of deliveries.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeliveriesConfig {
    /// Which attempts are recorded.
    pub record: Recording,
    /// How long they are kept.
    #[serde(with = "humantime_serde")]
    pub retention: Duration,
}

impl Default for DeliveriesConfig {
    fn default() -> Self {
        Self { record: Recording::None, retention: Duration::from_secs(30 * 24 * 3600) }
    }
}
