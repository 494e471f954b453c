//! The lists of endpoints that jobs fan out to: an item each, written once.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;

use super::Table;
use super::item::{Item, Reader, key, n, names, s, values};
use crate::adapters::aws::classify::failed;
use crate::domain::fan_out::FanOutKey;
use crate::domain::ids::EndpointId;
use crate::domain::timestamp::Timestamp;
use crate::ports::deliveries::FENCES_KEPT;
use crate::ports::{Error, Result};

/// No customer's or message's id holds a `#`, so no two parents share a key.
fn at(fan_out: &FanOutKey) -> Option<Item> {
    let FanOutKey { customer_id, job_id, message_id, round } = fan_out;
    let parent = format!("fan-out#{customer_id}#{message_id}#{job_id}");
    key(("pk", parent), ("sk", format!("fan-out#{round}")))
}

fn parse(operation: &'static str, item: &Item) -> Result<Vec<EndpointId>> {
    let text = Reader { operation, item }.text("endpoints")?;
    serde_json::from_str(text).map_err(|e| Error::unreadable(operation, e))
}

/// The list, if it was fixed and is not so old that it is only waiting to be removed.
pub(super) async fn get(
    table: &Table,
    fan_out: &FanOutKey,
    now: Timestamp,
) -> Result<Option<Vec<EndpointId>>> {
    let operation = "deliveries.fan_out";
    let get = table.client.get_item().table_name(&table.name).consistent_read(true);
    let got = get.set_key(at(fan_out)).send().await.map_err(|e| failed(operation, &e))?;
    let Some(item) = got.item else { return Ok(None) };
    let ttl: i64 = Reader { operation, item: &item }.number("ttl")?;
    if ttl < now.as_secs() {
        return Ok(None);
    }
    parse(operation, &item).map(Some)
}

/// Fixes the list, if that was not done before; returns the list that is fixed. The SDK may repeat
/// the call after its own success: it then finds what it wrote.
pub(super) async fn fix(
    table: &Table,
    fan_out: &FanOutKey,
    endpoints: &[EndpointId],
    now: Timestamp,
) -> Result<Vec<EndpointId>> {
    let operation = "deliveries.fix_fan_out";
    let json = serde_json::to_string(endpoints).map_err(|e| Error::new(operation, e))?;
    let sent = (table.client.put_item().table_name(&table.name))
        .set_item(at(fan_out))
        .item("endpoints", s(json))
        .item("ttl", n(now.plus(FENCES_KEPT).as_secs()))
        .condition_expression("attribute_not_exists(#endpoints) OR #ttl < :seconds")
        .set_expression_attribute_names(names(&["endpoints", "ttl"]))
        .set_expression_attribute_values(values([(":seconds", n(now.as_secs()))]))
        .return_values_on_condition_check_failure(AllOld)
        .send()
        .await;
    match sent {
        Ok(_) => Ok(endpoints.to_vec()),
        Err(error) => match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(failure)) => {
                parse(operation, &failure.item.clone().unwrap_or_default())
            }
            _ => Err(failed(operation, &error)),
        },
    }
}
