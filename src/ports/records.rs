//! Where deliveries and their attempts are kept to be looked at, and their jobs to be sent again. Nothing
//! depends on them.

use async_trait::async_trait;

use super::Result;
use crate::domain::delivery_record::{AttemptRow, DeliveryFilter, DeliveryRecord, RecordedAttempt};
use crate::domain::resend::ResendLine;
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

/// A delivery's job, sealed, to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedBody {
    /// Of which recorded delivery.
    pub delivery_id: String,
    /// The sealed job: of any size that a queue takes.
    pub sealed: Vec<u8>,
    /// Until when it is kept.
    pub until: Timestamp,
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

    /// The header of one delivery.
    async fn header(&self, id: &str, now: Timestamp) -> Result<Option<DeliveryRecord>>;

    /// Keeps jobs; one of the same delivery is replaced.
    async fn put_bodies(&self, bodies: &[SealedBody]) -> Result<()>;

    /// The sealed job of a delivery, whole.
    async fn body(&self, id: &str, now: Timestamp) -> Result<Option<Vec<u8>>>;

    /// Adds a line to a delivery's audit. Doing so twice changes nothing.
    async fn log_resend(&self, id: &str, line: &ResendLine, until: Timestamp) -> Result<()>;

    /// The lines of a delivery's audit, oldest first.
    async fn resends(&self, id: &str, now: Timestamp) -> Result<Vec<ResendLine>>;

    /// Forgets what was kept until `now`; returns how many deliveries. A store that removes old ones by
    /// itself does nothing.
    async fn forget(&self, now: Timestamp) -> Result<u64>;
}
