//! Endpoints in SQLite.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::database::Database;
use crate::domain::endpoint::Endpoint;
use crate::domain::ids::{CustomerId, EndpointId};
use crate::domain::timestamp::Timestamp;
use crate::ports::endpoints::{PutResult, StoredEndpoint};
use crate::ports::{Endpoints, Error, ReadEndpoints, Result};

/// The endpoints of a data directory.
pub struct SqliteEndpoints(pub Database);

struct Stored {
    version: u64,
    updated_at: i64,
    config: String,
}

const COLUMNS: &str = "SELECT version, updated_at, config FROM endpoints WHERE config IS NOT NULL";

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    Ok(Stored { version: row.get(0)?, updated_at: row.get(1)?, config: row.get(2)? })
}

fn parse(stored: Stored) -> Result<StoredEndpoint> {
    let endpoint: Endpoint =
        serde_json::from_str(&stored.config).map_err(|e| Error::unreadable("endpoints.read", e))?;
    let updated_at = Timestamp::from_millis(stored.updated_at);
    Ok(StoredEndpoint { version: stored.version, updated_at, endpoint })
}

#[async_trait]
impl ReadEndpoints for SqliteEndpoints {
    async fn get(
        &self,
        customer: &CustomerId,
        endpoint: &EndpointId,
    ) -> Result<Option<StoredEndpoint>> {
        let (customer, endpoint) = (customer.clone(), endpoint.clone());
        let read = move |c: &Connection| {
            let mut statement =
                c.prepare_cached(&format!("{COLUMNS} AND customer_id = ? AND endpoint_id = ?"))?;
            statement.query_row([customer.as_str(), endpoint.as_str()], stored).optional()
        };
        self.0.read("endpoints.get", read).await?.map(parse).transpose()
    }

    async fn list(&self, customer: Option<&CustomerId>) -> Result<Vec<StoredEndpoint>> {
        let customer = customer.cloned();
        let read = move |c: &Connection| {
            let sql = format!(
                "{COLUMNS} AND (?1 IS NULL OR customer_id = ?1) ORDER BY customer_id, endpoint_id"
            );
            let mut statement = c.prepare_cached(&sql)?;
            let rows = statement.query_map([customer.as_ref().map(CustomerId::as_str)], stored)?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        self.0.read("endpoints.list", read).await?.into_iter().map(parse).collect()
    }
}

#[async_trait]
impl Endpoints for SqliteEndpoints {
    async fn put(
        &self,
        endpoint: Endpoint,
        expected: Option<u64>,
        now: Timestamp,
    ) -> Result<PutResult> {
        let config =
            serde_json::to_string(&endpoint).map_err(|e| Error::new("endpoints.put", e))?;
        let write = move |c: &Connection| {
            let key = [endpoint.customer_id.as_str(), endpoint.endpoint_id.as_str()];
            let last = "SELECT version, config IS NOT NULL FROM endpoints
                        WHERE customer_id = ? AND endpoint_id = ?";
            let (version, exists) = c
                .prepare_cached(last)?
                .query_row(key, |row| Ok((row.get::<_, u64>(0)?, row.get::<_, bool>(1)?)))
                .optional()?
                .unwrap_or((0, false));
            let current = if exists { version } else { 0 };
            if expected.is_some_and(|expected| expected != current) {
                return Ok(PutResult::Conflict(current));
            }
            let sql = "INSERT OR REPLACE INTO endpoints VALUES (?, ?, ?, ?, ?)";
            c.prepare_cached(sql)?.execute(params![
                key[0],
                key[1],
                version + 1,
                now.as_millis(),
                config
            ])?;
            Ok(PutResult::Put(version + 1))
        };
        self.0.write("endpoints.put", write).await
    }

    async fn delete(
        &self,
        customer: &CustomerId,
        endpoint: &EndpointId,
        expected: Option<u64>,
    ) -> Result<bool> {
        let (customer, endpoint) = (customer.clone(), endpoint.clone());
        let write = move |c: &Connection| {
            let sql = "UPDATE endpoints SET config = NULL
                       WHERE customer_id = ?1 AND endpoint_id = ?2 AND config IS NOT NULL
                       AND version = coalesce(?3, version)";
            c.prepare_cached(sql)?.execute(params![customer.as_str(), endpoint.as_str(), expected])
        };
        Ok(self.0.write("endpoints.delete", write).await? > 0)
    }
}
