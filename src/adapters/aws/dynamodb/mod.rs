//! Endpoints, health, secrets, fences and dead letters in DynamoDB. `docs/AWS.md` has the key layout
//! and what each operation costs.
//!
//! Every read by key is consistent. A stale one would do harm: an endpoint's old version would find
//! the health of its past and give jobs up, a secret's old version would be sent after a rotation.
//! The workers' caches make these reads rare, so the half price of the other kind buys nothing. Only
//! lists of dead letters go over an index, which cannot be read so.
//!
//! The SDK repeats a call whose answer was lost. A conditional write that had succeeded then fails on
//! its own effect, so each one recognises its own write in the item that the failure returns.

mod control;
mod customers;
mod dead_letters;
mod deliveries;
mod dry_runs;
mod endpoints;
mod event_types;
mod fan_outs;
mod fences;
mod health;
mod item;
mod kept_bodies;
mod message_states;
mod rates;
mod records;
mod removals;
mod replace;
mod replays;
mod sealed;
mod secrets;
pub mod tables;
mod test_calls;

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::{UpdateItemError, UpdateItemOutput};
use aws_sdk_dynamodb::types::{PutRequest, WriteRequest};

use self::item::{Item, key, names, s, values};
use super::classify::failed;
use crate::domain::ids::{CustomerId, EndpointId};
use crate::ports::{Error, Result};

pub use control::DynamoControl;
pub use customers::DynamoCustomers;
pub use deliveries::DynamoDeliveries;
pub use endpoints::DynamoEndpoints;
pub use event_types::DynamoEventTypes;
pub use health::DynamoHealth;
pub use message_states::{Known, MessageStates};
pub use rates::DynamoRates;
pub use records::DynamoRecords;
pub use replays::DynamoReplays;
pub use secrets::DynamoSecrets;
pub use test_calls::DynamoTestCalls;

/// Most items that `BatchWriteItem` takes.
const BATCH: usize = 25;
/// Most times that what was not processed is sent again.
const TRIES: usize = 5;

/// One table.
#[derive(Debug, Clone)]
struct Table {
    client: Client,
    name: String,
}

impl Table {
    fn new(client: &Client, prefix: &str, name: &str) -> Self {
        Self { client: client.clone(), name: format!("{prefix}{name}") }
    }
}

/// The key of what is kept of an endpoint, in either of its tables.
fn endpoint_key(customer: &CustomerId, endpoint: &EndpointId) -> Option<Item> {
    key(("customerId", customer), ("endpointId", endpoint))
}

/// Whether a conditional update was made; its condition not holding is no failure.
fn was_made(
    operation: &'static str,
    sent: std::result::Result<UpdateItemOutput, SdkError<UpdateItemError, HttpResponse>>,
) -> Result<bool> {
    match sent {
        Ok(_) => Ok(true),
        Err(error) => match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(false),
            _ => Err(failed(operation, &error)),
        },
    }
}

impl Table {
    /// The items of a customer, by a query, or of all, by a scan: lists are for administrators.
    async fn items(
        &self,
        operation: &'static str,
        customer: Option<&CustomerId>,
    ) -> Result<Vec<Item>> {
        let mut items = Vec::new();
        match customer {
            Some(customer) => {
                let mut found = (self.client.query().table_name(&self.name).consistent_read(true))
                    .key_condition_expression("#customerId = :customerId")
                    .set_expression_attribute_names(names(&["customerId"]))
                    .set_expression_attribute_values(values([(":customerId", s(customer))]))
                    .into_paginator()
                    .items()
                    .send();
                while let Some(item) = found.next().await {
                    items.push(item.map_err(|e| failed(operation, &e))?);
                }
            }
            None => {
                let scan = self.client.scan().table_name(&self.name).consistent_read(true);
                let mut found = scan.into_paginator().items().send();
                while let Some(item) = found.next().await {
                    items.push(item.map_err(|e| failed(operation, &e))?);
                }
            }
        }
        Ok(items)
    }

    /// Puts items, none of them twice, in requests of as many as DynamoDB takes.
    async fn put_all(&self, operation: &'static str, items: Vec<Item>) -> Result<()> {
        let requests = items.into_iter().map(|item| {
            let put = PutRequest::builder().set_item(Some(item)).build();
            let put = put.map_err(|e| Error::new(operation, e))?;
            Ok(WriteRequest::builder().put_request(put).build())
        });
        for chunk in requests.collect::<Result<Vec<_>>>()?.chunks(BATCH) {
            self.write_batch(operation, chunk).await?;
        }
        Ok(())
    }

    async fn write_batch(&self, operation: &'static str, requests: &[WriteRequest]) -> Result<()> {
        let mut left = Some(HashMap::from([(self.name.clone(), requests.to_vec())]));
        for _ in 0..TRIES {
            let Some(items) = left.filter(|left| !left.is_empty()) else { return Ok(()) };
            let sent = self.client.batch_write_item().set_request_items(Some(items)).send().await;
            left = sent.map_err(|e| failed(operation, &e))?.unprocessed_items;
        }
        match left.filter(|left| !left.is_empty()) {
            None => Ok(()),
            Some(_) => Err(Error::new(operation, "throttled: not all was written")),
        }
    }
}
