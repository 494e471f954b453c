//! Endpoint health in SQLite.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};

use super::database::Database;
use crate::domain::health::{Health, HealthRecord};
use crate::domain::ids::{CustomerId, EndpointId};
use crate::ports::health::RecordedHealth;
use crate::ports::{Error, HealthStore, Result};

/// The endpoint health of a data directory.
pub struct SqliteHealth(pub Database);

/// A record as it lies in its row, with the version that it is of.
type Row = Option<(u64, String)>;

fn row(c: &Connection, customer: &CustomerId, endpoint: &EndpointId) -> rusqlite::Result<Row> {
    let sql = "SELECT version, health FROM health WHERE customer_id = ? AND endpoint_id = ?";
    let key = params![customer.as_str(), endpoint.as_str()];
    c.prepare_cached(sql)?.query_row(key, |row| Ok((row.get(0)?, row.get(1)?))).optional()
}

/// What a row says of a version of the endpoint: of another version's, what outlives it.
fn record(row: Row, version: u64) -> serde_json::Result<HealthRecord> {
    let Some((of, text)) = row else { return Ok(HealthRecord::default()) };
    let record: HealthRecord = serde_json::from_str(&text)?;
    if of == version {
        return Ok(record);
    }
    Ok(record.of_another_version())
}

/// What a write makes of a record; `None` if it is refused.
type Edit = Box<dyn FnOnce(HealthRecord) -> Option<HealthRecord> + Send>;

impl SqliteHealth {
    /// Makes a write, unless a later version has a record or `edit` refuses.
    async fn edit(
        &self,
        operation: &'static str,
        (customer, endpoint, version): (&CustomerId, &EndpointId, u64),
        edit: Edit,
    ) -> Result<bool> {
        let (customer, endpoint) = (customer.clone(), endpoint.clone());
        let write = move |c: &Connection| {
            let row = row(c, &customer, &endpoint)?;
            if row.as_ref().is_some_and(|(of, _)| *of > version) {
                return Ok(Ok(false));
            }
            let next = record(row, version).map(|seen| (seen.revision, edit(seen)));
            let (revision, next) = match next {
                Ok((revision, Some(next))) => (revision, next),
                Ok((_, None)) => return Ok(Ok(false)),
                // An error would undo the writes of others.
                Err(error) => return Ok(Err(error)),
            };
            let json = match serde_json::to_string(&HealthRecord { revision: revision + 1, ..next })
            {
                Ok(json) => json,
                Err(error) => return Ok(Err(error)),
            };
            let sql = "INSERT OR REPLACE INTO health VALUES (?1, ?2, ?3, ?4)";
            let row = params![customer.as_str(), endpoint.as_str(), version, json];
            c.prepare_cached(sql)?.execute(row)?;
            Ok(Ok(true))
        };
        self.0.write(operation, write).await?.map_err(|e| Error::new(operation, e))
    }
}

#[async_trait]
impl HealthStore for SqliteHealth {
    async fn read(
        &self,
        customer: &CustomerId,
        endpoint: &EndpointId,
        version: u64,
    ) -> Result<HealthRecord> {
        let (customer, endpoint) = (customer.clone(), endpoint.clone());
        let row = self.0.read("health.get", move |c| row(c, &customer, &endpoint)).await?;
        record(row, version).map_err(|e| Error::unreadable("health.get", e))
    }

    async fn list(&self, customer: &CustomerId) -> Result<Vec<RecordedHealth>> {
        let customer = customer.clone();
        let read = move |c: &Connection| {
            let sql = "SELECT endpoint_id, version, health FROM health
                       WHERE customer_id = ? ORDER BY endpoint_id";
            let mut statement = c.prepare_cached(sql)?;
            let row = |row: &rusqlite::Row<'_>| {
                Ok((row.get::<_, String>(0)?, row.get::<_, u64>(1)?, row.get::<_, String>(2)?))
            };
            statement.query_map([customer.as_str()], row)?.collect::<rusqlite::Result<Vec<_>>>()
        };
        let rows = self.0.read("health.list", read).await?;
        let parse = |(endpoint, version, health): (String, u64, String)| {
            let endpoint_id = endpoint.parse().map_err(|e| Error::unreadable("health.list", e))?;
            let record =
                serde_json::from_str(&health).map_err(|e| Error::unreadable("health.list", e))?;
            Ok(RecordedHealth { endpoint_id, version, record })
        };
        rows.into_iter().map(parse).collect()
    }

    async fn set(
        &self,
        customer: &CustomerId,
        endpoint: &EndpointId,
        version: u64,
        health: &Health,
    ) -> Result<bool> {
        let health = health.clone();
        let edit = |seen: HealthRecord| {
            // Disabled stays disabled, except for another reason.
            let is_disabled = |health: &Health| matches!(health, Health::Disabled { .. });
            let refused = is_disabled(&seen.health) && !is_disabled(&health);
            (!refused).then_some(HealthRecord { health, ..seen })
        };
        self.edit("health.set", (customer, endpoint, version), Box::new(edit)).await
    }

    async fn change(
        &self,
        customer: &CustomerId,
        endpoint: &EndpointId,
        version: u64,
        seen: &HealthRecord,
        next: &HealthRecord,
    ) -> Result<bool> {
        let (seen, next) = (seen.revision, next.clone());
        let edit = move |now: HealthRecord| (now.revision == seen).then_some(next);
        self.edit("health.change", (customer, endpoint, version), Box::new(edit)).await
    }
}
