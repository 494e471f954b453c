//! Sealed secrets in DynamoDB: one item each, with the current and the previous version, so that one
//! read gets both; a deleted one leaves its last version's number behind. Versions that are in use no
//! more have items of their own beside it, whose sort key is the secret's id, `#` (which no id has) and
//! the number: they are written in the transaction that takes them out of use.
//!
//! An item that holds `encryptedValue` was written by a program that seals with KMS alone, without
//! context. It is read as an unbound version 0; the vault decides whether it may be used.

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{Put, ReturnValue, TransactWriteItem, Update};

use super::item::{Item, Reader, key, n, names, s, values};
use super::replace::places;
use super::sealed::{past_key, secret, version, version_map};
use super::{Table, tables, was_made};
use crate::adapters::aws::classify::failed;
use crate::adapters::system::SystemChance;
use crate::domain::ids::{CustomerId, SecretId};
use crate::domain::secret::{SealedSecret, SealedVersion};
use crate::domain::secret_record::{SecretChange, SecretRecord, Seen};
use crate::ports::endpoints::PutResult;
use crate::ports::{Chance, Error, ReadSecrets, Result, Secrets};

/// The secrets of a table.
pub struct DynamoSecrets(Table);

impl DynamoSecrets {
    /// The secrets of the tables that begin with `prefix`.
    pub fn new(client: &Client, prefix: &str) -> Self {
        Self(Table::new(client, prefix, tables::SECRETS.name))
    }

    async fn item(
        &self,
        operation: &'static str,
        customer: &CustomerId,
        secret: &SecretId,
    ) -> Result<Option<Item>> {
        self.read(operation, at(customer, secret)).await
    }

    pub(super) fn table(&self) -> &Table {
        &self.0
    }

    pub(super) async fn read(
        &self,
        operation: &'static str,
        key: Option<Item>,
    ) -> Result<Option<Item>> {
        let get = self.0.client.get_item().table_name(&self.0.name).consistent_read(true);
        Ok(get.set_key(key).send().await.map_err(|e| failed(operation, &e))?.item)
    }
}

fn at(customer: &CustomerId, secret: &SecretId) -> Option<Item> {
    key(("customerId", customer), ("secretId", secret))
}

/// Sets everything that an item says of the versions in use.
fn update_expression(next: &SealedSecret) -> &'static str {
    if next.previous.is_some() {
        "SET #version = :version, #current = :next, #writer = :writer, #previous = :previous, \
         #previousUntil = :until REMOVE #encryptedValue, #createdAt"
    } else {
        "SET #version = :version, #current = :next, #writer = :writer \
         REMOVE #encryptedValue, #createdAt, #previous, #previousUntil"
    }
}

/// Whether an item still is as its writer has seen it. A version 0 may be a foreign row's.
fn condition(seen: Seen) -> String {
    let last =
        if seen.last_version == 0 { "attribute_not_exists(#version)" } else { "#version = :last" };
    let current = match seen.current {
        None => "attribute_not_exists(#current) AND attribute_not_exists(#encryptedValue)",
        Some(version) => current_is(version),
    };
    format!("{last} AND {current}")
}

/// Whether this version, which `:current` has, is the current one.
fn current_is(version: u64) -> &'static str {
    if version == 0 {
        "(#current.#version = :current OR \
         (attribute_not_exists(#current) AND attribute_exists(#encryptedValue)))"
    } else {
        "#current.#version = :current"
    }
}

impl DynamoSecrets {
    /// The write of the secret's own item.
    fn update(
        &self,
        at: Option<Item>,
        change: &SecretChange,
        writer: &str,
    ) -> std::result::Result<TransactWriteItem, BuildError> {
        let (seen, next) = (change.seen, &change.next);
        let mut set = vec![
            (":version", n(change.last_version)),
            (":next", version_map(&next.current)),
            (":writer", s(writer)),
        ];
        set.extend(next.previous.as_ref().map(|previous| (":previous", version_map(previous))));
        let until = next.previous_until.filter(|_| next.previous.is_some());
        set.extend(until.map(|until| (":until", s(until))));
        set.extend((seen.last_version != 0).then(|| (":last", n(seen.last_version))));
        set.extend(seen.current.map(|current| (":current", n(current))));
        let used = ["version", "current", "writer", "previous", "previousUntil"];
        let update = Update::builder()
            .table_name(&self.0.name)
            .set_key(at)
            .update_expression(update_expression(next))
            .condition_expression(condition(seen))
            .set_expression_attribute_names(names(
                &[&used[..], &["encryptedValue", "createdAt"]].concat(),
            ))
            .set_expression_attribute_values(Some(
                set.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            ))
            .build()?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// The write of a version that is history.
    fn put_past(
        &self,
        customer: &CustomerId,
        secret: &SecretId,
        version: &SealedVersion,
    ) -> std::result::Result<TransactWriteItem, BuildError> {
        let put = Put::builder()
            .table_name(&self.0.name)
            .item("customerId", s(customer))
            .item("secretId", s(past_key(secret, version.version)))
            .item("past", version_map(version))
            .build()?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// The items of a secret's history, oldest first.
    async fn past(
        &self,
        operation: &'static str,
        customer: &CustomerId,
        secret: &SecretId,
    ) -> Result<Vec<Item>> {
        let begins = s(format!("{secret}#"));
        let mut found = (self.0.client.query().table_name(&self.0.name).consistent_read(true))
            .key_condition_expression(
                "#customerId = :customerId AND begins_with(#secretId, :begins)",
            )
            .set_expression_attribute_names(names(&["customerId", "secretId"]))
            .set_expression_attribute_values(values([
                (":customerId", s(customer)),
                (":begins", begins),
            ]))
            .into_paginator()
            .items()
            .send();
        let mut items = Vec::new();
        while let Some(item) = found.next().await {
            items.push(item.map_err(|e| failed(operation, &e))?);
        }
        Ok(items)
    }

    /// Removes an item; whether it was there.
    async fn remove(&self, operation: &'static str, at: Option<Item>) -> Result<bool> {
        let delete = self.0.client.delete_item().table_name(&self.0.name).set_key(at);
        let sent = delete.return_values(ReturnValue::AllOld).send().await;
        Ok(sent.map_err(|e| failed(operation, &e))?.attributes.is_some())
    }
}

/// Whether a transaction was refused because its item has become another, or is being written just now.
fn is_conflict(error: &TransactWriteItemsError) -> bool {
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error else {
        return false;
    };
    cancelled.cancellation_reasons().iter().any(|reason| {
        matches!(reason.code(), Some("ConditionalCheckFailed" | "TransactionConflict"))
    })
}

#[async_trait]
impl ReadSecrets for DynamoSecrets {
    async fn get(&self, customer: &CustomerId, id: &SecretId) -> Result<Option<SealedSecret>> {
        let item = self.item("secrets.get", customer, id).await?;
        item.map_or(Ok(None), |item| secret("secrets.get", &item))
    }

    async fn record(&self, customer: &CustomerId, id: &SecretId) -> Result<SecretRecord> {
        let operation = "secrets.record";
        let Some(item) = self.item(operation, customer, id).await? else {
            return Ok(SecretRecord::default());
        };
        let last_version = Reader { operation, item: &item }.optional_number("version")?;
        let secret = secret(operation, &item)?;
        Ok(SecretRecord { last_version: last_version.unwrap_or(0), secret })
    }

    async fn history(&self, customer: &CustomerId, id: &SecretId) -> Result<Vec<SealedVersion>> {
        let operation = "secrets.history";
        let mut versions = Vec::new();
        for item in self.past(operation, customer, id).await?.iter().rev() {
            versions.extend(version(Reader { operation, item }, "past")?);
        }
        Ok(versions)
    }

    async fn list(
        &self,
        customer: Option<&CustomerId>,
    ) -> Result<Vec<(CustomerId, SecretId, SealedSecret)>> {
        let mut found = Vec::new();
        for item in &self.0.items("secrets.list", customer).await? {
            // Items of the history hold no secret of their own.
            if let Some(secret) = secret("secrets.list", item)? {
                let item = Reader { operation: "secrets.list", item };
                found.push((item.parsed("customerId")?, item.parsed("secretId")?, secret));
            }
        }
        found.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        Ok(found)
    }
}

#[async_trait]
impl Secrets for DynamoSecrets {
    async fn change(
        &self,
        customer: &CustomerId,
        id: &SecretId,
        change: SecretChange,
    ) -> Result<PutResult> {
        let (operation, writer) = ("secrets.change", SystemChance.token());
        let incomplete = |e: BuildError| Error::new(operation, e);
        let mut items = vec![self.update(at(customer, id), &change, &writer).map_err(incomplete)?];
        for version in &change.retired {
            items.push(self.put_past(customer, id, version).map_err(incomplete)?);
        }
        let made = PutResult::Put(change.next.current.version);
        let send = self.0.client.transact_write_items().set_transact_items(Some(items)).send();
        let Err(error) = send.await else { return Ok(made) };
        if !error.as_service_error().is_some_and(is_conflict) {
            return Err(failed(operation, &error));
        }
        let item = self.item(operation, customer, id).await?.unwrap_or_default();
        if (Reader { operation, item: &item }).optional_text("writer")? == Some(&writer) {
            // This very call, repeated.
            return Ok(made);
        }
        let now = secret(operation, &item)?;
        Ok(PutResult::Conflict(now.map_or(0, |secret| secret.current.version)))
    }

    async fn replace(
        &self,
        customer: &CustomerId,
        id: &SecretId,
        from: &SealedVersion,
        to: &SealedVersion,
    ) -> Result<bool> {
        let operation = "secrets.replace";
        let mut found = false;
        if let Some(item) = self.item(operation, customer, id).await? {
            for place in places(operation, &item, from)? {
                found |= self.replace_at(operation, at(customer, id), &item, place, to).await?;
            }
        }
        if from.version != to.version {
            return Ok(found);
        }
        let past = key(("customerId", customer), ("secretId", past_key(id, from.version)));
        let kept = self.read(operation, past.clone()).await?.unwrap_or_default();
        if version(Reader { operation, item: &kept }, "past")?.as_ref() == Some(from) {
            found |= self.replace_at(operation, past, &kept, "past", to).await?;
        }
        Ok(found)
    }

    async fn forget(
        &self,
        customer: &CustomerId,
        id: &SecretId,
        versions: &[u64],
    ) -> Result<usize> {
        let mut removed = 0;
        for version in versions {
            let at = key(("customerId", customer), ("secretId", past_key(id, *version)));
            removed += usize::from(self.remove("secrets.forget", at).await?);
        }
        Ok(removed)
    }

    async fn delete(
        &self,
        customer: &CustomerId,
        id: &SecretId,
        expected: Option<u64>,
    ) -> Result<bool> {
        let removed = ["current", "previous", "previousUntil", "encryptedValue", "createdAt"];
        let update = (self.0.client.update_item().table_name(&self.0.name))
            .set_key(at(customer, id))
            .update_expression(
                "REMOVE #current, #previous, #previousUntil, #encryptedValue, #createdAt",
            );
        let update = match expected {
            None => update
                .condition_expression(
                    "attribute_exists(#current) OR attribute_exists(#encryptedValue)",
                )
                .set_expression_attribute_names(names(&removed)),
            Some(version) => update
                .condition_expression(current_is(version))
                .set_expression_attribute_names(names(&[&removed[..], &["version"]].concat()))
                .set_expression_attribute_values(values([(":current", n(version))])),
        };
        let mut deleted = was_made("secrets.delete", update.send().await)?;
        if !deleted && expected.is_some() {
            return Ok(false);
        }
        // The secret first: from now on no write adds to its history. What a deletion that was cut
        // short left behind goes with the next.
        for item in self.past("secrets.delete", customer, id).await? {
            let reader = Reader { operation: "secrets.delete", item: &item };
            let at = key(("customerId", customer), ("secretId", reader.text("secretId")?));
            deleted |= self.remove("secrets.delete", at).await?;
        }
        Ok(deleted)
    }
}
