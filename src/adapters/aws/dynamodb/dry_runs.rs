//! Answers to dry runs: an item each, for minutes. It holds a job's body, so whoever reads it removes
//! it; what nobody reads is removed by the table.

use aws_sdk_dynamodb::types::ReturnValue;

use super::Table;
use super::item::{Item, Reader, key, n, s};
use crate::adapters::aws::classify::failed;
use crate::domain::timestamp::Timestamp;
use crate::ports::Result;

fn at(id: &str) -> Option<Item> {
    key(("pk", format!("dry-run#{id}")), ("sk", "answer"))
}

/// Puts an answer.
pub(super) async fn put(table: &Table, id: &str, answer: &str, until: Timestamp) -> Result<()> {
    let sent = (table.client.put_item().table_name(&table.name))
        .set_item(at(id))
        .item("answer", s(answer))
        .item("until", n(until.as_millis()))
        .item("ttl", n(until.as_secs() + 1));
    sent.send().await.map(drop).map_err(|e| failed("deliveries.put_dry_run", &e))
}

/// Takes an answer out. The SDK repeats a call whose answer was lost, and then nothing is found: the
/// dry run is asked again.
pub(super) async fn take(table: &Table, id: &str, now: Timestamp) -> Result<Option<String>> {
    let operation = "deliveries.take_dry_run";
    let delete = table.client.delete_item().table_name(&table.name).set_key(at(id));
    let deleted = delete.return_values(ReturnValue::AllOld).send().await;
    let Some(item) = deleted.map_err(|e| failed(operation, &e))?.attributes else {
        return Ok(None);
    };
    let item = Reader { operation, item: &item };
    let until = Timestamp::from_millis(item.number("until")?);
    Ok((now < until).then_some(item.text("answer")?.to_owned()))
}
