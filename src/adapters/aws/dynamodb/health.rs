//! Endpoint health in DynamoDB: one item for each endpoint, with the version that it is of.

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;

use super::item::{Item, Reader, n, names, s, values};
use super::{Table, endpoint_key, tables, was_made};
use crate::adapters::aws::classify::failed;
use crate::domain::health::{Health, HealthRecord};
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
    async fn read(
        &self,
        customer: &CustomerId,
        endpoint: &EndpointId,
        version: u64,
    ) -> Result<HealthRecord> {
        let get = self.0.client.get_item().table_name(&self.0.name).consistent_read(true);
        let got = get.set_key(endpoint_key(customer, endpoint)).send().await;
        let item = got.map_err(|e| failed("health.get", &e))?.item;
        item.map_or_else(|| Ok(HealthRecord::default()), |item| record(&item, version))
    }

    async fn list(&self, customer: &CustomerId) -> Result<Vec<RecordedHealth>> {
        let recorded = |item: &Item| {
            let read = Reader { operation: "health.list", item };
            let (endpoint_id, version) = (read.parsed("endpointId")?, read.number("version")?);
            Ok(RecordedHealth { endpoint_id, version, record: record(item, version)? })
        };
        let items = self.0.items("health.list", Some(customer)).await?;
        // Of an endpoint with a rate there may be nothing but its account.
        items.iter().filter(|item| item.contains_key("version")).map(recorded).collect()
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
        // Disabled stays disabled, except for another reason.
        let condition = if disabled {
            "attribute_not_exists(#version) OR #version <= :version"
        } else {
            "attribute_not_exists(#version) OR #version < :version \
             OR (#version = :version AND attribute_not_exists(#disabled))"
        };
        // A time of failures and an authorization stay: they say of which version they are.
        let set = "SET #version = :version, #health = :health, \
                   #revision = if_not_exists(#revision, :zero) + :one";
        let update = match disabled {
            true => format!("{set}, #disabled = :version"),
            false => format!("{set} REMOVE #disabled"),
        };
        let sent = (self.0.client.update_item().table_name(&self.0.name))
            .set_key(endpoint_key(customer, endpoint))
            .update_expression(update)
            .condition_expression(condition)
            .set_expression_attribute_names(names(&["version", "health", "revision", "disabled"]))
            .set_expression_attribute_values(values([
                (":version", n(version)),
                (":health", s(&json)),
                (":zero", n(0)),
                (":one", n(1)),
            ]))
            .send()
            .await;
        // Written again over itself, a record never fails, so a refusal is another's.
        was_made("health.set", sent)
    }

    async fn change(
        &self,
        customer: &CustomerId,
        endpoint: &EndpointId,
        version: u64,
        seen: &HealthRecord,
        next: &HealthRecord,
    ) -> Result<bool> {
        let next = HealthRecord { revision: seen.revision + 1, ..next.clone() };
        let written = |e| Error::new("health.change", e);
        let health = serde_json::to_string(&next.health).map_err(written)?;
        let mut put =
            values([(":version", n(version)), (":health", s(health)), (":next", n(next.revision))]);
        let mut put_if = |name: &str, value| {
            put.get_or_insert_default().insert(name.to_owned(), value);
        };
        let mut set = "SET #version = :version, #health = :health, #revision = :next".to_owned();
        let mut remove = Vec::new();
        match &next.failing {
            Some(failing) => {
                set += ", #failing = :failing, #failingVersion = :version";
                put_if(":failing", s(serde_json::to_string(failing).map_err(written)?));
            }
            None => remove.extend(["#failing", "#failingVersion"]),
        }
        match &next.authorization {
            Some(authorization) => {
                set += ", #authorization = :authorization, #authorizationVersion = :version";
                let json = serde_json::to_string(authorization).map_err(written)?;
                put_if(":authorization", s(json));
            }
            None => remove.extend(["#authorization", "#authorizationVersion"]),
        }
        match &next.verified {
            Some(verified) => {
                set += ", #verified = :verified";
                put_if(":verified", s(serde_json::to_string(verified).map_err(written)?));
            }
            None => remove.push("#verified"),
        }
        match &next.health {
            Health::Disabled { .. } => set += ", #disabled = :version",
            Health::Active | Health::Paused { .. } | Health::Deauthorized { .. } => {
                remove.push("#disabled");
            }
        }
        let is_seen = if seen.revision == 0 {
            "attribute_not_exists(#revision)"
        } else {
            put_if(":seen", n(seen.revision));
            "#revision = :seen"
        };
        let removed = if remove.is_empty() { String::new() } else { " REMOVE ".to_owned() };
        let sent = (self.0.client.update_item().table_name(&self.0.name))
            .set_key(endpoint_key(customer, endpoint))
            .update_expression(set + &removed + &remove.join(", "))
            .condition_expression(format!(
                "(attribute_not_exists(#version) OR #version <= :version) AND {is_seen}"
            ))
            .set_expression_attribute_names(names(&[
                "version",
                "health",
                "revision",
                "failing",
                "failingVersion",
                "authorization",
                "authorizationVersion",
                "verified",
                "disabled",
            ]))
            .set_expression_attribute_values(put)
            .return_values_on_condition_check_failure(AllOld)
            .send()
            .await;
        let Err(error) = sent else { return Ok(true) };
        match error.as_service_error() {
            // Repeated by the SDK, it meets its own effect.
            Some(UpdateItemError::ConditionalCheckFailedException(failure)) => {
                Ok(failure.item().is_some_and(|item| {
                    is_of(item, version) && record(item, version).is_ok_and(|now| now == next)
                }))
            }
            _ => Err(failed("health.change", &error)),
        }
    }
}

fn is_of(item: &Item, version: u64) -> bool {
    let item = Reader { operation: "health.get", item };
    item.number::<u64>("version").is_ok_and(|of| of == version)
}

/// What an item says of a version of the endpoint: of another version's, what outlives it.
fn record(item: &Item, version: u64) -> Result<HealthRecord> {
    let read = Reader { operation: "health.get", item };
    let revision = read.optional_number("revision")?.unwrap_or(0);
    let parsed = |e| Error::unreadable("health.get", e);
    let verified = read.optional_text("verified")?;
    let verified = verified.map(serde_json::from_str).transpose().map_err(parsed)?;
    if read.optional_number::<u64>("version")? != Some(version) {
        return Ok(HealthRecord { revision, verified, ..HealthRecord::default() });
    }
    let health = serde_json::from_str(read.text("health")?).map_err(parsed)?;
    let is_own = read.optional_number::<u64>("failingVersion")? == Some(version);
    let failing = read.optional_text("failing")?.filter(|_| is_own);
    let failing = failing.map(serde_json::from_str).transpose().map_err(parsed)?;
    let is_own = read.optional_number::<u64>("authorizationVersion")? == Some(version);
    let authorization = read.optional_text("authorization")?.filter(|_| is_own);
    let authorization = authorization.map(serde_json::from_str).transpose().map_err(parsed)?;
    Ok(HealthRecord { health, failing, authorization, verified, revision })
}
