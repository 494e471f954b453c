//! `[cache]`: how long endpoints and secrets are used without reading them again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cache::Lifetimes;

/// How long endpoints and secrets are cached.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CacheConfig {
    /// After this, an endpoint or a secret is read anew in the background; by default 1 s, on AWS
    /// 30 s.
    #[serde(with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    pub soft: Option<Duration>,
    /// After this, the old value is not used any more, and a secret is opened anew; by default 1
    /// minute, on AWS 5.
    #[serde(with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    pub hard: Option<Duration>,
    /// Most endpoints, and most secrets, kept.
    pub capacity: u64,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self { soft: None, hard: None, capacity: 10_000 }
    }
}

impl CacheConfig {
    /// The lifetimes that these settings describe. A reading costs next to nothing from a file, and
    /// money from AWS.
    pub fn lifetimes(&self, is_aws: bool) -> Lifetimes {
        let (soft, hard) = if is_aws { (30, 300) } else { (1, 60) };
        Lifetimes {
            soft: self.soft.unwrap_or(Duration::from_secs(soft)),
            hard: self.hard.unwrap_or(Duration::from_secs(hard)),
            capacity: self.capacity,
        }
    }
}
