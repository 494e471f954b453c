//! The index of dead letters: an item each, found by age through two small indexes.
//!
//! The indexes hold keys and what is filtered on; the letters themselves are then read from the
//! table, consistently. So a list never shows a letter that was removed, and may miss for a moment
//! one that was just put.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::query::QueryError;
use aws_sdk_dynamodb::types::KeysAndAttributes;
use tokio::task::JoinSet;

use super::item::{Item, Reader, key, n, names, s, values};
use super::tables::{DEAD_LETTERS, DEAD_LETTERS_BY_CUSTOMER, Index};
use super::{Table, was_made};
use crate::adapters::aws::classify::failed;
use crate::domain::dead_letter::{DeadLetter, DeadLetterFilter, position, read_position};
use crate::domain::timestamp::Timestamp;
use crate::ports::deliveries::LetterClaim;
use crate::ports::{Error, Result};

/// Shards of the index by age. A partition takes about 1,000 writes a second.
const SHARDS: u8 = 4;
/// Most keys that `BatchGetItem` takes.
const BATCH: usize = 100;
/// Claims, or removals, under way at once.
const AT_ONCE: usize = 16;

const SORT: &str = "dead-letter";

fn partition(id: &str) -> String {
    format!("dead-letter#{id}")
}

fn at(id: &str) -> Option<Item> {
    key(("pk", partition(id)), ("sk", SORT))
}

/// Which shard a letter is in. Ids end in hexadecimal digits of a hash.
fn shard(id: &str) -> u8 {
    id.bytes().fold(0u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte)) % SHARDS
}

fn parse(operation: &'static str, item: &Item) -> Result<DeadLetter> {
    let text = Reader { operation, item }.text("letter")?;
    serde_json::from_str(text).map_err(|e| Error::unreadable(operation, e))
}

/// Puts a letter, over one of the same id.
pub(super) async fn put(table: &Table, letter: &DeadLetter) -> Result<()> {
    let json =
        serde_json::to_string(letter).map_err(|e| Error::new("deliveries.dead_letter", e))?;
    let sent = (table.client.put_item().table_name(&table.name))
        .set_item(at(&letter.id))
        .item("letter", s(json))
        .item("deadShard", s(shard(&letter.id)))
        .item("deadOrder", s(letter.position()))
        .item("reason", s(letter.reason));
    let sent = match &letter.customer_id {
        Some(customer) => sent.item("customerId", s(customer)),
        None => sent,
    };
    let sent = match &letter.endpoint_id {
        Some(endpoint) => sent.item("endpointId", s(endpoint)),
        None => sent,
    };
    sent.send().await.map(drop).map_err(|e| failed("deliveries.dead_letter", &e))
}

/// One letter.
pub(super) async fn get(table: &Table, id: &str) -> Result<Option<DeadLetter>> {
    let get = table.client.get_item().table_name(&table.name).consistent_read(true);
    let got = get.set_key(at(id)).send().await;
    let item = got.map_err(|e| failed("deliveries.get_dead_letter", &e))?.item;
    item.map(|item| parse("deliveries.get_dead_letter", &item)).transpose()
}

/// Letters, oldest first.
pub(super) async fn list(
    table: &Table,
    filter: &DeadLetterFilter,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<DeadLetter>> {
    let start = match after {
        None => String::new(),
        Some(place) if read_position(place).is_some() => place.to_owned(),
        Some(id) => match get(table, id).await? {
            Some(letter) => letter.position(),
            None => return Ok(Vec::new()),
        },
    };
    let mut entries = Entries::open(table, filter, &start).await?;
    let mut letters = Vec::new();
    while letters.len() < limit {
        let page = entries.take(BATCH.min(limit - letters.len())).await?;
        if page.is_empty() {
            break;
        }
        let read = read(table, &page).await?;
        // The letter may have been put again since the index saw it.
        let mut read: BTreeMap<String, DeadLetter> = read
            .into_iter()
            .map(|letter| (letter.position(), letter))
            .filter(|(_, letter)| filter.matches(letter))
            .collect();
        letters.extend(page.iter().filter_map(|entry| read.remove(&entry.order)));
    }
    Ok(letters)
}

/// Claims letters for a replay, as they were read.
pub(super) async fn claim(
    table: &Table,
    letters: &[DeadLetter],
    claim: &LetterClaim,
    now: Timestamp,
) -> Result<Vec<String>> {
    let mut claimed = Vec::with_capacity(letters.len());
    for chunk in letters.chunks(AT_ONCE) {
        let mut claims = JoinSet::new();
        for letter in chunk {
            let (table, id, order) = (table.clone(), letter.id.clone(), letter.position());
            let claim = claim.clone();
            claims.spawn(async move {
                let is_own = claim_one(&table, &id, &order, &claim, now).await?;
                Ok::<_, Error>(is_own.then_some(id))
            });
        }
        while let Some(done) = claims.join_next().await {
            claimed.extend(done.map_err(|e| Error::new("deliveries.claim_dead_letters", e))??);
        }
    }
    Ok(claimed)
}

async fn claim_one(
    table: &Table,
    id: &str,
    order: &str,
    claim: &LetterClaim,
    now: Timestamp,
) -> Result<bool> {
    let sent = (table.client.update_item().table_name(&table.name))
        .set_key(at(id))
        .update_expression("SET #replayId = :replay, #replayUntil = :until")
        .condition_expression(
            "#deadOrder = :order AND (attribute_not_exists(#replayId) OR #replayId = :replay \
             OR #replayUntil <= :now)",
        )
        .set_expression_attribute_names(names(&["deadOrder", "replayId", "replayUntil"]))
        .set_expression_attribute_values(values([
            (":order", s(order)),
            (":replay", s(&claim.replay_id)),
            (":until", n(claim.until.as_millis())),
            (":now", n(now.as_millis())),
        ]))
        .send()
        .await;
    was_made("deliveries.claim_dead_letters", sent)
}

/// Removes letters as they were read.
pub(super) async fn remove(table: &Table, letters: &[DeadLetter]) -> Result<()> {
    for chunk in letters.chunks(AT_ONCE) {
        let mut removals = JoinSet::new();
        for letter in chunk {
            let (table, id, order) = (table.clone(), letter.id.clone(), letter.position());
            removals.spawn(async move { remove_one(&table, &id, &order).await });
        }
        while let Some(removed) = removals.join_next().await {
            removed.map_err(|e| Error::new("deliveries.remove_dead_letters", e))??;
        }
    }
    Ok(())
}

async fn remove_one(table: &Table, id: &str, order: &str) -> Result<()> {
    let sent = (table.client.delete_item().table_name(&table.name))
        .set_key(at(id))
        .condition_expression("#deadOrder = :order")
        .set_expression_attribute_names(names(&["deadOrder"]))
        .set_expression_attribute_values(values([(":order", s(order))]))
        .send()
        .await;
    match sent {
        Ok(_) => Ok(()),
        Err(error) => match error.as_service_error() {
            Some(DeleteItemError::ConditionalCheckFailedException(_)) => Ok(()),
            _ => Err(failed("deliveries.remove_dead_letters", &error)),
        },
    }
}

/// The letters of a page, from the table, in no order.
async fn read(table: &Table, page: &[Entry]) -> Result<Vec<DeadLetter>> {
    let mut wanted = KeysAndAttributes::builder().consistent_read(true);
    for entry in page {
        wanted = wanted.keys(HashMap::from([
            ("pk".to_owned(), s(&entry.partition)),
            ("sk".to_owned(), s(SORT)),
        ]));
    }
    let wanted = wanted.build().map_err(|e| Error::new("deliveries.list", e))?;
    let mut wanted = Some(HashMap::from([(table.name.clone(), wanted)]));
    let mut letters = Vec::with_capacity(page.len());
    while let Some(keys) = wanted.filter(|keys| !keys.is_empty()) {
        let got = table.client.batch_get_item().set_request_items(Some(keys)).send().await;
        let got = got.map_err(|e| failed("deliveries.list", &e))?;
        let items: Vec<Item> = got.responses.into_iter().flatten().flat_map(|(_, i)| i).collect();
        if items.is_empty() && got.unprocessed_keys.as_ref().is_some_and(|keys| !keys.is_empty()) {
            return Err(Error::new("deliveries.list", "throttled: no key was processed"));
        }
        for item in &items {
            letters.push(parse("deliveries.list", item)?);
        }
        wanted = got.unprocessed_keys;
    }
    Ok(letters)
}

/// A letter as an index has it.
struct Entry {
    order: String,
    partition: String,
}

/// One partition of an index, read in order.
struct Run {
    items: Stream,
    head: Option<Entry>,
}

type Stream = aws_smithy_async::future::pagination_stream::PaginationStream<
    std::result::Result<Item, aws_sdk_dynamodb::error::SdkError<QueryError>>,
>;

/// The entries of one customer, or of all shards merged.
struct Entries(Vec<Run>);

impl Entries {
    async fn open(table: &Table, filter: &DeadLetterFilter, start: &str) -> Result<Self> {
        let partitions: Vec<(&Index, String)> = match &filter.customer_id {
            Some(customer) => vec![(&DEAD_LETTERS_BY_CUSTOMER, customer.to_string())],
            None => (0..SHARDS).map(|shard| (&DEAD_LETTERS, shard.to_string())).collect(),
        };
        let mut runs = Vec::with_capacity(partitions.len());
        for (index, partition) in partitions {
            let mut run = Run { items: query(table, index, &partition, filter, start), head: None };
            run.advance().await?;
            runs.push(run);
        }
        Ok(Self(runs))
    }

    /// The next entries, at most `count`.
    async fn take(&mut self, count: usize) -> Result<Vec<Entry>> {
        let mut taken = Vec::with_capacity(count);
        while taken.len() < count {
            let waiting = self.0.iter_mut().filter(|run| run.head.is_some());
            let order = |run: &&mut Run| run.head.as_ref().map(|entry| entry.order.clone());
            let Some(first) = waiting.min_by_key(order) else { break };
            taken.extend(first.head.take());
            first.advance().await?;
        }
        Ok(taken)
    }
}

impl Run {
    async fn advance(&mut self) -> Result<()> {
        let Some(item) = self.items.next().await else { return Ok(()) };
        let item = item.map_err(|e| failed("deliveries.list", &e))?;
        let item = Reader { operation: "deliveries.list", item: &item };
        let (order, partition) = (item.text("deadOrder")?, item.text("pk")?);
        self.head = Some(Entry { order: order.to_owned(), partition: partition.to_owned() });
        Ok(())
    }
}

fn query(
    table: &Table,
    index: &Index,
    partition: &str,
    filter: &DeadLetterFilter,
    start: &str,
) -> Stream {
    // Both ends of BETWEEN are included. Nothing sorts between a place and the same with a space
    // behind it; and the first place of a time comes before every letter of that time.
    let first = |at: Option<Timestamp>| at.map(|at| position(at, ""));
    let start = match start {
        "" => first(filter.since).unwrap_or_else(|| "0".to_owned()),
        after => first(filter.since).unwrap_or_default().max(format!("{after} ")),
    };
    // A colon sorts behind every digit.
    let end = first(filter.until).unwrap_or_else(|| ":".to_owned()).max(start.clone());
    let [partition_key, sort_key] = index.key;
    let mut query = (table.client.query().table_name(&table.name).index_name(index.name))
        .key_condition_expression("#partition = :partition AND #order BETWEEN :start AND :end")
        .expression_attribute_names("#partition", partition_key)
        .expression_attribute_names("#order", sort_key)
        .expression_attribute_values(":partition", s(partition))
        .expression_attribute_values(":start", s(start))
        .expression_attribute_values(":end", s(end));
    let mut wanted = Vec::new();
    if let Some(endpoint) = &filter.endpoint_id {
        wanted.push("#endpointId = :endpointId");
        query = query
            .expression_attribute_names("#endpointId", "endpointId")
            .expression_attribute_values(":endpointId", s(endpoint));
    }
    if let Some(reason) = filter.reason {
        wanted.push("#reason = :reason");
        query = query
            .expression_attribute_names("#reason", "reason")
            .expression_attribute_values(":reason", s(reason));
    }
    if !wanted.is_empty() {
        query = query.filter_expression(wanted.join(" AND "));
    }
    query.into_paginator().items().send()
}
