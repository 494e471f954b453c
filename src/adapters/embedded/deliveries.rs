//! Fences in SQLite, and what lies beside them in files of its own.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::database::Database;
use super::{dead_letters, fan_outs, replays};
use crate::domain::dead_letter::{DeadLetter, DeadLetterFilter};
use crate::domain::decide::Disposition;
use crate::domain::delivery::DeliveryKey;
use crate::domain::fan_out::FanOutKey;
use crate::domain::ids::EndpointId;
use crate::domain::outcome::Attempt;
use crate::domain::timestamp::Timestamp;
use crate::ports::deliveries::{AttemptRecord, Claim, ClaimRequest, LetterClaim, LetterPage};
use crate::ports::{Deliveries, Error, Result};

/// The deliveries of a data directory.
pub struct SqliteDeliveries(pub Database);

#[derive(Serialize, Deserialize)]
struct StoredRecord {
    attempt: Attempt,
    disposition: Disposition,
}

struct Fence {
    attempt: u32,
    lease_until: Timestamp,
    /// The claimer gave the claim back.
    abandoned: bool,
    record: Option<String>,
}

const KEY: &str = "customer_id = ?1 AND job_id = ?2 AND endpoint_id = ?3 AND round = ?4
     AND message_id = ?5";

fn fence(c: &Connection, key: &DeliveryKey) -> rusqlite::Result<Option<Fence>> {
    let sql =
        format!("SELECT attempt, lease_until, record, token = '' FROM message_fences WHERE {KEY}");
    let row = params![
        key.customer_id.as_str(),
        key.job_id.as_str(),
        key.endpoint_id.as_str(),
        key.round,
        key.message_id
    ];
    let read = |row: &rusqlite::Row<'_>| {
        let lease_until = Timestamp::from_millis(row.get(1)?);
        Ok(Fence { attempt: row.get(0)?, lease_until, record: row.get(2)?, abandoned: row.get(3)? })
    };
    c.prepare_cached(&sql)?.query_row(row, read).optional()
}

/// What was found, with the record still as text.
enum Found {
    Claim(Claim),
    Settled(String),
}

fn claim(c: &Connection, request: &ClaimRequest) -> rusqlite::Result<Found> {
    let mut after_lost_claimer = false;
    if let Some(fence) = fence(c, &request.key)? {
        if fence.attempt > request.attempt {
            return Ok(Found::Claim(Claim::Superseded));
        }
        if fence.attempt == request.attempt {
            if let Some(record) = fence.record {
                return Ok(Found::Settled(record));
            }
            if request.now < fence.lease_until {
                return Ok(Found::Claim(Claim::Held(fence.lease_until)));
            }
            after_lost_claimer = !fence.abandoned;
        }
    }
    let key = &request.key;
    c.prepare_cached(
        "INSERT OR REPLACE INTO message_fences VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, NULL)",
    )?
    .execute(params![
        key.customer_id.as_str(),
        key.job_id.as_str(),
        key.endpoint_id.as_str(),
        key.round,
        key.message_id,
        request.attempt,
        request.token,
        request.now.plus(request.lease).as_millis()
    ])?;
    Ok(Found::Claim(Claim::Granted { after_lost_claimer }))
}

impl SqliteDeliveries {
    /// Ends the leases of claims that have no outcome. For the process that has just taken the
    /// directory's lock: whoever made those claims is dead.
    pub async fn free_claims(&self, now: Timestamp) -> Result<()> {
        let write = move |c: &Connection| {
            let sql = "UPDATE message_fences SET lease_until = ?1 WHERE record IS NULL AND lease_until > ?1";
            c.prepare_cached(sql)?.execute([now.as_millis()])
        };
        self.0.write("deliveries.free_claims", write).await.map(drop)
    }
}

#[async_trait]
impl Deliveries for SqliteDeliveries {
    async fn claim(&self, request: ClaimRequest) -> Result<Claim> {
        let found = self.0.write("deliveries.claim", move |c| claim(c, &request)).await?;
        match found {
            Found::Claim(claim) => Ok(claim),
            Found::Settled(record) => {
                let stored: StoredRecord = serde_json::from_str(&record)
                    .map_err(|e| Error::unreadable("deliveries.claim", e))?;
                let StoredRecord { attempt, disposition } = stored;
                Ok(Claim::Settled(AttemptRecord { attempt, disposition }))
            }
        }
    }

    async fn record(&self, key: &DeliveryKey, token: &str, record: &AttemptRecord) -> Result<bool> {
        let stored =
            StoredRecord { attempt: record.attempt.clone(), disposition: record.disposition };
        let json =
            serde_json::to_string(&stored).map_err(|e| Error::new("deliveries.record", e))?;
        let (key, token) = (key.clone(), token.to_owned());
        let write = move |c: &Connection| {
            // The same again is no loss of the claim: whoever was told of a failure tries it once more.
            let sql = format!(
                "UPDATE message_fences SET record = ?6
                 WHERE {KEY} AND token = ?7 AND (record IS NULL OR record = ?6)"
            );
            let (customer, endpoint) = (key.customer_id.as_str(), key.endpoint_id.as_str());
            let (job, message) = (key.job_id.as_str(), &key.message_id);
            let row = params![customer, job, endpoint, key.round, message, json, token];
            c.prepare_cached(&sql)?.execute(row)
        };
        Ok(self.0.write("deliveries.record", write).await? > 0)
    }

    async fn abandon(&self, key: &DeliveryKey, token: &str) -> Result<()> {
        let (key, token) = (key.clone(), token.to_owned());
        let write = move |c: &Connection| {
            let sql = format!(
                "UPDATE message_fences SET token = '', lease_until = 0
                 WHERE {KEY} AND token = ?6 AND record IS NULL"
            );
            let row = params![
                key.customer_id.as_str(),
                key.job_id.as_str(),
                key.endpoint_id.as_str(),
                key.round,
                key.message_id,
                token
            ];
            c.prepare_cached(&sql)?.execute(row)
        };
        self.0.write("deliveries.abandon", write).await.map(drop)
    }

    async fn fan_out(&self, key: &FanOutKey, _now: Timestamp) -> Result<Option<Vec<EndpointId>>> {
        fan_outs::get(&self.0, key).await
    }

    async fn fix_fan_out(
        &self,
        key: &FanOutKey,
        endpoints: &[EndpointId],
        now: Timestamp,
    ) -> Result<Vec<EndpointId>> {
        fan_outs::fix(&self.0, key, endpoints, now).await
    }

    async fn forget_fences(&self, before: Timestamp) -> Result<u64> {
        let write = move |c: &Connection| {
            let fences = c
                .prepare_cached("DELETE FROM message_fences WHERE lease_until < ?")?
                .execute([before.as_millis()])?;
            Ok(fences + fan_outs::forget(c, before)?)
        };
        Ok(self.0.write("deliveries.forget_fences", write).await? as u64)
    }

    async fn put_dead_letter(&self, letter: &DeadLetter) -> Result<()> {
        dead_letters::put(&self.0, letter).await
    }

    async fn get_dead_letter(&self, id: &str) -> Result<Option<DeadLetter>> {
        dead_letters::get(&self.0, id).await
    }

    async fn scan_dead_letters(
        &self,
        filter: &DeadLetterFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<LetterPage> {
        dead_letters::scan(&self.0, filter, after, limit).await
    }

    async fn claim_dead_letters(
        &self,
        letters: &[DeadLetter],
        claim: &LetterClaim,
        now: Timestamp,
    ) -> Result<Vec<String>> {
        replays::claim(&self.0, letters, claim, now).await
    }

    async fn remove_dead_letters(&self, letters: &[DeadLetter]) -> Result<()> {
        dead_letters::remove(&self.0, letters).await
    }

    async fn put_dry_run(&self, id: &str, answer: &str, until: Timestamp) -> Result<()> {
        let (id, answer) = (id.to_owned(), answer.to_owned());
        let write =
            move |c: &Connection| {
                c.prepare_cached("INSERT OR REPLACE INTO dry_runs VALUES (?, ?, ?)")?
                    .execute(params![id, until.as_millis(), answer])
            };
        self.0.write("deliveries.put_dry_run", write).await.map(drop)
    }

    async fn take_dry_run(&self, id: &str, now: Timestamp) -> Result<Option<String>> {
        let id = id.to_owned();
        let write = move |c: &Connection| {
            c.prepare_cached("DELETE FROM dry_runs WHERE until <= ?")?
                .execute([now.as_millis()])?;
            c.prepare_cached("DELETE FROM dry_runs WHERE id = ? RETURNING answer")?
                .query_row([id], |row| row.get(0))
                .optional()
        };
        self.0.write("deliveries.take_dry_run", write).await
    }
}
