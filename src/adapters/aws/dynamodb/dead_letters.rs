//! The index of dead letters: an item each, found by age through two small indexes.
//!
//! The indexes hold keys and what is filtered on; the letters themselves are then read from the
//! table, consistently. So a list never shows a letter that was removed, and may miss for a moment
//! one that was just put.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::query::QueryError;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::KeysAndAttributes;
use tokio::task::JoinSet;

use super::item::{Item, Reader, key, n, names, s, values};
use super::tables::{DEAD_LETTERS, DEAD_LETTERS_BY_CUSTOMER, Index};
use super::{Table, was_made};
use crate::adapters::aws::classify::failed;
use crate::domain::dead_letter::{DeadLetter, DeadLetterFilter, position, read_position};
use crate::domain::timestamp::Timestamp;
use crate::ports::deliveries::{LetterClaim, LetterPage, MOST_LETTERS_LOOKED_AT};
use crate::ports::{Error, Result};

/// Shards of the index by age. A partition takes about 1,000 writes a second.
const SHARDS: u8 = 4;
/// Most keys that `BatchGetItem` takes.
const BATCH: usize = 100;
/// Fewest entries of an index that are read at once.
const LEAST_AHEAD: usize = 25;
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
pub(super) async fn scan(
    table: &Table,
    filter: &DeadLetterFilter,
    after: Option<&str>,
    limit: usize,
) -> Result<LetterPage> {
    let start = match after {
        None => String::new(),
        Some(place) if read_position(place).is_some() => place.to_owned(),
        Some(id) => match get(table, id).await? {
            Some(letter) => letter.position(),
            None => return Ok(LetterPage::default()),
        },
    };
    let mut entries = Entries::open(table, filter, &start, limit).await?;
    let mut page = LetterPage::default();
    loop {
        let missing = limit - page.letters.len();
        // Of what only the letters themselves tell, many are read to find one.
        let count = if filter.looks_inside() { BATCH } else { BATCH.min(missing) };
        let found = entries.take(filter, count).await?;
        // The letter may have been put again since the index saw it.
        let mut read: BTreeMap<String, DeadLetter> = read(table, &found)
            .await?
            .into_iter()
            .map(|letter| (letter.position(), letter))
            .filter(|(_, letter)| filter.matches(letter))
            .collect();
        page.letters
            .extend(found.iter().filter_map(|entry| read.remove(&entry.order)).take(missing));
        if page.letters.len() >= limit {
            page.next = page.letters.last().map(DeadLetter::position);
            return Ok(page);
        }
        if entries.looked_at >= MOST_LETTERS_LOOKED_AT {
            page.next = entries.place;
            return Ok(page);
        }
        if found.len() < count {
            return Ok(page);
        }
    }
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
    if page.is_empty() {
        return Ok(Vec::new());
    }
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
    endpoint: Option<String>,
    reason: Option<String>,
}

impl Entry {
    fn of(item: Reader<'_>) -> Result<Self> {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Ok(Self {
            order: item.text("deadOrder")?.to_owned(),
            partition: item.text("pk")?.to_owned(),
            endpoint: owned(item.optional_text("endpointId")?),
            reason: owned(item.optional_text("reason")?),
        })
    }

    /// Whether the letter may be meant, by what the index has of it. A service that looks for us reads
    /// as much, and does not say where it has come to.
    fn may_match(&self, filter: &DeadLetterFilter) -> bool {
        let endpoint = filter.endpoint_id.as_ref().map(|id| id.as_str());
        let reason = filter.reason.map(|reason| reason.code());
        endpoint.is_none_or(|wanted| self.endpoint.as_deref() == Some(wanted))
            && reason.is_none_or(|wanted| self.reason.as_deref() == Some(wanted))
    }
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
struct Entries {
    runs: Vec<Run>,
    /// How many were looked at, and the place of the last of them.
    looked_at: usize,
    place: Option<String>,
}

impl Entries {
    async fn open(
        table: &Table,
        filter: &DeadLetterFilter,
        start: &str,
        limit: usize,
    ) -> Result<Self> {
        let partitions: Vec<(&Index, String)> = match &filter.customer_id {
            Some(customer) => vec![(&DEAD_LETTERS_BY_CUSTOMER, customer.to_string())],
            None => (0..SHARDS).map(|shard| (&DEAD_LETTERS, shard.to_string())).collect(),
        };
        // What is read ahead is paid for; letters lie evenly among shards.
        let ahead = limit.min(MOST_LETTERS_LOOKED_AT).div_ceil(partitions.len()).max(LEAST_AHEAD);
        let page_size = i32::try_from(ahead).unwrap_or(i32::MAX);
        let mut runs = Vec::with_capacity(partitions.len());
        for (index, partition) in partitions {
            let query = query(table, index, &partition, filter, start);
            let items = query.into_paginator().page_size(page_size).items().send();
            let mut run = Run { items, head: None };
            run.advance().await?;
            runs.push(run);
        }
        Ok(Self { runs, looked_at: 0, place: None })
    }

    /// The next entries that may match, at most `count`; less at the end, or when enough were looked at.
    async fn take(&mut self, filter: &DeadLetterFilter, count: usize) -> Result<Vec<Entry>> {
        let mut taken = Vec::with_capacity(count);
        while taken.len() < count && self.looked_at < MOST_LETTERS_LOOKED_AT {
            let waiting = self.runs.iter_mut().filter(|run| run.head.is_some());
            let order = |run: &&mut Run| run.head.as_ref().map(|entry| entry.order.clone());
            let Some(first) = waiting.min_by_key(order) else { break };
            let Some(entry) = first.head.take() else { break };
            first.advance().await?;
            self.looked_at += 1;
            self.place = Some(entry.order.clone());
            if entry.may_match(filter) {
                taken.push(entry);
            }
        }
        Ok(taken)
    }
}

impl Run {
    async fn advance(&mut self) -> Result<()> {
        let Some(item) = self.items.next().await else { return Ok(()) };
        let item = item.map_err(|e| failed("deliveries.list", &e))?;
        self.head = Some(Entry::of(Reader { operation: "deliveries.list", item: &item })?);
        Ok(())
    }
}

fn query(
    table: &Table,
    index: &Index,
    partition: &str,
    filter: &DeadLetterFilter,
    start: &str,
) -> QueryFluentBuilder {
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
    (table.client.query().table_name(&table.name).index_name(index.name))
        .key_condition_expression("#partition = :partition AND #order BETWEEN :start AND :end")
        .expression_attribute_names("#partition", partition_key)
        .expression_attribute_names("#order", sort_key)
        .expression_attribute_values(":partition", s(partition))
        .expression_attribute_values(":start", s(start))
        .expression_attribute_values(":end", s(end))
}
