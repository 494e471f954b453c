//! Fences: the claim on an attempt is one conditional update.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::ReturnValue;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;
use serde::{Deserialize, Serialize};

use super::item::{Item, Reader, key, n, names, s, values};
use super::{Table, was_made};
use crate::adapters::aws::classify::failed;
use crate::domain::decide::Disposition;
use crate::domain::delivery::DeliveryKey;
use crate::domain::outcome::Attempt;
use crate::domain::timestamp::Timestamp;
use crate::ports::deliveries::{AttemptRecord, Claim, ClaimRequest, FENCES_KEPT};
use crate::ports::{Error, Result};

/// Claimed before, it must be an earlier attempt, or the same one whose claimer left no outcome in
/// time, or so old that it is only waiting to be removed.
const CLAIMABLE: &str = "attribute_not_exists(#attempt) OR #attempt < :attempt \
    OR (#attempt = :attempt AND attribute_not_exists(#record) AND #leaseUntil <= :now) \
    OR #ttl < :seconds";

const TAKE: &str = "SET #attempt = :attempt, #token = :token, #leaseUntil = :until, #ttl = :ttl \
    REMOVE #record";

/// In place of the token of a claim that was given back.
const ABANDONED: &str = "abandoned";

#[derive(Serialize, Deserialize)]
struct StoredRecord {
    attempt: Attempt,
    disposition: Disposition,
}

/// No customer's, endpoint's or message's id holds a `#`, so no two deliveries share a key.
fn at(fence: &DeliveryKey) -> Option<Item> {
    let DeliveryKey { customer_id, endpoint_id, job_id, message_id, round } = fence;
    let delivery = format!("delivery#{customer_id}#{endpoint_id}#{message_id}#{job_id}");
    key(("pk", delivery), ("sk", format!("fence#{round}")))
}

/// What the fence that gave way says: of the same attempt and without an outcome, its claimer was lost.
fn granted(before: &Item, attempt: u32) -> Result<Claim> {
    let before = Reader { operation: "deliveries.claim", item: before };
    let same = before.optional_number::<u32>("attempt")? == Some(attempt);
    let abandoned = before.optional_text("token")? == Some(ABANDONED);
    let after_lost_claimer = same && !abandoned && before.get("record").is_none();
    Ok(Claim::Granted { after_lost_claimer })
}

/// What the fence that stands in the way says.
fn refused(item: &Item, request: &ClaimRequest) -> Result<Claim> {
    let item = Reader { operation: "deliveries.claim", item };
    if item.number::<u32>("attempt")? > request.attempt {
        return Ok(Claim::Superseded);
    }
    if let Some(record) = item.optional_text("record")? {
        let stored: StoredRecord =
            serde_json::from_str(record).map_err(|e| Error::unreadable("deliveries.claim", e))?;
        let StoredRecord { attempt, disposition } = stored;
        return Ok(Claim::Settled(AttemptRecord { attempt, disposition }));
    }
    if item.text("token")? == request.token {
        // This very call, repeated: what was there before is not known any more, so the careful
        // answer is given.
        return Ok(Claim::Granted { after_lost_claimer: true });
    }
    Ok(Claim::Held(Timestamp::from_millis(item.number("leaseUntil")?)))
}

/// Claims an attempt.
pub(super) async fn claim(table: &Table, request: &ClaimRequest) -> Result<Claim> {
    let until = request.now.plus(request.lease);
    let sent = (table.client.update_item().table_name(&table.name))
        .set_key(at(&request.key))
        .update_expression(TAKE)
        .condition_expression(CLAIMABLE)
        .set_expression_attribute_names(names(&["attempt", "leaseUntil", "record", "token", "ttl"]))
        .set_expression_attribute_values(values([
            (":attempt", n(request.attempt)),
            (":now", n(request.now.as_millis())),
            (":seconds", n(request.now.as_secs())),
            (":token", s(&request.token)),
            (":ttl", n(until.plus(FENCES_KEPT).as_secs())),
            (":until", n(until.as_millis())),
        ]))
        .return_values(ReturnValue::AllOld)
        .return_values_on_condition_check_failure(AllOld)
        .send()
        .await;
    match sent {
        Ok(updated) => granted(&updated.attributes.unwrap_or_default(), request.attempt),
        Err(error) => match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failure)) => {
                refused(&failure.item.clone().unwrap_or_default(), request)
            }
            _ => Err(failed("deliveries.claim", &error)),
        },
    }
}

/// Records an outcome under a claim.
pub(super) async fn record(
    table: &Table,
    fence: &DeliveryKey,
    token: &str,
    record: &AttemptRecord,
) -> Result<bool> {
    let AttemptRecord { attempt, disposition } = record.clone();
    let json = serde_json::to_string(&StoredRecord { attempt, disposition })
        .map_err(|e| Error::new("deliveries.record", e))?;
    let sent = (table.client.update_item().table_name(&table.name))
        .set_key(at(fence))
        .update_expression("SET #record = :record")
        .condition_expression("#token = :token AND attribute_not_exists(#record)")
        .set_expression_attribute_names(names(&["record", "token"]))
        .set_expression_attribute_values(values([(":record", s(&json)), (":token", s(token))]))
        .return_values_on_condition_check_failure(AllOld)
        .send()
        .await;
    match sent {
        Ok(_) => Ok(true),
        Err(error) => match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failure)) => {
                let item = failure.item.clone().unwrap_or_default();
                let item = Reader { operation: "deliveries.record", item: &item };
                let (holder, found) = (item.optional_text("token")?, item.optional_text("record")?);
                Ok(holder == Some(token) && found == Some(json.as_str()))
            }
            _ => Err(failed("deliveries.record", &error)),
        },
    }
}

/// Gives a claim back.
pub(super) async fn abandon(table: &Table, fence: &DeliveryKey, token: &str) -> Result<()> {
    let sent = (table.client.update_item().table_name(&table.name))
        .set_key(at(fence))
        .update_expression("SET #token = :abandoned, #leaseUntil = :zero")
        .condition_expression("#token = :token AND attribute_not_exists(#record)")
        .set_expression_attribute_names(names(&["leaseUntil", "record", "token"]))
        .set_expression_attribute_values(values([
            (":abandoned", s(ABANDONED)),
            (":token", s(token)),
            (":zero", n(0)),
        ]))
        .send()
        .await;
    // If not, it is another claimer's by now, or this very call was repeated.
    was_made("deliveries.abandon", sent).map(drop)
}
