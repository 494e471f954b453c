//! Test calls and their answers in SQLite.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};

use super::database::Database;
use crate::domain::test_call::TestRecord;
use crate::domain::timestamp::Timestamp;
use crate::ports::{Error, Result, TestCalls};

/// Most old rows removed in one write.
const SWEEP: i64 = 1000;

/// The test calls of a data directory.
pub struct SqliteTestCalls(pub Database);

#[async_trait]
impl TestCalls for SqliteTestCalls {
    async fn put(&self, record: &TestRecord) -> Result<()> {
        let json = serde_json::to_string(record).map_err(|e| Error::new("test_calls.put", e))?;
        let (id, asked_at) = (record.call.id.clone(), record.call.asked_at);
        let until = record.call.kept_until();
        let write = move |c: &Connection| {
            let old = "DELETE FROM test_calls WHERE id IN
                       (SELECT id FROM test_calls WHERE until <= ? LIMIT ?)";
            c.prepare_cached(old)?.execute([asked_at.as_millis(), SWEEP])?;
            c.prepare_cached("INSERT OR REPLACE INTO test_calls VALUES (?, ?, ?)")?
                .execute(params![id, until.as_millis(), json])
        };
        self.0.write("test_calls.put", write).await.map(drop)
    }

    async fn get(&self, id: &str, now: Timestamp) -> Result<Option<TestRecord>> {
        let id = id.to_owned();
        let read = move |c: &Connection| {
            let sql = "SELECT record FROM test_calls WHERE id = ? AND until > ?";
            let row = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
            c.prepare_cached(sql)?.query_row(params![id, now.as_millis()], row).optional()
        };
        let record = self.0.read("test_calls.get", read).await?;
        let parse = |record: String| serde_json::from_str(&record);
        record.map(parse).transpose().map_err(|e| Error::new("test_calls.get", e))
    }
}
