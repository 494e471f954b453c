//! Sealed secrets in SQLite.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;

use super::database::Database;
use crate::domain::ids::{CustomerId, SecretId};
use crate::domain::secret::{SealedSecret, SealedVersion};
use crate::domain::secret_record::{SecretChange, SecretRecord};
use crate::ports::endpoints::PutResult;
use crate::ports::{Error, ReadSecrets, Result, Secrets};

/// The secrets of a data directory.
pub struct SqliteSecrets(pub Database);

fn parse(record: &str) -> Result<SealedSecret> {
    serde_json::from_str(record).map_err(|e| Error::unreadable("secrets.read", e))
}

/// The last version given and the record, if the secret was not deleted.
fn row(c: &Connection, key: [&str; 2]) -> rusqlite::Result<(u64, Option<String>)> {
    let sql = "SELECT version, record FROM secrets WHERE customer_id = ? AND secret_id = ?";
    let found = c.prepare_cached(sql)?.query_row(key, |row| Ok((row.get(0)?, row.get(1)?)));
    Ok(found.optional()?.unwrap_or((0, None)))
}

/// The secret of a row, for a writer. One that cannot be read is replaced; it has no version to keep.
fn record_of((last_version, record): (u64, Option<String>)) -> SecretRecord {
    SecretRecord { last_version, secret: record.and_then(|record| parse(&record).ok()) }
}

fn json(value: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))
}

/// Makes a change in the writer's transaction.
fn make(c: &Connection, key: [&str; 2], change: &SecretChange) -> rusqlite::Result<PutResult> {
    let now = record_of(row(c, key)?);
    if now.seen() != change.seen {
        return Ok(PutResult::Conflict(now.current_version()));
    }
    for version in &change.retired {
        let sql = "INSERT OR REPLACE INTO secret_versions VALUES (?, ?, ?, ?)";
        c.prepare_cached(sql)?.execute(params![key[0], key[1], version.version, json(version)?])?;
    }
    let sql = "INSERT OR REPLACE INTO secrets VALUES (?, ?, ?, ?)";
    let next = json(&change.next)?;
    c.prepare_cached(sql)?.execute(params![key[0], key[1], change.last_version, next])?;
    Ok(PutResult::Put(change.next.current.version))
}

/// Puts `to` in the place of `from` in the writer's transaction, in the record and in the history.
fn put_in_place(
    c: &Connection,
    key: [&str; 2],
    from: &SealedVersion,
    to: &SealedVersion,
) -> rusqlite::Result<bool> {
    let SecretRecord { last_version, secret } = record_of(row(c, key)?);
    let mut found = false;
    if let Some(mut secret) = secret {
        for kept in std::iter::once(&mut secret.current).chain(secret.previous.as_mut()) {
            if kept == from {
                kept.clone_from(to);
                found = true;
            }
        }
        if found {
            let sql = "INSERT OR REPLACE INTO secrets VALUES (?, ?, ?, ?)";
            let last = last_version.max(to.version);
            c.prepare_cached(sql)?.execute(params![key[0], key[1], last, json(&secret)?])?;
        }
    }
    if from.version != to.version {
        return Ok(found);
    }
    let sql = "SELECT record FROM secret_versions
               WHERE customer_id = ? AND secret_id = ? AND version = ?";
    let past: Option<String> = c
        .prepare_cached(sql)?
        .query_row(params![key[0], key[1], from.version], |row| row.get(0))
        .optional()?;
    let past = past.and_then(|past| serde_json::from_str::<SealedVersion>(&past).ok());
    if past.as_ref() == Some(from) {
        let sql = "UPDATE secret_versions SET record = ?
                   WHERE customer_id = ? AND secret_id = ? AND version = ?";
        c.prepare_cached(sql)?.execute(params![json(to)?, key[0], key[1], from.version])?;
        found = true;
    }
    Ok(found)
}

#[async_trait]
impl ReadSecrets for SqliteSecrets {
    async fn get(&self, customer: &CustomerId, secret: &SecretId) -> Result<Option<SealedSecret>> {
        let (customer, secret) = (customer.clone(), secret.clone());
        let read = move |c: &Connection| row(c, [customer.as_str(), secret.as_str()]);
        let (_, record) = self.0.read("secrets.get", read).await?;
        record.as_deref().map(parse).transpose()
    }

    async fn record(&self, customer: &CustomerId, secret: &SecretId) -> Result<SecretRecord> {
        let (customer, secret) = (customer.clone(), secret.clone());
        let read = move |c: &Connection| row(c, [customer.as_str(), secret.as_str()]);
        Ok(record_of(self.0.read("secrets.record", read).await?))
    }

    async fn history(
        &self,
        customer: &CustomerId,
        secret: &SecretId,
    ) -> Result<Vec<SealedVersion>> {
        let (customer, secret) = (customer.clone(), secret.clone());
        let read = move |c: &Connection| {
            let sql = "SELECT record FROM secret_versions
                       WHERE customer_id = ? AND secret_id = ? ORDER BY version DESC";
            let mut statement = c.prepare_cached(sql)?;
            let rows =
                statement.query_map([customer.as_str(), secret.as_str()], |row| row.get(0))?;
            rows.collect::<rusqlite::Result<Vec<String>>>()
        };
        let rows = self.0.read("secrets.history", read).await?;
        let failed = |e| Error::unreadable("secrets.history", e);
        rows.iter().map(|record| serde_json::from_str(record).map_err(failed)).collect()
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
}

#[async_trait]
impl Secrets for SqliteSecrets {
    async fn change(
        &self,
        customer: &CustomerId,
        secret: &SecretId,
        change: SecretChange,
    ) -> Result<PutResult> {
        let (customer, secret) = (customer.clone(), secret.clone());
        let write = move |c: &Connection| make(c, [customer.as_str(), secret.as_str()], &change);
        self.0.write("secrets.change", write).await
    }

    async fn replace(
        &self,
        customer: &CustomerId,
        secret: &SecretId,
        from: &SealedVersion,
        to: &SealedVersion,
    ) -> Result<bool> {
        let (customer, secret) = (customer.clone(), secret.clone());
        let (from, to) = (from.clone(), to.clone());
        let write =
            move |c: &Connection| put_in_place(c, [customer.as_str(), secret.as_str()], &from, &to);
        self.0.write("secrets.replace", write).await
    }

    async fn forget(
        &self,
        customer: &CustomerId,
        secret: &SecretId,
        versions: &[u64],
    ) -> Result<usize> {
        let (customer, secret, versions) = (customer.clone(), secret.clone(), versions.to_vec());
        let write = move |c: &Connection| {
            let sql = "DELETE FROM secret_versions
                       WHERE customer_id = ? AND secret_id = ? AND version = ?";
            let mut statement = c.prepare_cached(sql)?;
            let mut removed = 0;
            for version in versions {
                removed +=
                    statement.execute(params![customer.as_str(), secret.as_str(), version])?;
            }
            Ok(removed)
        };
        self.0.write("secrets.forget", write).await
    }

    async fn delete(
        &self,
        customer: &CustomerId,
        secret: &SecretId,
        expected: Option<u64>,
    ) -> Result<bool> {
        let (customer, secret) = (customer.clone(), secret.clone());
        let write = move |c: &Connection| {
            let key = [customer.as_str(), secret.as_str()];
            let sql = "UPDATE secrets SET record = NULL
                       WHERE customer_id = ?1 AND secret_id = ?2 AND record IS NOT NULL
                       AND (?3 IS NULL OR json_extract(record, '$.current.version') = ?3)";
            let deleted = c.prepare_cached(sql)?.execute(params![key[0], key[1], expected])?;
            if deleted > 0 || expected.is_none() {
                let past = "DELETE FROM secret_versions WHERE customer_id = ? AND secret_id = ?";
                c.prepare_cached(past)?.execute(key)?;
            }
            Ok(deleted)
        };
        Ok(self.0.write("secrets.delete", write).await? > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::timestamp::Timestamp;

    /// A database as it was before versions had a history, with a row of that time.
    const BEFORE: &str = r#"
        DROP TABLE secret_versions;
        PRAGMA user_version = 3;
        INSERT INTO secrets VALUES ('c', 's', 2, '{"current":{"version":2,"sealed":"AQI=",
            "origins":["https://a.example:443"],"createdAt":"2026-11-02T00:00:00Z",
            "facts":{"certificateSubject":"CN=acme","notAfter":"2027-01-01T00:00:00Z"}},
            "previous":{"version":1,"sealed":"AQE=","origins":["https://a.example:443"],
            "createdAt":"2026-11-01T00:00:00Z"},"previousUntil":"2026-11-03T00:00:00Z"}');
    "#;

    #[tokio::test]
    async fn a_row_from_before_there_was_a_history_is_read_and_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.db");
        drop(Database::open(&path).unwrap());
        Connection::open(&path).unwrap().execute_batch(BEFORE).unwrap();
        let secrets = SqliteSecrets(Database::open(&path).unwrap());
        let (customer, id) = ("c".parse().unwrap(), "s".parse().unwrap());
        let record = secrets.record(&customer, &id).await.unwrap();
        assert_eq!(record.last_version, 2);
        let stored = record.secret.clone().unwrap();
        assert_eq!((stored.current.sealed, stored.previous.unwrap().version), (vec![1, 2], 1));
        let facts = stored.current.facts.unwrap();
        assert_eq!(facts.certificate_subject.as_deref(), Some("CN=acme"));
        let (sealed, created_at) = (vec![1], Timestamp::from_millis(0));
        let next =
            SealedVersion { version: 3, sealed, origins: [].into(), created_at, facts: None };
        let change = record.make_current(next, None);
        assert_eq!(secrets.change(&customer, &id, change).await.unwrap(), PutResult::Put(3));
        let past = secrets.history(&customer, &id).await.unwrap();
        assert_eq!(past.iter().map(|v| v.version).collect::<Vec<_>>(), [2, 1]);
    }
}
