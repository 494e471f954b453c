//! Deliveries, their attempts and their jobs in SQLite.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};
use serde::de::DeserializeOwned;

use super::{database::Database, kept_bodies};
use crate::domain::dead_letter::read_position;
use crate::domain::delivery_record::{AttemptRow, DeliveryFilter, DeliveryRecord, RecordedAttempt};
use crate::domain::resend::ResendLine;
use crate::domain::timestamp::Timestamp;
use crate::ports::records::{MOST_LOOKED_AT, Page, SealedBody};
use crate::ports::{Error, Records, Result};

/// Headers read at once.
const PAGE: usize = 200;
/// Most old deliveries removed in one write: others wait for it.
const SWEEP: i64 = 1_000;

/// The recorded deliveries of a data directory.
pub struct SqliteRecords(pub Database);

fn parse<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| Error::new("records.read", e))
}

fn put(
    c: &Connection,
    recorded: &RecordedAttempt,
    header: &str,
    row: &str,
) -> rusqlite::Result<()> {
    let RecordedAttempt { header: of, attempt, until } = recorded;
    let until = until.as_millis();
    // Records may come late: an older header never hides a newer one.
    c.prepare_cached(
        "INSERT INTO delivery_records VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (id) DO UPDATE SET attempts = excluded.attempts, until = excluded.until,
                                        record = excluded.record
         WHERE excluded.attempts >= delivery_records.attempts",
    )?
    .execute(params![
        of.id,
        of.customer_id.as_str(),
        of.endpoint_id.as_str(),
        of.accepted_at.as_millis(),
        of.attempts,
        until,
        header
    ])?;
    c.prepare_cached("INSERT OR REPLACE INTO attempt_records VALUES (?, ?, ?)")?
        .execute(params![of.id, attempt.attempt.number, row])?;
    Ok(())
}

fn headers(
    c: &Connection,
    filter: &DeliveryFilter,
    (at, id): (i64, String),
    now: Timestamp,
    limit: usize,
) -> rusqlite::Result<Vec<String>> {
    let range = "AND (accepted_at, id) < (?2, ?3) AND accepted_at >= ?4 AND until > ?5
                 ORDER BY accepted_at DESC, id DESC LIMIT ?6";
    let of = "SELECT record FROM delivery_records WHERE customer_id = ?1";
    let since = filter.since.map_or(0, Timestamp::as_millis);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let (customer, now) = (filter.customer_id.as_str(), now.as_millis());
    match &filter.endpoint_id {
        None => {
            let mut found = c.prepare_cached(&format!("{of} {range}"))?;
            let rows =
                found.query_map(params![customer, at, id, since, now, limit], |row| row.get(0))?;
            rows.collect()
        }
        Some(endpoint) => {
            let mut found = c.prepare_cached(&format!("{of} AND endpoint_id = ?7 {range}"))?;
            let range = params![customer, at, id, since, now, limit, endpoint.as_str()];
            let rows = found.query_map(range, |row| row.get(0))?;
            rows.collect()
        }
    }
}

#[async_trait]
impl Records for SqliteRecords {
    async fn put(&self, attempts: &[RecordedAttempt]) -> Result<()> {
        let failed = |e: serde_json::Error| Error::new("records.put", e);
        let mut rows = Vec::with_capacity(attempts.len());
        for recorded in attempts {
            let header = serde_json::to_string(&recorded.header).map_err(failed)?;
            let row = serde_json::to_string(&recorded.attempt).map_err(failed)?;
            rows.push((recorded.clone(), header, row));
        }
        let write = move |c: &Connection| {
            rows.iter().try_for_each(|(recorded, header, row)| put(c, recorded, header, row))
        };
        self.0.write("records.put", write).await
    }

    async fn list(
        &self,
        filter: &DeliveryFilter,
        after: Option<&str>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Page> {
        let end = (filter.until.map_or(i64::MAX, Timestamp::as_millis), String::new());
        let mut place = match after.and_then(read_position) {
            Some((at, id)) => end.min((at.as_millis(), id.to_owned())),
            None => end,
        };
        let (mut page, mut looked_at) = (Page::default(), 0);
        loop {
            let (filter, start) = (filter.clone(), place.clone());
            let read = {
                let filter = filter.clone();
                move |c: &Connection| headers(c, &filter, start, now, PAGE)
            };
            let found = self.0.read("records.list", read).await?;
            for text in &found {
                let record: DeliveryRecord = parse(text)?;
                place = (record.accepted_at.as_millis(), record.id.clone());
                looked_at += 1;
                let next = record.position();
                if filter.matches(&record) {
                    page.records.push(record);
                }
                if page.records.len() >= limit || looked_at >= MOST_LOOKED_AT {
                    page.next = Some(next);
                    return Ok(page);
                }
            }
            if found.len() < PAGE {
                return Ok(page);
            }
        }
    }

    async fn get(
        &self,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<(DeliveryRecord, Vec<AttemptRow>)>> {
        let id = id.to_owned();
        let read = move |c: &Connection| {
            let sql = "SELECT record FROM delivery_records WHERE id = ? AND until > ?";
            let mut header = c.prepare_cached(sql)?;
            let header: Option<String> =
                header.query_row(params![id, now.as_millis()], |row| row.get(0)).optional()?;
            let sql = "SELECT record FROM attempt_records WHERE delivery_id = ? ORDER BY number";
            let mut rows = c.prepare_cached(sql)?;
            let rows = rows.query_map([id], |row| row.get(0))?;
            Ok((header, rows.collect::<rusqlite::Result<Vec<String>>>()?))
        };
        let (header, rows) = self.0.read("records.get", read).await?;
        let Some(header) = header else { return Ok(None) };
        let rows = rows.iter().map(|row| parse(row)).collect::<Result<_>>()?;
        Ok(Some((parse(&header)?, rows)))
    }

    async fn header(&self, id: &str, now: Timestamp) -> Result<Option<DeliveryRecord>> {
        let id = id.to_owned();
        let read = move |c: &Connection| {
            let sql = "SELECT record FROM delivery_records WHERE id = ? AND until > ?";
            let mut header = c.prepare_cached(sql)?;
            header.query_row(params![id, now.as_millis()], |row| row.get::<_, String>(0)).optional()
        };
        self.0.read("records.header", read).await?.map(|text| parse(&text)).transpose()
    }

    async fn put_bodies(&self, bodies: &[SealedBody]) -> Result<()> {
        kept_bodies::put(&self.0, bodies.to_vec()).await
    }

    async fn body(&self, id: &str, now: Timestamp) -> Result<Option<Vec<u8>>> {
        kept_bodies::get(&self.0, id.to_owned(), now).await
    }

    async fn log_resend(&self, id: &str, line: &ResendLine, until: Timestamp) -> Result<()> {
        kept_bodies::log(&self.0, id.to_owned(), line, until).await
    }

    async fn resends(&self, id: &str, now: Timestamp) -> Result<Vec<ResendLine>> {
        let lines = kept_bodies::lines(&self.0, id.to_owned(), now).await?;
        lines.iter().map(|line| parse(line)).collect()
    }

    async fn forget(&self, now: Timestamp) -> Result<u64> {
        kept_bodies::forget(&self.0, now).await?;
        let mut forgotten = 0;
        loop {
            let write = move |c: &Connection| {
                let old =
                    "SELECT id FROM delivery_records WHERE until <= ?1 ORDER BY until LIMIT ?2";
                let range = params![now.as_millis(), SWEEP];
                let sql = format!("DELETE FROM attempt_records WHERE delivery_id IN ({old})");
                c.prepare_cached(&sql)?.execute(range)?;
                let sql = format!("DELETE FROM delivery_records WHERE id IN ({old})");
                c.prepare_cached(&sql)?.execute(range)
            };
            let removed = self.0.write("records.forget", write).await?;
            forgotten += removed as u64;
            if i64::try_from(removed).unwrap_or(0) < SWEEP {
                return Ok(forgotten);
            }
        }
    }
}
