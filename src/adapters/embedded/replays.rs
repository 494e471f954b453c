//! Records of replays in SQLite, and which replay has a dead letter in hand.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};

use super::database::Database;
use super::log_file::Mark;
use crate::domain::dead_letter::DeadLetter;
use crate::domain::replay::Replay;
use crate::domain::timestamp::Timestamp;
use crate::ports::deliveries::LetterClaim;
use crate::ports::{Error, Replays, Result};

/// The replays of a data directory.
pub struct SqliteReplays {
    database: Database,
    /// The last list from the beginning: a worker asks for it every other second, mostly in vain.
    listed: Mutex<Option<Listed>>,
}

/// A list, as long as the log stands as it did before.
struct Listed {
    log: Mark,
    limit: usize,
    replays: Vec<Replay>,
}

impl SqliteReplays {
    /// Of a database.
    pub fn new(database: Database) -> Self {
        Self { database, listed: Mutex::default() }
    }

    /// A panic elsewhere leaves it whole.
    fn listed(&self) -> MutexGuard<'_, Option<Listed>> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read_list(&self, after: Option<String>, limit: usize) -> Result<Vec<Replay>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let read = move |c: &Connection| {
            let sql = "SELECT record FROM replays WHERE ?1 IS NULL OR id < ?1
                       ORDER BY id DESC LIMIT ?2";
            let mut statement = c.prepare_cached(sql)?;
            let rows = statement.query_map(params![after, limit], |row| row.get(0))?;
            rows.collect::<rusqlite::Result<Vec<String>>>()
        };
        let records = self.database.read("replays.list", read).await?;
        records.iter().map(|record| parse(record)).collect()
    }
}

fn parse(record: &str) -> Result<Replay> {
    serde_json::from_str(record).map_err(|e| Error::new("replays.read", e))
}

#[async_trait]
impl Replays for SqliteReplays {
    async fn put(&self, replay: &Replay) -> Result<bool> {
        let json = serde_json::to_string(replay).map_err(|e| Error::new("replays.put", e))?;
        let (id, version) = (replay.id.clone(), replay.version);
        let write = move |c: &Connection| {
            let sql = "INSERT INTO replays SELECT ?1, ?2, ?3 WHERE ?2 = 1
                       OR EXISTS (SELECT 1 FROM replays WHERE id = ?1)
                       ON CONFLICT (id) DO UPDATE
                       SET version = excluded.version, record = excluded.record
                       WHERE replays.version = excluded.version - 1";
            c.prepare_cached(sql)?.execute(params![id, version, json])
        };
        Ok(self.database.write("replays.put", write).await? > 0)
    }

    async fn get(&self, id: &str) -> Result<Option<Replay>> {
        let id = id.to_owned();
        let read = move |c: &Connection| {
            let mut statement = c.prepare_cached("SELECT record FROM replays WHERE id = ?")?;
            statement.query_row([id], |row| row.get::<_, String>(0)).optional()
        };
        let record = self.database.read("replays.get", read).await?;
        record.as_deref().map(parse).transpose()
    }

    async fn list(&self, after: Option<&str>, limit: usize) -> Result<Vec<Replay>> {
        let Some(log) = self.database.log().mark().filter(|_| after.is_none()) else {
            return self.read_list(after.map(str::to_owned), limit).await;
        };
        if let Some(listed) = &*self.listed()
            && (listed.log, listed.limit) == (log, limit)
        {
            return Ok(listed.replays.clone());
        }
        let replays = self.read_list(None, limit).await?;
        *self.listed() = Some(Listed { log, limit, replays: replays.clone() });
        Ok(replays)
    }
}

/// Claims letters for a replay; returns the ids of those that are its own now.
pub async fn claim(
    database: &Database,
    letters: &[DeadLetter],
    claim: &LetterClaim,
    now: Timestamp,
) -> Result<Vec<String>> {
    let ids: Vec<(String, i64)> =
        letters.iter().map(|l| (l.id.clone(), l.dead_at.as_millis())).collect();
    let claim = claim.clone();
    let write = move |c: &Connection| {
        c.prepare_cached("DELETE FROM dead_letter_claims WHERE until <= ?")?
            .execute([now.as_millis()])?;
        let sql = "INSERT INTO dead_letter_claims
                   SELECT id, ?3, ?4 FROM dead_letters WHERE id = ?1 AND dead_at = ?2
                   ON CONFLICT (id) DO UPDATE SET until = excluded.until
                   WHERE replay_id = excluded.replay_id";
        let mut statement = c.prepare_cached(sql)?;
        let mut claimed = Vec::with_capacity(ids.len());
        for (id, dead_at) in ids {
            let row = params![id, dead_at, claim.replay_id, claim.until.as_millis()];
            if statement.execute(row)? > 0 {
                claimed.push(id);
            }
        }
        Ok(claimed)
    };
    database.write("deliveries.claim_dead_letters", write).await
}

/// Ends the claim on a letter that is another one now, or gone.
pub fn forget_claim(c: &Connection, id: &str) -> rusqlite::Result<()> {
    c.prepare_cached("DELETE FROM dead_letter_claims WHERE id = ?")?.execute([id]).map(drop)
}
