//! `[console]`: the pages for people, which are served where the HTTP API is.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::domain::origin::Origin;

/// The console and the customer's page.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConsoleConfig {
    /// Whether they are served.
    pub enabled: bool,
    /// The origins whose pages may show the customer's page in a frame.
    pub embed_origins: BTreeSet<Origin>,
}

impl Default for ConsoleConfig {
    fn default() -> Self {
        Self { enabled: true, embed_origins: BTreeSet::new() }
    }
}
