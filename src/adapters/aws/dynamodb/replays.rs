//! Records of replays: an item each in the table `control`, in one partition, sorted by id.

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;

use super::item::{Item, Reader, key, n, names, s, values};
use super::{Table, tables};
use crate::adapters::aws::classify::failed;
use crate::domain::replay::Replay;
use crate::ports::{Error, Replays, Result};

/// They are few, and each is written a few times a second at most.
const PARTITION: &str = "replays";

/// The replays of a table.
pub struct DynamoReplays(Table);

impl DynamoReplays {
    /// The replays of the tables that begin with `prefix`.
    pub fn new(client: &Client, prefix: &str) -> Self {
        Self(Table::new(client, prefix, tables::CONTROL.name))
    }
}

fn at(id: &str) -> Option<Item> {
    key(("pk", PARTITION), ("sk", id))
}

fn parse(operation: &'static str, item: &Item) -> Result<Replay> {
    let record = Reader { operation, item }.text("record")?;
    serde_json::from_str(record).map_err(|e| Error::new(operation, e))
}

#[async_trait]
impl Replays for DynamoReplays {
    async fn put(&self, replay: &Replay) -> Result<bool> {
        let json = serde_json::to_string(replay).map_err(|e| Error::new("replays.put", e))?;
        let put = (self.0.client.put_item().table_name(&self.0.name))
            .set_item(at(&replay.id))
            .item("record", s(&json))
            .item("version", n(replay.version))
            .set_expression_attribute_names(names(&["version"]))
            .return_values_on_condition_check_failure(AllOld);
        let put = match replay.version.checked_sub(1) {
            None | Some(0) => put.condition_expression("attribute_not_exists(#version)"),
            Some(before) => put
                .condition_expression("#version = :before")
                .set_expression_attribute_values(values([(":before", n(before))])),
        };
        match put.send().await {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                // Its own write, whose answer was lost.
                Some(PutItemError::ConditionalCheckFailedException(failure)) => {
                    let kept = failure.item.as_ref().and_then(|item| item.get("record"));
                    Ok(kept == Some(&s(&json)))
                }
                _ => Err(failed("replays.put", &error)),
            },
        }
    }

    async fn get(&self, id: &str) -> Result<Option<Replay>> {
        let get = self.0.client.get_item().table_name(&self.0.name).consistent_read(true);
        let got = get.set_key(at(id)).send().await.map_err(|e| failed("replays.get", &e))?;
        got.item.map(|item| parse("replays.get", &item)).transpose()
    }

    async fn list(&self, after: Option<&str>, limit: usize) -> Result<Vec<Replay>> {
        let query = (self.0.client.query().table_name(&self.0.name).consistent_read(true))
            .scan_index_forward(false)
            .expression_attribute_names("#pk", "pk")
            .expression_attribute_values(":pk", s(PARTITION));
        let query = match after {
            None => query.key_condition_expression("#pk = :pk"),
            Some(after) => query
                .key_condition_expression("#pk = :pk AND #sk < :after")
                .expression_attribute_names("#sk", "sk")
                .expression_attribute_values(":after", s(after)),
        };
        let mut found = query.into_paginator().items().send();
        let mut replays = Vec::new();
        while replays.len() < limit
            && let Some(item) = found.next().await
        {
            replays.push(parse("replays.list", &item.map_err(|e| failed("replays.list", &e))?)?);
        }
        Ok(replays)
    }
}
