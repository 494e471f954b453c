//! Sealed secrets in SQLite.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};

use super::database::Database;
use crate::domain::ids::{CustomerId, SecretId};
use crate::domain::secret::{SealedSecret, SealedVersion};
use crate::domain::timestamp::Timestamp;
use crate::ports::endpoints::PutResult;
use crate::ports::{Error, Result, Secrets};

/// The secrets of a data directory.
pub struct SqliteSecrets(pub Database);

fn parse(record: &str) -> Result<SealedSecret> {
    serde_json::from_str(record).map_err(|e| Error::new("secrets.read", e))
}

/// The last version given and the record, if the secret was not deleted.
fn row(c: &Connection, key: [&str; 2]) -> rusqlite::Result<(u64, Option<String>)> {
    let sql = "SELECT version, record FROM secrets WHERE customer_id = ? AND secret_id = ?";
    let found = c.prepare_cached(sql)?.query_row(key, |row| Ok((row.get(0)?, row.get(1)?)));
    Ok(found.optional()?.unwrap_or((0, None)))
}

#[async_trait]
impl Secrets for SqliteSecrets {
    async fn get(&self, customer: &CustomerId, secret: &SecretId) -> Result<Option<SealedSecret>> {
        let (customer, secret) = (customer.clone(), secret.clone());
        let read = move |c: &Connection| row(c, [customer.as_str(), secret.as_str()]);
        let (_, record) = self.0.read("secrets.get", read).await?;
        record.as_deref().map(parse).transpose()
    }

    async fn put(
        &self,
        customer: &CustomerId,
        secret: &SecretId,
        version: SealedVersion,
        previous_until: Option<Timestamp>,
    ) -> Result<PutResult> {
        let (customer, secret) = (customer.clone(), secret.clone());
        let write = move |c: &Connection| {
            let key = [customer.as_str(), secret.as_str()];
            let (last, record) = row(c, key)?;
            if version.version != last + 1 {
                return Ok(PutResult::Conflict(last));
            }
            // A record that cannot be read is replaced; there is no previous version to keep then.
            let before = record.and_then(|record| parse(&record).ok());
            let number = version.version;
            let next = SealedSecret {
                current: version,
                previous: before.map(|b| b.current).filter(|_| previous_until.is_some()),
                previous_until,
            };
            let json = serde_json::to_string(&next)
                .map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))?;
            let sql = "INSERT OR REPLACE INTO secrets VALUES (?, ?, ?, ?)";
            c.prepare_cached(sql)?.execute(params![key[0], key[1], number, json])?;
            Ok(PutResult::Put(number))
        };
        self.0.write("secrets.put", write).await
    }

    async fn last_version(&self, customer: &CustomerId, secret: &SecretId) -> Result<u64> {
        let (customer, secret) = (customer.clone(), secret.clone());
        let read = move |c: &Connection| row(c, [customer.as_str(), secret.as_str()]);
        Ok(self.0.read("secrets.last_version", read).await?.0)
    }

    async fn list(
        &self,
        customer: Option<&CustomerId>,
    ) -> Result<Vec<(CustomerId, SecretId, SealedSecret)>> {
        let customer = customer.cloned();
        let read = move |c: &Connection| {
            let sql = "SELECT customer_id, secret_id, record FROM secrets
                       WHERE record IS NOT NULL AND (?1 IS NULL OR customer_id = ?1)
                       ORDER BY customer_id, secret_id";
            let mut statement = c.prepare_cached(sql)?;
            let rows = statement.query_map([customer.as_ref().map(CustomerId::as_str)], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        let rows = self.0.read("secrets.list", read).await?;
        let failed = |e| Error::new("secrets.list", e);
        rows.into_iter()
            .map(|(customer, secret, record)| {
                let customer = customer.parse().map_err(failed)?;
                Ok((customer, secret.parse().map_err(failed)?, parse(&record)?))
            })
            .collect()
    }

    async fn delete(&self, customer: &CustomerId, secret: &SecretId) -> Result<bool> {
        let (customer, secret) = (customer.clone(), secret.clone());
        let write = move |c: &Connection| {
            let sql = "UPDATE secrets SET record = NULL
                       WHERE customer_id = ? AND secret_id = ? AND record IS NOT NULL";
            c.prepare_cached(sql)?.execute([customer.as_str(), secret.as_str()])
        };
        Ok(self.0.write("secrets.delete", write).await? > 0)
    }
}
