//! Endpoints in DynamoDB: one item each; a deleted one leaves its version behind.

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::ReturnValue;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;

use super::item::{Item, Reader, n, names, s, values};
use super::{Table, endpoint_key, tables, was_made};
use crate::adapters::aws::classify::failed;
use crate::adapters::system::SystemChance;
use crate::domain::endpoint::Endpoint;
use crate::domain::ids::{CustomerId, EndpointId};
use crate::domain::timestamp::Timestamp;
use crate::ports::endpoints::{PutResult, StoredEndpoint};
use crate::ports::{Chance, Endpoints, Error, ReadEndpoints, Result};

/// The endpoints of a table.
pub struct DynamoEndpoints(Table);

impl DynamoEndpoints {
    /// The endpoints of the tables that begin with `prefix`.
    pub fn new(client: &Client, prefix: &str) -> Self {
        Self(Table::new(client, prefix, tables::ENDPOINTS.name))
    }
}

/// The endpoint of an item; `None` if it was deleted.
fn stored(operation: &'static str, item: &Item) -> Result<Option<StoredEndpoint>> {
    let item = Reader { operation, item };
    let Some(config) = item.optional_text("config")? else { return Ok(None) };
    let endpoint = serde_json::from_str(config).map_err(|e| Error::unreadable(operation, e))?;
    let (version, updated_at) = (item.number("version")?, item.parsed("updatedAt")?);
    Ok(Some(StoredEndpoint { version, updated_at, endpoint }))
}

/// What the item that stands in the way says: `writer` is ours if the call was repeated.
fn conflict(item: &Item, writer: &str) -> Result<PutResult> {
    let item = Reader { operation: "endpoints.put", item };
    let version = item.optional_number("version")?.unwrap_or(0);
    if item.optional_text("writer")? == Some(writer) {
        return Ok(PutResult::Put(version));
    }
    Ok(PutResult::Conflict(if item.get("config").is_some() { version } else { 0 }))
}

#[async_trait]
impl ReadEndpoints for DynamoEndpoints {
    async fn get(
        &self,
        customer: &CustomerId,
        endpoint: &EndpointId,
    ) -> Result<Option<StoredEndpoint>> {
        let get = self.0.client.get_item().table_name(&self.0.name).consistent_read(true);
        let got = get.set_key(endpoint_key(customer, endpoint)).send().await;
        let item = got.map_err(|e| failed("endpoints.get", &e))?.item;
        item.map_or(Ok(None), |item| stored("endpoints.get", &item))
    }

    async fn list(&self, customer: Option<&CustomerId>) -> Result<Vec<StoredEndpoint>> {
        let items = self.0.items("endpoints.list", customer).await?;
        let found: Result<Vec<_>> =
            items.iter().map(|item| stored("endpoints.list", item)).collect();
        let mut found: Vec<StoredEndpoint> = found?.into_iter().flatten().collect();
        found.sort_by(|a, b| {
            let key = |stored: &StoredEndpoint| {
                (stored.endpoint.customer_id.clone(), stored.endpoint.endpoint_id.clone())
            };
            key(a).cmp(&key(b))
        });
        Ok(found)
    }
}

#[async_trait]
impl Endpoints for DynamoEndpoints {
    async fn put(
        &self,
        endpoint: Endpoint,
        expected: Option<u64>,
        now: Timestamp,
    ) -> Result<PutResult> {
        let config =
            serde_json::to_string(&endpoint).map_err(|e| Error::new("endpoints.put", e))?;
        let writer = SystemChance.token();
        let condition = match expected {
            None => None,
            Some(0) => Some("attribute_not_exists(#config)"),
            Some(_) => Some("attribute_exists(#config) AND #version = :expected"),
        };
        let mut set = values([
            (":config", s(&config)),
            (":now", s(now)),
            (":writer", s(&writer)),
            (":zero", n(0)),
            (":one", n(1)),
        ]);
        if let (Some(expected @ 1..), Some(values)) = (expected, set.as_mut()) {
            values.insert(":expected".to_owned(), n(expected));
        }
        let sent = (self.0.client.update_item().table_name(&self.0.name))
            .set_key(endpoint_key(&endpoint.customer_id, &endpoint.endpoint_id))
            .update_expression(
                "SET #version = if_not_exists(#version, :zero) + :one, #config = :config, \
                 #updatedAt = :now, #writer = :writer",
            )
            .set_condition_expression(condition.map(str::to_owned))
            .set_expression_attribute_names(names(&["version", "config", "updatedAt", "writer"]))
            .set_expression_attribute_values(set)
            .return_values(ReturnValue::UpdatedNew)
            .return_values_on_condition_check_failure(AllOld)
            .send()
            .await;
        match sent {
            Ok(updated) => {
                let item = updated.attributes.unwrap_or_default();
                let item = Reader { operation: "endpoints.put", item: &item };
                Ok(PutResult::Put(item.number("version")?))
            }
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failure)) => {
                    conflict(&failure.item.clone().unwrap_or_default(), &writer)
                }
                _ => Err(failed("endpoints.put", &error)),
            },
        }
    }

    async fn delete(
        &self,
        customer: &CustomerId,
        endpoint: &EndpointId,
        expected: Option<u64>,
    ) -> Result<bool> {
        let update = (self.0.client.update_item().table_name(&self.0.name))
            .set_key(endpoint_key(customer, endpoint))
            .update_expression("REMOVE #config");
        let update = match expected {
            None => update
                .condition_expression("attribute_exists(#config)")
                .set_expression_attribute_names(names(&["config"])),
            Some(version) => update
                .condition_expression("attribute_exists(#config) AND #version = :version")
                .set_expression_attribute_names(names(&["config", "version"]))
                .set_expression_attribute_values(values([(":version", n(version))])),
        };
        was_made("endpoints.delete", update.send().await)
    }
}
