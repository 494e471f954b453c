//! What is known of a message of a FIFO queue between two receipts.
//!
//! SQS cannot change a message, and a new one would be the last of its group. So the state that a
//! message of a standard queue carries lies here, beside the fences, from its first return on. A
//! message that nobody ever put back has no item.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::ReturnValue;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;
use bytes::Bytes;

use super::item::{Item, Reader, b, key, n, names, values};
use super::{Table, tables};
use crate::adapters::aws::{Failure, Kind};
use crate::domain::timestamp::Timestamp;
use crate::ports;
use crate::ports::deliveries::FENCES_KEPT;

/// The states of the messages of a FIFO queue.
#[derive(Debug, Clone)]
pub struct MessageStates(Table);

/// What is known of a message that is about to be handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// It may be handed out.
    Due {
        /// The state with which it was put back; `None` if it never was.
        state: Option<Bytes>,
        /// How often it has been handed out since it was put back, or at all, this time included. Of
        /// one that was never put back the first hand-out is not known here.
        handed_out: u32,
        /// Whether it was ever put back.
        put_back: bool,
    },
    /// It was put back until then.
    Early(Timestamp),
    /// A later receipt of it was handed out or put back.
    Stale,
}

/// SQS counts receipts: whoever holds an earlier one is late.
const LATEST: &str = "(attribute_not_exists(#receipt) OR #receipt <= :receipt)";

fn at(message: &str) -> Option<Item> {
    key(("pk", format!("message#{message}")), ("sk", "state"))
}

impl MessageStates {
    /// The states in the tables that begin with `prefix`.
    pub fn new(client: &Client, prefix: &str) -> Self {
        Self(Table::new(client, prefix, tables::DELIVERIES.name))
    }

    /// Notes that the `receipt`-th receipt of the message is handed out, unless it is too early. The SDK repeats a call whose
    /// answer was lost; then one hand-out too many is noted, which costs nothing but patience with a
    /// message that crashes its workers.
    pub async fn hand_out(
        &self,
        message: &str,
        receipt: u32,
        now: Timestamp,
    ) -> Result<Known, Failure> {
        let sent = (self.0.client.update_item().table_name(&self.0.name))
            .set_key(at(message))
            .update_expression("SET #ttl = :ttl, #receipt = :receipt ADD #handedOut :one")
            .condition_expression(format!(
                "{LATEST} AND (attribute_not_exists(#notBefore) OR #notBefore <= :now)"
            ))
            .set_expression_attribute_names(names(&["handedOut", "notBefore", "receipt", "ttl"]))
            .set_expression_attribute_values(values([
                (":now", n(now.as_millis())),
                (":one", n(1)),
                (":receipt", n(receipt)),
                (":ttl", n(now.plus(FENCES_KEPT).as_secs())),
            ]))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(AllOld)
            .send()
            .await;
        match sent {
            Ok(updated) => due(&updated.attributes.unwrap_or_default()).map_err(unlike),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failure)) => {
                    let item = failure.item.clone().unwrap_or_default();
                    refused(&item, now).map_err(unlike)
                }
                _ => Err(Failure::of(&error)),
            },
        }
    }

    /// Keeps the state of a message that is put back until `not_before` by whoever holds its
    /// `receipt`-th receipt; `false`, and nothing written, if a later one was handed out.
    pub async fn put_back(
        &self,
        message: &str,
        receipt: u32,
        state: Option<&Bytes>,
        not_before: Timestamp,
        now: Timestamp,
    ) -> Result<bool, Failure> {
        let mut put = self.0.client.put_item().table_name(&self.0.name).set_item(at(message));
        if let Some(state) = state {
            put = put.item("state", b(state));
        }
        let sent = put
            .item("notBefore", n(not_before.as_millis()))
            .item("receipt", n(receipt))
            .condition_expression(LATEST)
            .set_expression_attribute_names(names(&["receipt"]))
            .set_expression_attribute_values(values([(":receipt", n(receipt))]))
            .item("putBackAt", n(now.as_millis()))
            .item("ttl", n(not_before.max(now).plus(FENCES_KEPT).as_secs()))
            .send()
            .await;
        match sent {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(_)) => Ok(false),
                _ => Err(Failure::of(&error)),
            },
        }
    }
}

fn reader(item: &Item) -> Reader<'_> {
    Reader { operation: "queue.receive", item }
}

/// What the item that stands in the way says.
fn refused(item: &Item, now: Timestamp) -> ports::Result<Known> {
    let at = reader(item).optional_number("notBefore")?.map(Timestamp::from_millis);
    Ok(at.filter(|at| *at > now).map_or(Known::Stale, Known::Early))
}

fn due(item: &Item) -> ports::Result<Known> {
    let item = reader(item);
    let state = item.get("state").map(|value| {
        let bytes = value.as_b().map(|blob| Bytes::copy_from_slice(blob.as_ref()));
        bytes.map_err(|_| item.unlike("state", "bytes"))
    });
    Ok(Known::Due {
        state: state.transpose()?,
        handed_out: item.number("handedOut")?,
        put_back: item.get("putBackAt").is_some(),
    })
}

/// An item that nobody of ours wrote.
fn unlike(error: ports::Error) -> Failure {
    Failure { kind: Kind::Refused, code: None, request_id: None, message: error.to_string() }
}
