//! `[deliveries]`: what is kept of deliveries, to be looked at and to be sent again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::delivery_record::Recording;
use crate::domain::kept_body::KeepBodies;

/// What is kept of deliveries.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeliveriesConfig {
    /// Which attempts are recorded.
    pub record: Recording,
    /// Of which recorded deliveries the job is kept, sealed to its customer's tenant key.
    pub keep_bodies: KeepBodies,
    /// How long records and jobs are kept.
    #[serde(with = "humantime_serde")]
    pub retention: Duration,
}

impl Default for DeliveriesConfig {
    fn default() -> Self {
        Self {
            record: Recording::None,
            keep_bodies: KeepBodies::None,
            retention: Duration::from_secs(30 * 24 * 3600),
        }
    }
}

impl DeliveriesConfig {
    /// Checks what the settings say together.
    ///
    /// # Errors
    /// With the key that is wrong, and why.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        if self.keep_bodies != KeepBodies::None && self.record == Recording::None {
            let problem = "a job is kept of recorded deliveries alone: set `record` under \
                           [deliveries] to `failures` or `all`";
            return Err(("deliveries.keep_bodies", problem.to_owned()));
        }
        Ok(())
    }
}
