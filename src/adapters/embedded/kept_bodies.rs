//! The jobs of recorded deliveries, sealed, and who had them sent again, in SQLite.

use rusqlite::{Connection, OptionalExtension, params};

use super::database::Database;
use crate::domain::resend::ResendLine;
use crate::domain::timestamp::Timestamp;
use crate::ports::records::SealedBody;
use crate::ports::{Error, Result};

/// Most old jobs, or lines, removed in one write: others wait for it, and a job may have a megabyte.
const SWEEP: i64 = 100;

pub(super) async fn put(database: &Database, bodies: Vec<SealedBody>) -> Result<()> {
    let write = move |c: &Connection| {
        let mut put = c.prepare_cached("INSERT OR REPLACE INTO kept_bodies VALUES (?, ?, ?)")?;
        bodies.iter().try_for_each(|body| {
            put.execute(params![body.delivery_id, body.until.as_millis(), body.sealed]).map(drop)
        })
    };
    database.write("records.put_bodies", write).await
}

pub(super) async fn get(
    database: &Database,
    id: String,
    now: Timestamp,
) -> Result<Option<Vec<u8>>> {
    let read = move |c: &Connection| {
        let sql = "SELECT sealed FROM kept_bodies WHERE delivery_id = ? AND until > ?";
        let mut found = c.prepare_cached(sql)?;
        found.query_row(params![id, now.as_millis()], |row| row.get(0)).optional()
    };
    database.read("records.body", read).await
}

pub(super) async fn log(
    database: &Database,
    id: String,
    line: &ResendLine,
    until: Timestamp,
) -> Result<()> {
    let operation = "records.log_resend";
    let text = serde_json::to_string(line).map_err(|e| Error::new(operation, e))?;
    let (at, what) = (line.at.as_millis(), line.what.name());
    let write = move |c: &Connection| {
        c.prepare_cached("INSERT OR REPLACE INTO resends VALUES (?, ?, ?, ?, ?)")?
            .execute(params![id, at, what, until.as_millis(), text])
            .map(drop)
    };
    database.write(operation, write).await
}

pub(super) async fn lines(database: &Database, id: String, now: Timestamp) -> Result<Vec<String>> {
    let read = move |c: &Connection| {
        let sql = "SELECT line FROM resends WHERE delivery_id = ? AND until > ? ORDER BY at, what";
        let mut lines = c.prepare_cached(sql)?;
        let lines = lines.query_map(params![id, now.as_millis()], |row| row.get(0))?;
        lines.collect()
    };
    database.read("records.resends", read).await
}

/// Removes what was kept until `now`.
pub(super) async fn forget(database: &Database, now: Timestamp) -> Result<()> {
    loop {
        let write = move |c: &Connection| {
            let range = params![now.as_millis(), SWEEP];
            let bodies = "DELETE FROM kept_bodies WHERE rowid IN
                          (SELECT rowid FROM kept_bodies WHERE until <= ?1 ORDER BY until LIMIT ?2)";
            let bodies = c.prepare_cached(bodies)?.execute(range)?;
            let lines = "DELETE FROM resends WHERE (delivery_id, at, what) IN
                (SELECT delivery_id, at, what FROM resends WHERE until <= ?1 ORDER BY until LIMIT ?2)";
            Ok(bodies.max(c.prepare_cached(lines)?.execute(range)?))
        };
        let removed = database.write("records.forget", write).await?;
        if i64::try_from(removed).unwrap_or(0) < SWEEP {
            return Ok(());
        }
    }
}
