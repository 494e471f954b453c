//! The jobs of recorded deliveries, sealed, and who had them sent again: a partition of the table
//! `deliveries` for each delivery. An item has at most 400 KB ("Service, account, and table quotas",
//! Amazon DynamoDB Developer Guide), so a larger job lies in parts.

use super::Table;
use super::item::{Item, Reader, b, key, n, s};
use super::records::is_kept;
use crate::adapters::aws::classify::failed;
use crate::domain::resend::ResendLine;
use crate::domain::timestamp::Timestamp;
use crate::ports::records::SealedBody;
use crate::ports::{Error, Result};

/// Most bytes of a part: 25 of them fit a request, which takes 16 MB.
const PART: usize = 380_000;
const BODY: &str = "body#";
const RESEND: &str = "resend#";

pub(super) fn partition(id: &str) -> String {
    format!("kept#{id}")
}

/// The parts of a job. Each says how many there are, so that one that is missing is noticed.
fn parts(body: &SealedBody) -> impl Iterator<Item = Item> {
    let parts = body.sealed.chunks(PART);
    let count = parts.len();
    parts.enumerate().map(move |(at, part)| {
        let place = key(("pk", partition(&body.delivery_id)), ("sk", format!("{BODY}{at:02}")));
        let mut item = place.unwrap_or_default();
        item.insert("sealed".to_owned(), b(part));
        item.insert("parts".to_owned(), n(count));
        item.insert("ttl".to_owned(), n(body.until.as_secs()));
        item
    })
}

pub(super) async fn put(table: &Table, bodies: &[SealedBody]) -> Result<()> {
    // A delivery may end twice within a batch, and a request may name an item once.
    let mut last: Vec<&SealedBody> = Vec::with_capacity(bodies.len());
    for body in bodies {
        last.retain(|known| known.delivery_id != body.delivery_id);
        last.push(body);
    }
    table.put_all("records.put_bodies", last.into_iter().flat_map(parts).collect()).await
}

/// The items of a delivery whose sort key begins so, as far as they are kept still.
async fn items(
    operation: &'static str,
    table: &Table,
    (id, begin): (&str, &str),
    now: Timestamp,
) -> Result<Vec<Item>> {
    let mut found = (table.client.query().table_name(&table.name).consistent_read(true))
        .key_condition_expression("#pk = :pk AND begins_with(#sk, :begin)")
        .expression_attribute_names("#pk", "pk")
        .expression_attribute_names("#sk", "sk")
        .expression_attribute_values(":pk", s(partition(id)))
        .expression_attribute_values(":begin", s(begin))
        .into_paginator()
        .items()
        .send();
    let mut items = Vec::new();
    while let Some(item) = found.next().await {
        let item = item.map_err(|e| failed(operation, &e))?;
        if is_kept(operation, &item, now)? {
            items.push(item);
        }
    }
    Ok(items)
}

pub(super) async fn get(table: &Table, id: &str, now: Timestamp) -> Result<Option<Vec<u8>>> {
    let operation = "records.body";
    let parts = items(operation, table, (id, BODY), now).await?;
    let mut sealed = Vec::new();
    for item in &parts {
        let reader = Reader { operation, item };
        let of: usize = reader.number("parts")?;
        let part = reader.get("sealed").and_then(|part| part.as_b().ok());
        let part = part.ok_or_else(|| reader.unlike("sealed", "bytes"))?;
        if of != parts.len() {
            // It was not written whole, or is being removed.
            return Ok(None);
        }
        sealed.extend_from_slice(part.as_ref());
    }
    Ok(Some(sealed).filter(|sealed| !sealed.is_empty()))
}

pub(super) async fn log(
    table: &Table,
    id: &str,
    line: &ResendLine,
    until: Timestamp,
) -> Result<()> {
    let operation = "records.log_resend";
    let text = serde_json::to_string(line).map_err(|e| Error::new(operation, e))?;
    let place = format!("{RESEND}{:015}#{}", line.at.as_millis(), line.what.name());
    let sent = (table.client.put_item().table_name(&table.name))
        .set_item(key(("pk", partition(id)), ("sk", place)))
        .item("line", s(text))
        .item("ttl", n(until.as_secs()));
    sent.send().await.map(drop).map_err(|e| failed(operation, &e))
}

pub(super) async fn lines(table: &Table, id: &str, now: Timestamp) -> Result<Vec<ResendLine>> {
    let operation = "records.resends";
    let items = items(operation, table, (id, RESEND), now).await?;
    let line = |item: &Item| {
        let text = Reader { operation, item }.text("line")?;
        serde_json::from_str(text).map_err(|e| Error::new(operation, e))
    };
    items.iter().map(line).collect()
}
