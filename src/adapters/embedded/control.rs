//! Keys, tokens and submissions in SQLite.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};

use super::database::Database;
use crate::domain::access::ApiKey;
use crate::domain::ids::CustomerId;
use crate::domain::submission::{Begun, GIVEN_UP, REMEMBERED, Submission};
use crate::domain::timestamp::Timestamp;
use crate::ports::{Control, Error, Result};

/// Most old rows removed in one write.
const SWEEP: i64 = 1000;

/// What the API of a data directory keeps.
pub struct SqliteControl(pub Database);

fn parse(record: &str) -> Result<ApiKey> {
    serde_json::from_str(record).map_err(|e| Error::new("control.read", e))
}

#[async_trait]
impl Control for SqliteControl {
    async fn put_key(&self, key: &ApiKey) -> Result<()> {
        let record = serde_json::to_string(key).map_err(|e| Error::new("control.put_key", e))?;
        // A token's end may pass unseen; a key's stays in the list.
        let is_token = key.minted_by.is_some();
        let forget_at = key.expires_at.filter(|_| is_token).map(Timestamp::as_millis);
        let (id, now) = (key.id.clone(), key.created_at.as_millis());
        let write = move |c: &Connection| {
            let old = "DELETE FROM api_keys WHERE id IN
                       (SELECT id FROM api_keys WHERE forget_at <= ? LIMIT ?)";
            c.prepare_cached(old)?.execute([now, SWEEP])?;
            c.prepare_cached("INSERT OR REPLACE INTO api_keys VALUES (?, ?, ?, ?)")?
                .execute(params![id, is_token, forget_at, record])
        };
        self.0.write("control.put_key", write).await.map(drop)
    }

    async fn get_key(&self, id: &str) -> Result<Option<ApiKey>> {
        let id = id.to_owned();
        let read = move |c: &Connection| record(c, &id);
        self.0.read("control.get_key", read).await?.as_deref().map(parse).transpose()
    }

    async fn list_keys(&self, after: Option<&str>, limit: usize) -> Result<Vec<ApiKey>> {
        let after = after.unwrap_or("").to_owned();
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let read = move |c: &Connection| {
            let sql =
                "SELECT record FROM api_keys WHERE is_token = 0 AND id > ? ORDER BY id LIMIT ?";
            let mut statement = c.prepare_cached(sql)?;
            let rows = statement.query_map(params![after, limit], |row| row.get(0))?;
            rows.collect::<rusqlite::Result<Vec<String>>>()
        };
        let rows = self.0.read("control.list_keys", read).await?;
        rows.iter().map(|row| parse(row)).collect()
    }

    async fn revoke_key(&self, id: &str, now: Timestamp) -> Result<bool> {
        let (id, now) = (id.to_owned(), now.to_string());
        let write = move |c: &Connection| {
            let sql = "UPDATE api_keys SET record = json_set(record, '$.revokedAt',
                       coalesce(json_extract(record, '$.revokedAt'), ?2)) WHERE id = ?1";
            c.prepare_cached(sql)?.execute([id, now])
        };
        Ok(self.0.write("control.revoke_key", write).await? > 0)
    }

    async fn end_tokens(&self, customer: &CustomerId, now: Timestamp) -> Result<()> {
        let (customer, now) = (customer.to_string(), now.to_string());
        let write = move |c: &Connection| {
            let sql = "UPDATE api_keys SET record = json_set(record, '$.revokedAt', ?2)
                       WHERE is_token = 1 AND json_extract(record, '$.grant.customerId') = ?1
                       AND json_extract(record, '$.revokedAt') IS NULL";
            c.prepare_cached(sql)?.execute([customer, now])
        };
        self.0.write("control.end_tokens", write).await.map(drop)
    }

    async fn begin(&self, submissions: &[Submission], now: Timestamp) -> Result<Vec<Begun>> {
        let submissions = submissions.to_owned();
        let write = move |c: &Connection| {
            let old = "DELETE FROM submissions WHERE key IN
                       (SELECT key FROM submissions WHERE begun_at <= ? LIMIT ?)";
            c.prepare_cached(old)?.execute([now.minus(REMEMBERED).as_millis(), SWEEP])?;
            submissions.iter().map(|submission| begin(c, submission, now)).collect()
        };
        self.0.write("control.begin", write).await
    }

    async fn finish(&self, sent: &[(Submission, String)]) -> Result<()> {
        let sent: Vec<(String, String)> =
            sent.iter().map(|(submission, id)| (submission.key(), id.clone())).collect();
        let write = move |c: &Connection| {
            let sql = "UPDATE submissions SET message_id = ?2 WHERE key = ?1";
            let mut statement = c.prepare_cached(sql)?;
            sent.iter().try_for_each(|(key, id)| statement.execute([key, id]).map(drop))
        };
        self.0.write("control.finish", write).await
    }

    async fn abandon(&self, submissions: &[Submission]) -> Result<()> {
        let keys: Vec<String> = submissions.iter().map(Submission::key).collect();
        let write = move |c: &Connection| {
            let sql = "DELETE FROM submissions WHERE key = ? AND message_id IS NULL";
            let mut statement = c.prepare_cached(sql)?;
            keys.iter().try_for_each(|key| statement.execute([key]).map(drop))
        };
        self.0.write("control.abandon", write).await
    }
}

fn record(c: &Connection, id: &str) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT record FROM api_keys WHERE id = ?";
    c.prepare_cached(sql)?.query_row([id], |row| row.get(0)).optional()
}

fn begin(c: &Connection, submission: &Submission, now: Timestamp) -> rusqlite::Result<Begun> {
    let key = submission.key();
    let sql = "SELECT sha256, begun_at, message_id FROM submissions WHERE key = ?";
    let known = c
        .prepare_cached(sql)?
        .query_row([&key], |row| {
            let (sha256, begun_at) = (row.get::<_, String>(0)?, row.get::<_, i64>(1)?);
            Ok((sha256, begun_at, row.get::<_, Option<String>>(2)?))
        })
        .optional()?;
    if let Some((sha256, begun_at, message_id)) = known {
        let begun_at = Timestamp::from_millis(begun_at);
        let is_kept = now.since(begun_at) < REMEMBERED;
        match message_id {
            Some(id) if is_kept && sha256 == submission.sha256 => return Ok(Begun::Done(id)),
            None if now.since(begun_at) < GIVEN_UP && sha256 == submission.sha256 => {
                return Ok(Begun::Busy);
            }
            Some(_) if is_kept => return Ok(Begun::Different),
            None if now.since(begun_at) < GIVEN_UP => return Ok(Begun::Different),
            Some(_) | None => {}
        }
    }
    let sql = "INSERT OR REPLACE INTO submissions VALUES (?, ?, ?, NULL)";
    c.prepare_cached(sql)?.execute(params![key, submission.sha256, now.as_millis()])?;
    Ok(Begun::New)
}
