//! Deliveries and their attempts: a header and an item per attempt in one partition of the table
//! `deliveries`, the headers found by customer and time through an index that holds them whole.

use std::collections::HashMap;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use serde::de::DeserializeOwned;

use super::item::{Item, Reader, key, n, s};
use super::tables::DELIVERIES_BY_CUSTOMER as INDEX;
use super::{Table, kept_bodies, tables};
use crate::adapters::aws::classify::failed;
use crate::domain::dead_letter::position;
use crate::domain::delivery_record::{AttemptRow, DeliveryFilter, DeliveryRecord, RecordedAttempt};
use crate::domain::resend::ResendLine;
use crate::domain::timestamp::Timestamp;
use crate::ports::records::{MOST_LOOKED_AT, Page, SealedBody};
use crate::ports::{Error, Records, Result};

/// The sort key of a delivery's header.
pub(super) const HEADER: &str = "header";
/// What the partition of a delivery begins with.
pub(super) const PARTITION: &str = "recorded#";

/// The recorded deliveries of a table.
pub struct DynamoRecords(Table);

impl DynamoRecords {
    /// The records of the tables that begin with `prefix`.
    pub fn new(client: &Client, prefix: &str) -> Self {
        Self(Table::new(client, prefix, tables::DELIVERIES.name))
    }
}

fn partition(id: &str) -> String {
    format!("{PARTITION}{id}")
}

fn parse<T: DeserializeOwned>(operation: &'static str, item: &Item) -> Result<T> {
    let text = Reader { operation, item }.text("recorded")?;
    serde_json::from_str(text).map_err(|e| Error::new(operation, e))
}

pub(super) fn is_kept(operation: &'static str, item: &Item, now: Timestamp) -> Result<bool> {
    let until: i64 = Reader { operation, item }.number("ttl")?;
    Ok(now.as_secs() < until)
}

/// The items of a batch by their keys: one of a key, the last.
fn items(attempts: &[RecordedAttempt]) -> Result<HashMap<(String, String), Item>> {
    let failed = |e: serde_json::Error| Error::new("records.put", e);
    let mut items = HashMap::new();
    // The header of the last attempt stays.
    let mut attempts: Vec<&RecordedAttempt> = attempts.iter().collect();
    attempts.sort_by_key(|recorded| recorded.attempt.attempt.number);
    for RecordedAttempt { header, attempt, until } in attempts {
        let pk = partition(&header.id);
        let mut put = |sk: String, json: String, more: Item| {
            let mut item = key(("pk", &pk), ("sk", &sk)).unwrap_or_default();
            item.insert("recorded".to_owned(), s(json));
            item.insert("ttl".to_owned(), n(until.as_secs()));
            item.extend(more);
            items.insert((pk.clone(), sk), item);
        };
        let number = format!("attempt#{:05}", attempt.attempt.number);
        put(number, serde_json::to_string(attempt).map_err(failed)?, Item::new());
        let found_by = HashMap::from([
            (INDEX.key[0].to_owned(), s(&header.customer_id)),
            (INDEX.key[1].to_owned(), s(header.position())),
            ("endpointId".to_owned(), s(&header.endpoint_id)),
        ]);
        put(HEADER.to_owned(), serde_json::to_string(header).map_err(failed)?, found_by);
    }
    Ok(items)
}

#[async_trait]
impl Records for DynamoRecords {
    async fn put(&self, attempts: &[RecordedAttempt]) -> Result<()> {
        self.0.put_all("records.put", items(attempts)?.into_values().collect()).await
    }

    async fn list(
        &self,
        filter: &DeliveryFilter,
        after: Option<&str>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Page> {
        let operation = "records.list";
        let first = |at: Option<Timestamp>| at.map(|at| position(at, ""));
        // Both ends of BETWEEN are included; a `!` sorts behind what it is put to, and before all else
        // that begins so; a colon sorts behind every digit.
        let end = first(filter.until).unwrap_or_else(|| ":".to_owned());
        let end = after.map_or(end.clone(), |after| end.min(after.to_owned()));
        let start = first(filter.since).unwrap_or_else(|| "0".to_owned()).min(end.clone());
        let query = (self.0.client.query().table_name(&self.0.name).index_name(INDEX.name))
            .scan_index_forward(false)
            .key_condition_expression("#owner = :owner AND #order BETWEEN :start AND :end")
            .expression_attribute_names("#owner", INDEX.key[0])
            .expression_attribute_names("#order", INDEX.key[1])
            .expression_attribute_values(":owner", s(&filter.customer_id))
            .expression_attribute_values(":start", s(start))
            .expression_attribute_values(":end", s(end));
        let page_size = i32::try_from(MOST_LOOKED_AT.min(limit.saturating_mul(2))).unwrap_or(1);
        let mut found = query.into_paginator().page_size(page_size.max(1)).items().send();
        let (mut page, mut looked_at) = (Page::default(), 0);
        while let Some(item) = found.next().await {
            let item = item.map_err(|e| failed(operation, &e))?;
            let record: DeliveryRecord = parse(operation, &item)?;
            let place = record.position();
            if after == Some(place.as_str()) {
                continue;
            }
            looked_at += 1;
            if filter.matches(&record) && is_kept(operation, &item, now)? {
                page.records.push(record);
            }
            if page.records.len() >= limit || looked_at >= MOST_LOOKED_AT {
                page.next = Some(place);
                break;
            }
        }
        Ok(page)
    }

    async fn get(
        &self,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<(DeliveryRecord, Vec<AttemptRow>)>> {
        let operation = "records.get";
        let mut found = (self.0.client.query().table_name(&self.0.name).consistent_read(true))
            .key_condition_expression("#pk = :pk")
            .expression_attribute_names("#pk", "pk")
            .expression_attribute_values(":pk", s(partition(id)))
            .into_paginator()
            .items()
            .send();
        let (mut header, mut rows) = (None, Vec::new());
        while let Some(item) = found.next().await {
            let item = item.map_err(|e| failed(operation, &e))?;
            if !is_kept(operation, &item, now)? {
                continue;
            }
            let sk = Reader { operation, item: &item }.text("sk")?;
            if sk == HEADER {
                header = Some(parse(operation, &item)?);
            } else {
                rows.push(parse(operation, &item)?);
            }
        }
        Ok(header.map(|header| (header, rows)))
    }

    async fn header(&self, id: &str, now: Timestamp) -> Result<Option<DeliveryRecord>> {
        let operation = "records.header";
        let get = self.0.client.get_item().table_name(&self.0.name).consistent_read(true);
        let got = get.set_key(key(("pk", partition(id)), ("sk", HEADER))).send().await;
        let Some(item) = got.map_err(|e| failed(operation, &e))?.item else { return Ok(None) };
        if !is_kept(operation, &item, now)? {
            return Ok(None);
        }
        parse(operation, &item).map(Some)
    }

    async fn put_bodies(&self, bodies: &[SealedBody]) -> Result<()> {
        kept_bodies::put(&self.0, bodies).await
    }

    async fn body(&self, id: &str, now: Timestamp) -> Result<Option<Vec<u8>>> {
        kept_bodies::get(&self.0, id, now).await
    }

    async fn log_resend(&self, id: &str, line: &ResendLine, until: Timestamp) -> Result<()> {
        kept_bodies::log(&self.0, id, line, until).await
    }

    async fn resends(&self, id: &str, now: Timestamp) -> Result<Vec<ResendLine>> {
        kept_bodies::lines(&self.0, id, now).await
    }

    /// Does nothing: the table removes them by itself, through the attribute `ttl`.
    async fn forget(&self, _now: Timestamp) -> Result<u64> {
        Ok(0)
    }
}
