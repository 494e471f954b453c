//! `[metrics]`: metrics and health on an address of their own.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Metrics and health.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetricsConfig {
    /// Where `/metrics`, `/healthz` and `/readyz` are served, without a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
}
