//! What is removed of a customer by its name.

use std::collections::HashSet;

use aws_sdk_dynamodb::types::{DeleteRequest, ReturnValue, WriteRequest};
use futures_util::future::try_join_all;

use super::customers::{DynamoCustomers, REMOVE, of_customer};
use super::item::{Item, Reader, key, names, s, values};
use super::tables::DELIVERIES_BY_CUSTOMER as INDEX;
use super::{BATCH, Table, kept_bodies, records};
use crate::adapters::aws::classify::failed;
use crate::domain::ids::CustomerId;
use crate::ports::customers::{MOST_REMOVED, Removed};
use crate::ports::{Error, Result};

/// Deliveries whose items are removed at once.
const AT_ONCE: usize = 8;

impl Table {
    /// Deletes an item; whether it was there.
    async fn delete(&self, at: Option<Item>) -> Result<bool> {
        let delete = self.client.delete_item().table_name(&self.name).set_key(at);
        let sent = delete.return_values(ReturnValue::AllOld).send().await;
        Ok(sent.map_err(|e| failed(REMOVE, &e))?.attributes.is_some_and(|item| !item.is_empty()))
    }

    /// Deletes what stands in some partition of `deliveries`, but for one row.
    async fn delete_partition(&self, partition: String, but: &str) -> Result<()> {
        let mut found = (self.client.query().table_name(&self.name).consistent_read(true))
            .key_condition_expression("#pk = :pk")
            .projection_expression("#pk, #sk")
            .set_expression_attribute_names(names(&["pk", "sk"]))
            .set_expression_attribute_values(values([(":pk", s(&partition))]))
            .into_paginator()
            .items()
            .send();
        let mut deletes = Vec::new();
        while let Some(item) = found.next().await {
            let item = item.map_err(|e| failed(REMOVE, &e))?;
            if (Reader { operation: REMOVE, item: &item }).text("sk")? != but {
                let delete = DeleteRequest::builder().set_key(Some(item)).build();
                let delete = delete.map_err(|e| Error::new(REMOVE, e))?;
                deletes.push(WriteRequest::builder().delete_request(delete).build());
            }
        }
        for some in deletes.chunks(BATCH) {
            self.write_batch(REMOVE, some).await?;
        }
        Ok(())
    }
}

impl DynamoCustomers {
    /// Removes the history of deleted secrets.
    pub(super) async fn remove_versions(&self, customer: &CustomerId) -> Result<Removed> {
        let mut found = (of_customer(&self.secrets, customer))
            .projection_expression("#secretId, #current.#version, #encryptedValue")
            .expression_attribute_names("#secretId", "secretId")
            .expression_attribute_names("#current", "current")
            .expression_attribute_names("#version", "version")
            .expression_attribute_names("#encryptedValue", "encryptedValue")
            .into_paginator()
            .items()
            .send();
        let (mut live, mut past) = (HashSet::new(), Vec::new());
        while let Some(item) = found.next().await {
            let item = item.map_err(|e| failed(REMOVE, &e))?;
            let id = Reader { operation: REMOVE, item: &item }.text("secretId")?.to_owned();
            match id.split_once('#') {
                Some((of, _)) => past.push((of.to_owned(), id.clone())),
                None if item.len() > 1 => drop(live.insert(id)),
                None => {}
            }
        }
        past.retain(|(of, _)| !live.contains(of));
        let more = past.len() > MOST_REMOVED;
        past.truncate(MOST_REMOVED);
        let mut count = 0;
        for (_, id) in past {
            let at = key(("customerId", customer), ("secretId", id));
            count += u64::from(self.secrets.delete(at).await?);
        }
        Ok(Removed { count, more })
    }

    /// Removes some deliveries, each with its header last: by that it is found again.
    pub(super) async fn remove_deliveries(&self, customer: &CustomerId) -> Result<Removed> {
        let table = &self.deliveries;
        let found = (table.client.query().table_name(&table.name).index_name(INDEX.name))
            .key_condition_expression("#owner = :owner")
            .projection_expression("#pk")
            .expression_attribute_names("#owner", INDEX.key[0])
            .expression_attribute_names("#pk", "pk")
            .expression_attribute_values(":owner", s(customer))
            .limit(i32::try_from(MOST_REMOVED).unwrap_or(i32::MAX))
            .send()
            .await;
        let found = found.map_err(|e| failed(REMOVE, &e))?;
        let more = found.last_evaluated_key().is_some_and(|key| !key.is_empty());
        let mut count = 0;
        for some in found.items().chunks(AT_ONCE) {
            let removed = some.iter().map(|item| self.remove_delivery(item));
            count += try_join_all(removed).await?.into_iter().filter(|there| *there).count() as u64;
        }
        Ok(Removed { count, more })
    }

    async fn remove_delivery(&self, header: &Item) -> Result<bool> {
        let partition = Reader { operation: REMOVE, item: header }.text("pk")?.to_owned();
        let id = partition.strip_prefix(records::PARTITION).unwrap_or_default();
        self.deliveries.delete_partition(kept_bodies::partition(id), "").await?;
        self.deliveries.delete_partition(partition.clone(), records::HEADER).await?;
        self.deliveries.delete(key(("pk", partition), ("sk", records::HEADER))).await
    }

    /// Removes what was learnt of endpoints.
    pub(super) async fn remove_health(&self, customer: &CustomerId) -> Result<Removed> {
        let found = (of_customer(&self.health, customer))
            .projection_expression("#customerId, #endpointId")
            .expression_attribute_names("#endpointId", "endpointId")
            .limit(i32::try_from(MOST_REMOVED).unwrap_or(i32::MAX))
            .send()
            .await;
        let found = found.map_err(|e| failed(REMOVE, &e))?;
        let more = found.last_evaluated_key().is_some_and(|key| !key.is_empty());
        let mut count = 0;
        for item in found.items() {
            count += u64::from(self.health.delete(Some(item.clone())).await?);
        }
        Ok(Removed { count, more })
    }
}
