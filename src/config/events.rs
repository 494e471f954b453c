//! `[events]`: what the operator is told of, beside the log, and which types of events there are.

use serde::{Deserialize, Serialize};

use crate::domain::event_catalog::UnknownTypes;
use crate::domain::ids::CustomerId;

/// What the operator is told of, and which types of events there are.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EventsConfig {
    /// Whose endpoints operational events are delivered to; only the log has them without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer: Option<CustomerId>,
    /// What becomes of an endpoint that subscribes to a type of events that is not registered.
    pub unknown_types: UnknownTypes,
}
