//! Deliveries, their attempts and their jobs in SQLite.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, ToSql, params};
use serde::de::DeserializeOwned;

use super::{database::Database, kept_bodies};
use crate::domain::dead_letter::read_position;
use crate::domain::delivery_record::{
    AttemptRow, DeliveryFilter, DeliveryRecord, DeliveryStatus, RecordedAttempt,
};
use crate::domain::ids::{EndpointId, JobId};
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

/// The query over the index that leaves the least to look at; each has its range and its order. Left to
/// itself, SQLite takes the customer's for an endpoint, and looks at all of the customer's.
fn sql(filter: &DeliveryFilter) -> String {
    let (index, of) = if filter.job_id.is_some() {
        ("job", "json_extract(record, '$.jobId') = :job")
    } else if filter.undelivered().is_some() {
        // The second half is word for word the index's own, without which it cannot be used.
        (
            "undelivered",
            "json_extract(record, '$.status') = :status \
             AND json_extract(record, '$.status') <> 'delivered'",
        )
    } else if filter.endpoint_id.is_some() {
        ("endpoint", "endpoint_id = :endpoint")
    } else {
        ("customer", "TRUE")
    };
    format!(
        "SELECT record FROM delivery_records INDEXED BY delivery_records_{index}
         WHERE customer_id = :customer AND {of}
         AND (accepted_at, id) < (:accepted_at, :id) AND accepted_at >= :since AND until > :now
         ORDER BY accepted_at DESC, id DESC LIMIT :count"
    )
}

fn headers(
    c: &Connection,
    filter: &DeliveryFilter,
    (accepted_at, id): &(i64, String),
    now: Timestamp,
    count: usize,
) -> rusqlite::Result<Vec<String>> {
    let mut statement = c.prepare_cached(&sql(filter))?;
    let (job, status) = (filter.job_id.as_ref(), filter.undelivered());
    let range: [(&str, &dyn ToSql); 9] = [
        (":customer", &filter.customer_id.as_str()),
        (":job", &job.map(JobId::as_str)),
        (":status", &status.map(DeliveryStatus::name)),
        (":endpoint", &filter.endpoint_id.as_ref().map(EndpointId::as_str)),
        (":accepted_at", accepted_at),
        (":id", id),
        (":since", &filter.since.map_or(0, Timestamp::as_millis)),
        (":now", &now.as_millis()),
        (":count", &i64::try_from(count).unwrap_or(i64::MAX)),
    ];
    // Each query names the parameters of its own index alone.
    for (name, value) in range {
        if let Some(index) = statement.parameter_index(name)? {
            statement.raw_bind_parameter(index, value)?;
        }
    }
    let (mut rows, mut found) = (statement.raw_query(), Vec::new());
    while let Some(row) = rows.next()? {
        found.push(row.get(0)?);
    }
    Ok(found)
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
            let (range, start) = (filter.clone(), place.clone());
            let read = move |c: &Connection| headers(c, &range, &start, now, PAGE);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::reason::Reason;

    #[tokio::test]
    async fn lists_of_deliveries_go_over_the_index_that_leaves_the_least_to_look_at() {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::open(&dir.path().join("t.db")).unwrap();
        let of = || DeliveryFilter::of("acme".parse().unwrap());
        let endpoint_id: Option<EndpointId> = Some("orders".parse().unwrap());
        let of_customer = "customer (customer_id=? AND accepted_at>? AND (accepted_at,id)<(?,?))";
        let of_endpoint = "endpoint (customer_id=? AND endpoint_id=? AND accepted_at>? AND";
        let undelivered = "undelivered (customer_id=? AND <expr>=? AND accepted_at>? AND";
        let retrying = Some(DeliveryStatus::Retrying);
        let cases = [
            (of(), of_customer),
            (DeliveryFilter { http_status: Some(503), ..of() }, of_customer),
            (DeliveryFilter { status: Some(DeliveryStatus::Delivered), ..of() }, of_customer),
            (DeliveryFilter { endpoint_id: endpoint_id.clone(), ..of() }, of_endpoint),
            (DeliveryFilter { status: retrying, ..of() }, undelivered),
            (
                DeliveryFilter { status: retrying, endpoint_id: endpoint_id.clone(), ..of() },
                undelivered,
            ),
            (DeliveryFilter { reason: Some(Reason::TooOld), ..of() }, undelivered),
            (
                DeliveryFilter { job_id: Some("j".parse().unwrap()), endpoint_id, ..of() },
                "job (customer_id=? AND <expr>=? AND accepted_at>? AND",
            ),
        ];
        for (filter, index) in cases {
            let plan = database.plan(&sql(&filter)).await;
            let expected = format!("SEARCH delivery_records USING INDEX delivery_records_{index}");
            assert!(plan.starts_with(&expected), "{filter:?}: {plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{filter:?}: {plan}");
        }
    }
}
