//! The lists of endpoints that jobs fan out to, in SQLite.

use rusqlite::{Connection, OptionalExtension, params};

use super::database::Database;
use crate::domain::fan_out::FanOutKey;
use crate::domain::ids::EndpointId;
use crate::domain::timestamp::Timestamp;
use crate::ports::{Error, Result};

fn find(c: &Connection, key: &FanOutKey) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT endpoints FROM fan_outs
               WHERE customer_id = ? AND job_id = ? AND round = ? AND message_id = ?";
    let row = params![key.customer_id.as_str(), key.job_id.as_str(), key.round, key.message_id];
    c.prepare_cached(sql)?.query_row(row, |row| row.get(0)).optional()
}

fn parse(operation: &'static str, json: &str) -> Result<Vec<EndpointId>> {
    serde_json::from_str(json).map_err(|e| Error::unreadable(operation, e))
}

/// The list of `key`, if it was fixed.
pub async fn get(database: &Database, key: &FanOutKey) -> Result<Option<Vec<EndpointId>>> {
    let key = key.clone();
    let found = database.read("deliveries.fan_out", move |c| find(c, &key)).await?;
    found.map(|json| parse("deliveries.fan_out", &json)).transpose()
}

/// Fixes the list of `key`, if that was not done before; returns the list that is fixed.
pub async fn fix(
    database: &Database,
    key: &FanOutKey,
    endpoints: &[EndpointId],
    now: Timestamp,
) -> Result<Vec<EndpointId>> {
    let operation = "deliveries.fix_fan_out";
    let json = serde_json::to_string(endpoints).map_err(|e| Error::new(operation, e))?;
    let key = key.clone();
    let write = move |c: &Connection| {
        c.prepare_cached("INSERT OR IGNORE INTO fan_outs VALUES (?, ?, ?, ?, ?, ?)")?.execute(
            params![
                key.customer_id.as_str(),
                key.job_id.as_str(),
                key.round,
                key.message_id,
                now.as_millis(),
                json
            ],
        )?;
        find(c, &key).map(|found| found.unwrap_or(json))
    };
    parse(operation, &database.write(operation, write).await?)
}

/// Forgets the lists that were fixed before `before`; returns how many.
pub fn forget(c: &Connection, before: Timestamp) -> rusqlite::Result<usize> {
    let sql = "DELETE FROM fan_outs WHERE fixed_at < ?";
    c.prepare_cached(sql)?.execute([before.as_millis()])
}
