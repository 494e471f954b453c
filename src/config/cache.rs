//! `[cache]`: how long endpoints and secrets are used without reading them again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cache::Lifetimes;

/// How long endpoints and secrets are cached.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CacheConfig {
    /// After this, an endpoint or a secret is read anew in the background.
    #[serde(with = "humantime_serde")]
    pub soft: Duration,
    /// After this, the old value is not used any more.
    #[serde(with = "humantime_serde")]
    pub hard: Duration,
    /// Most endpoints, and most secrets, kept.
    pub capacity: u64,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self { soft: Duration::from_secs(1), hard: Duration::from_secs(60), capacity: 10_000 }
    }
}

impl CacheConfig {
    /// The lifetimes that these settings describe.
    pub fn lifetimes(&self) -> Lifetimes {
        Lifetimes { soft: self.soft, hard: self.hard, capacity: self.capacity }
    }
}
