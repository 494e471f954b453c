//! Event types: an item each in the table `control`, in one partition, sorted by name.

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::ReturnValue;

use super::item::{Item, Reader, key, names, s, values};
use super::{Table, tables};
use crate::adapters::aws::classify::failed;
use crate::domain::event_catalog::EventType;
use crate::domain::ids::EventTypeName;
use crate::ports::{Error, EventTypes, Result};

/// They are few, and written by people.
const PARTITION: &str = "event-types";

/// The event types of a table.
pub struct DynamoEventTypes(Table);

impl DynamoEventTypes {
    /// The event types of the tables that begin with `prefix`.
    pub fn new(client: &Client, prefix: &str) -> Self {
        Self(Table::new(client, prefix, tables::CONTROL.name))
    }
}

fn at(name: &EventTypeName) -> Option<Item> {
    key(("pk", PARTITION), ("sk", name))
}

fn parse(operation: &'static str, item: &Item) -> Result<EventType> {
    let record = Reader { operation, item }.text("record")?;
    serde_json::from_str(record).map_err(|e| Error::new(operation, e))
}

#[async_trait]
impl EventTypes for DynamoEventTypes {
    async fn put(&self, event_type: &EventType) -> Result<()> {
        let operation = "event_types.put";
        let json = serde_json::to_string(event_type).map_err(|e| Error::new(operation, e))?;
        let put = (self.0.client.put_item().table_name(&self.0.name))
            .set_item(at(&event_type.name))
            .item("record", s(json));
        put.send().await.map(drop).map_err(|e| failed(operation, &e))
    }

    async fn get(&self, name: &EventTypeName) -> Result<Option<EventType>> {
        let operation = "event_types.get";
        let get = self.0.client.get_item().table_name(&self.0.name).consistent_read(true);
        let got = get.set_key(at(name)).send().await.map_err(|e| failed(operation, &e))?;
        got.item.map(|item| parse(operation, &item)).transpose()
    }

    async fn list(&self, after: Option<&str>, limit: usize) -> Result<Vec<EventType>> {
        let operation = "event_types.list";
        // No name begins with a space, and no key is empty.
        let after = after.unwrap_or(" ");
        let mut found = (self.0.client.query().table_name(&self.0.name).consistent_read(true))
            .key_condition_expression("#pk = :pk AND #sk > :after")
            .set_expression_attribute_names(names(&["pk", "sk"]))
            .set_expression_attribute_values(values([(":pk", s(PARTITION)), (":after", s(after))]))
            .into_paginator()
            .items()
            .send();
        let mut event_types = Vec::new();
        while event_types.len() < limit
            && let Some(item) = found.next().await
        {
            event_types.push(parse(operation, &item.map_err(|e| failed(operation, &e))?)?);
        }
        Ok(event_types)
    }

    async fn delete(&self, name: &EventTypeName) -> Result<bool> {
        let delete = (self.0.client.delete_item().table_name(&self.0.name))
            .set_key(at(name))
            .return_values(ReturnValue::AllOld);
        let deleted = delete.send().await.map_err(|e| failed("event_types.delete", &e))?;
        Ok(deleted.attributes.is_some())
    }
}
