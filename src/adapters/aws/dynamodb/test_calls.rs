//! Test calls and their answers: an item each in the table `deliveries`, for an hour.

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;

use super::item::{Item, Reader, key, n, s};
use super::{Table, tables};
use crate::adapters::aws::classify::failed;
use crate::domain::test_call::TestRecord;
use crate::domain::timestamp::Timestamp;
use crate::ports::{Error, Result, TestCalls};

/// The test calls of a table.
pub struct DynamoTestCalls(Table);

impl DynamoTestCalls {
    /// The test calls of the tables that begin with `prefix`.
    pub fn new(client: &Client, prefix: &str) -> Self {
        Self(Table::new(client, prefix, tables::DELIVERIES.name))
    }
}

fn at(id: &str) -> Option<Item> {
    key(("pk", format!("test-call#{id}")), ("sk", "test-call"))
}

#[async_trait]
impl TestCalls for DynamoTestCalls {
    async fn put(&self, record: &TestRecord) -> Result<()> {
        let operation = "test_calls.put";
        let json = serde_json::to_string(record).map_err(|e| Error::new(operation, e))?;
        let put = (self.0.client.put_item().table_name(&self.0.name))
            .set_item(at(&record.call.id))
            .item("record", s(json))
            .item("ttl", n(record.call.kept_until().as_secs() + 1));
        put.send().await.map(drop).map_err(|e| failed(operation, &e))
    }

    async fn get(&self, id: &str, now: Timestamp) -> Result<Option<TestRecord>> {
        let operation = "test_calls.get";
        let get = self.0.client.get_item().table_name(&self.0.name).consistent_read(true);
        let got = get.set_key(at(id)).send().await;
        let Some(item) = got.map_err(|e| failed(operation, &e))?.item else { return Ok(None) };
        let record = Reader { operation, item: &item }.text("record")?;
        let record: TestRecord =
            serde_json::from_str(record).map_err(|e| Error::new(operation, e))?;
        Ok(Some(record).filter(|record| now < record.call.kept_until()))
    }
}
