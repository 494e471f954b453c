//! Where test calls are kept with their answers, for a while.

use async_trait::async_trait;

use super::Result;
use crate::domain::test_call::TestRecord;
use crate::domain::timestamp::Timestamp;

/// Test calls by id. What a write has returned is durable and seen by every later read.
#[async_trait]
pub trait TestCalls: Send + Sync {
    /// Keeps a test call until its time is over; one of the same id is replaced.
    async fn put(&self, record: &TestRecord) -> Result<()>;

    /// A test call, unless its time is over at `now`.
    async fn get(&self, id: &str, now: Timestamp) -> Result<Option<TestRecord>>;
}
