//! `[events]`: what the operator is told of, beside the log.

use serde::{Deserialize, Serialize};

use crate::domain::ids::CustomerId;

/// What the operator is told of.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EventsConfig {
    /// Whose endpoints operational events are delivered to; only the log has them without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer: Option<CustomerId>,
}
