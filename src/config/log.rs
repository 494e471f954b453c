//! `[log]`: log lines.

use serde::{Deserialize, Serialize};

use crate::telemetry::logging::{Format, Verbosity};

/// Log lines.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// `text` for people, `json` for machines.
    pub format: Format,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: Verbosity,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: Format::Text, level: Verbosity::Info }
    }
}
