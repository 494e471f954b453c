//! Where deliveries and their attempts are kept to be looked at. Nothing depends on them.

use async_trait::async_trait;

use super::Result;
use crate::domain::delivery_record::{AttemptRow, DeliveryFilter, DeliveryRecord, RecordedAttempt};
use crate::domain::timestamp::Timestamp;

/// Most headers that one call of [`Records::list`] looks at.
pub const MOST_LOOKED_AT: usize = 1_000;

/// A page of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// What matches, newest first.
    pub records: Vec<DeliveryRecord>,
    /// Where the next page begins; `None` at the end. There may be one behind an empty page.
    pub next: Option<String>,
}

/// Deliveries and their attempts, for as long as each says.
#[async_trait]
pub trait Records: Send + Sync {
    /// Keeps attempts, each with the header that it leaves. Doing so twice changes nothing.
    async fn put(&self, attempts: &[RecordedAttempt]) -> Result<()>;

    /// Deliveries of a customer, newest first, up to `limit`, behind the place `after`. Looks at
    /// [`MOST_LOOKED_AT`] at most, so a page may be short or empty and still have a next one.
    async fn list(
        &self,
        filter: &DeliveryFilter,
        after: Option<&str>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Page>;

    /// One delivery with its attempts, oldest first.
    async fn get(
        &self,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<(DeliveryRecord, Vec<AttemptRow>)>>;

    /// Forgets what was kept until `now`; returns how many deliveries. A store that removes old ones by
    /// itself does nothing.
    async fn forget(&self, now: Timestamp) -> Result<u64>;
}
