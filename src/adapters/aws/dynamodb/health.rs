//! Endpoint health in DynamoDB: one item for each endpoint, with the version that it is of.

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;

use super::item::{Item, Reader, n, names, s, values};
use super::{Table, endpoint_key, tables, was_made};
use crate::adapters::aws::classify::failed;
use crate::domain::endpoint::Health;
use crate::domain::ids::{CustomerId, EndpointId};
use crate::ports::health::RecordedHealth;
use crate::ports::{Error, HealthStore, Result};

/// The endpoint health of a table.
pub struct DynamoHealth(Table);

impl DynamoHealth {
    /// The health of the tables that begin with `prefix`.
    pub fn new(client: &Client, prefix: &str) -> Self {
        Self(Table::new(client, prefix, tables::HEALTH.name))
    }
}

#[async_trait]
impl HealthStore for DynamoHealth {
    async fn get(
        &self,
        customer: &CustomerId,
        endpoint: &EndpointId,
        version: u64,
    ) -> Result<Health> {
        let get = self.0.client.get_item().table_name(&self.0.name).consistent_read(true);
        let got = get.set_key(endpoint_key(customer, endpoint)).send().await;
        let Some(item) = got.map_err(|e| failed("health.get", &e))?.item else {
            return Ok(Health::Active);
        };
        let item = Reader { operation: "health.get", item: &item };
        if item.number::<u64>("version")? != version {
            return Ok(Health::Active);
        }
        serde_json::from_str(item.text("health")?).map_err(|e| Error::new("health.get", e))
    }

    async fn list(&self, customer: &CustomerId) -> Result<Vec<RecordedHealth>> {
        let recorded = |item: &Item| {
            let item = Reader { operation: "health.list", item };
            let health = serde_json::from_str(item.text("health")?)
                .map_err(|e| Error::new("health.list", e))?;
            let (endpoint_id, version) = (item.parsed("endpointId")?, item.number("version")?);
            Ok(RecordedHealth { endpoint_id, version, health })
        };
        self.0.items("health.list", Some(customer)).await?.iter().map(recorded).collect()
    }

    async fn set(
        &self,
        customer: &CustomerId,
        endpoint: &EndpointId,
        version: u64,
        health: &Health,
    ) -> Result<bool> {
        let json = serde_json::to_string(health).map_err(|e| Error::new("health.set", e))?;
        let disabled = matches!(health, Health::Disabled { .. });
        // Disabled is final for its version, except for another reason to be disabled.
        let condition = if disabled {
            "attribute_not_exists(#version) OR #version <= :version"
        } else {
            "attribute_not_exists(#version) OR #version < :version \
             OR (#version = :version AND attribute_not_exists(#disabled))"
        };
        let update = if disabled {
            "SET #version = :version, #health = :health, #disabled = :version"
        } else {
            "SET #version = :version, #health = :health REMOVE #disabled"
        };
        let sent = (self.0.client.update_item().table_name(&self.0.name))
            .set_key(endpoint_key(customer, endpoint))
            .update_expression(update)
            .condition_expression(condition)
            .set_expression_attribute_names(names(&["version", "health", "disabled"]))
            .set_expression_attribute_values(values([
                (":version", n(version)),
                (":health", s(&json)),
            ]))
            .send()
            .await;
        // Written again over itself, a record never fails, so a refusal is another's.
        was_made("health.set", sent)
    }
}
