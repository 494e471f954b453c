//! Where the records of replays are kept.

use async_trait::async_trait;

use super::Result;
use crate::domain::replay::Replay;

/// Records of replays by id. What a write has returned is durable and seen by every later read.
#[async_trait]
pub trait Replays: Send + Sync {
    /// Writes a record over the version before it (1: there is none yet). `false`, and nothing
    /// written, if that is not the version that is kept.
    async fn put(&self, replay: &Replay) -> Result<bool>;

    /// One record.
    async fn get(&self, id: &str) -> Result<Option<Replay>>;

    /// Up to `limit` records, newest first, after the one with id `after`.
    async fn list(&self, after: Option<&str>, limit: usize) -> Result<Vec<Replay>>;
}
