//! Endpoint health in SQLite.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};

use super::database::Database;
use crate::domain::endpoint::Health;
use crate::domain::ids::{CustomerId, EndpointId};
use crate::ports::health::RecordedHealth;
use crate::ports::{Error, HealthStore, Result};

/// The endpoint health of a data directory.
pub struct SqliteHealth(pub Database);

#[async_trait]
impl HealthStore for SqliteHealth {
    async fn get(
        &self,
        customer: &CustomerId,
        endpoint: &EndpointId,
        version: u64,
    ) -> Result<Health> {
        let (customer, endpoint) = (customer.clone(), endpoint.clone());
        let read = move |c: &Connection| {
            let sql = "SELECT health FROM health
                       WHERE customer_id = ? AND endpoint_id = ? AND version = ?";
            let key = params![customer.as_str(), endpoint.as_str(), version];
            c.prepare_cached(sql)?.query_row(key, |row| row.get::<_, String>(0)).optional()
        };
        let record = self.0.read("health.get", read).await?;
        let parse =
            |text: String| serde_json::from_str(&text).map_err(|e| Error::new("health.get", e));
        record.map_or(Ok(Health::Active), parse)
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
            let endpoint_id = endpoint.parse().map_err(|e| Error::new("health.list", e))?;
            let health = serde_json::from_str(&health).map_err(|e| Error::new("health.list", e))?;
            Ok(RecordedHealth { endpoint_id, version, health })
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
        let (customer, endpoint) = (customer.clone(), endpoint.clone());
        let json = serde_json::to_string(health).map_err(|e| Error::new("health.set", e))?;
        let disables = matches!(health, Health::Disabled { .. });
        let write = move |c: &Connection| {
            // Disabled is final for its version; a later version's record is never overwritten, nor
            // is an endpoint that was put again given the health of its past.
            let sql = "INSERT INTO health VALUES (?1, ?2, ?3, ?4)
                       ON CONFLICT (customer_id, endpoint_id) DO UPDATE
                       SET version = excluded.version, health = excluded.health
                       WHERE health.version < ?3
                          OR (health.version = ?3 AND (?5 OR health.health NOT LIKE '%\"disabled\"%'))";
            let row = params![customer.as_str(), endpoint.as_str(), version, json, disables];
            c.prepare_cached(sql)?.execute(row)
        };
        Ok(self.0.write("health.set", write).await? > 0)
    }
}
