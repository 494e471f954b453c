//! Sealed secrets in DynamoDB: one item each, with the current and the previous version, so that one
//! read gets both; a deleted one leaves its version behind.
//!
//! An item that holds `encryptedValue` was written by a program that seals with KMS alone, without
//! context. It is read as an unbound version 0; the vault decides whether it may be used.

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;
use base64::prelude::{BASE64_STANDARD, Engine as _};

use super::item::{Item, Reader, b, key, n, names, s};
use super::{Table, tables, was_made};
use crate::adapters::aws::classify::failed;
use crate::adapters::system::SystemChance;
use crate::domain::ids::{CustomerId, SecretId};
use crate::domain::secret::{SealedSecret, SealedVersion};
use crate::domain::timestamp::Timestamp;
use crate::ports::endpoints::PutResult;
use crate::ports::{Chance, Result, Secrets};

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
        let get = self.0.client.get_item().table_name(&self.0.name).consistent_read(true);
        let got = get.set_key(at(customer, secret)).send().await;
        Ok(got.map_err(|e| failed(operation, &e))?.item)
    }
}

fn at(customer: &CustomerId, secret: &SecretId) -> Option<Item> {
    key(("customerId", customer), ("secretId", secret))
}

/// A sealed version as a map of attributes.
fn version_map(version: &SealedVersion) -> AttributeValue {
    let origins = version.origins.iter().map(s).collect();
    let mut attributes = vec![
        ("version", n(version.version)),
        ("sealed", b(&version.sealed)),
        ("origins", AttributeValue::L(origins)),
        ("createdAt", s(version.created_at)),
    ];
    // Texts and times always make JSON.
    let facts = version.facts.as_ref().and_then(|facts| serde_json::to_string(facts).ok());
    attributes.extend(facts.map(|facts| ("facts", s(facts))));
    AttributeValue::M(attributes.into_iter().map(|(name, v)| (name.to_owned(), v)).collect())
}

fn version(item: Reader<'_>, name: &str) -> Result<Option<SealedVersion>> {
    let Some(value) = item.get(name) else { return Ok(None) };
    let map = value.as_m().map_err(|_| item.unlike(name, "a map"))?;
    let part = Reader { operation: item.operation, item: map };
    let sealed = part.get("sealed").and_then(|value| value.as_b().ok());
    let origins = part.get("origins").and_then(|value| value.as_l().ok());
    let (Some(sealed), Some(origins)) = (sealed, origins) else {
        return Err(item.unlike(name, "a sealed version"));
    };
    let origin = |value: &AttributeValue| value.as_s().ok().and_then(|text| text.parse().ok());
    let origins: Option<_> = origins.iter().map(origin).collect();
    Ok(Some(SealedVersion {
        version: part.number("version")?,
        sealed: sealed.as_ref().to_vec(),
        origins: origins.ok_or_else(|| part.unlike("origins", "a list of origins"))?,
        created_at: part.parsed("createdAt")?,
        // They are there to be shown; what cannot be read is not.
        facts: part.optional_text("facts")?.and_then(|json| serde_json::from_str(json).ok()),
    }))
}

/// A value that was sealed by KMS alone.
fn unbound(item: Reader<'_>) -> Result<Option<SealedVersion>> {
    let Some(text) = item.optional_text("encryptedValue")? else { return Ok(None) };
    // What is no base64 is no ciphertext either: it is handed on as it is, for the key to refuse. An
    // error here would count as a passing fault of ours, and never pass.
    let ciphertext =
        BASE64_STANDARD.decode(text.trim()).unwrap_or_else(|_| text.as_bytes().to_vec());
    // Other programs write this date; one that cannot be read does no harm.
    let created_at = item.optional_text("createdAt")?.and_then(|text| text.parse().ok());
    let created_at = created_at.unwrap_or(Timestamp::from_millis(0));
    Ok(Some(SealedVersion::unbound(&ciphertext, created_at)))
}

/// The secret of an item; `None` if it was deleted.
fn secret(operation: &'static str, item: &Item) -> Result<Option<SealedSecret>> {
    let item = Reader { operation, item };
    let Some(current) = version(item, "current")? else {
        let current = unbound(item)?;
        return Ok(current.map(|current| SealedSecret {
            current,
            previous: None,
            previous_until: None,
        }));
    };
    let Some(until) = item.optional_text("previousUntil")? else {
        return Ok(Some(SealedSecret { current, previous: None, previous_until: None }));
    };
    let until = until.parse().map_err(|_| item.unlike("previousUntil", "a time"))?;
    // The first version that replaces an unbound value leaves it where it was.
    let previous = version(item, "previous")?.map_or_else(|| unbound(item), |v| Ok(Some(v)))?;
    Ok(Some(SealedSecret { current, previous, previous_until: Some(until) }))
}

/// What becomes of the value that was used until now.
#[derive(Clone, Copy)]
enum Before {
    /// It is forgotten.
    Forgotten,
    /// The current version stays in use until then.
    Kept(Timestamp),
    /// There is no current version; an unbound value, if there is one, stays in use until then.
    Unbound(Timestamp),
}

impl Before {
    /// The right side of an assignment reads the item as it was before the update.
    fn update(self) -> &'static str {
        match self {
            Self::Forgotten => {
                "SET #version = :version, #current = :current, #writer = :writer \
                 REMOVE #previous, #previousUntil, #encryptedValue, #createdAt"
            }
            Self::Kept(_) => {
                "SET #previous = #current, #previousUntil = :until, #version = :version, \
                 #current = :current, #writer = :writer REMOVE #encryptedValue, #createdAt"
            }
            Self::Unbound(_) => {
                "SET #previousUntil = :until, #version = :version, #current = :current, \
                 #writer = :writer REMOVE #previous"
            }
        }
    }

    fn condition(self, first: bool) -> String {
        let last = if first { "attribute_not_exists(#version)" } else { "#version = :last" };
        match self {
            Self::Forgotten => last.to_owned(),
            Self::Kept(_) => format!("{last} AND attribute_exists(#current)"),
            Self::Unbound(_) => format!("{last} AND attribute_not_exists(#current)"),
        }
    }

    fn until(self) -> Option<Timestamp> {
        match self {
            Self::Forgotten => None,
            Self::Kept(until) | Self::Unbound(until) => Some(until),
        }
    }
}

impl DynamoSecrets {
    /// Puts a version; the item that stands in the way if the condition does not hold.
    async fn put_over(
        &self,
        key: Option<Item>,
        version: &SealedVersion,
        writer: &str,
        before: Before,
    ) -> Result<std::result::Result<(), Item>> {
        let first = version.version <= 1;
        let mut set = vec![
            (":version", n(version.version)),
            (":current", version_map(version)),
            (":writer", s(writer)),
        ];
        set.extend(before.until().map(|until| (":until", s(until))));
        if !first {
            set.push((":last", n(version.version - 1)));
        }
        let mut used = vec!["version", "current", "writer", "previous", "previousUntil"];
        match before {
            Before::Forgotten | Before::Kept(_) => used.extend(["encryptedValue", "createdAt"]),
            Before::Unbound(_) => {}
        }
        let set = set.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let sent = (self.0.client.update_item().table_name(&self.0.name))
            .set_key(key)
            .update_expression(before.update())
            .condition_expression(before.condition(first))
            .set_expression_attribute_names(names(&used))
            .set_expression_attribute_values(Some(set))
            .return_values_on_condition_check_failure(AllOld)
            .send()
            .await;
        match sent {
            Ok(_) => Ok(Ok(())),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failure)) => {
                    Ok(Err(failure.item.clone().unwrap_or_default()))
                }
                _ => Err(failed("secrets.put", &error)),
            },
        }
    }
}

#[async_trait]
impl Secrets for DynamoSecrets {
    async fn get(&self, customer: &CustomerId, id: &SecretId) -> Result<Option<SealedSecret>> {
        let item = self.item("secrets.get", customer, id).await?;
        item.map_or(Ok(None), |item| secret("secrets.get", &item))
    }

    async fn put(
        &self,
        customer: &CustomerId,
        secret: &SecretId,
        version: SealedVersion,
        previous_until: Option<Timestamp>,
    ) -> Result<PutResult> {
        let (key, writer) = (at(customer, secret), SystemChance.token());
        let number = version.version;
        let before = match previous_until {
            None => Before::Forgotten,
            // Before the first version there is no other of ours.
            Some(until) if number <= 1 => Before::Unbound(until),
            Some(until) => Before::Kept(until),
        };
        let mut put = self.put_over(key.clone(), &version, &writer, before).await?;
        if let (Before::Kept(until), Err(item)) = (before, &put) {
            let found = Reader { operation: "secrets.put", item };
            let deleted = found.get("current").is_none();
            if deleted && found.optional_number("version")? == Some(number - 1) {
                put = self.put_over(key, &version, &writer, Before::Unbound(until)).await?;
            }
        }
        let Err(item) = put else { return Ok(PutResult::Put(number)) };
        let item = Reader { operation: "secrets.put", item: &item };
        if item.optional_text("writer")? == Some(&writer) {
            // This very call, repeated.
            return Ok(PutResult::Put(number));
        }
        Ok(PutResult::Conflict(item.optional_number("version")?.unwrap_or(0)))
    }

    async fn last_version(&self, customer: &CustomerId, secret: &SecretId) -> Result<u64> {
        let operation = "secrets.last_version";
        let Some(item) = self.item(operation, customer, secret).await? else { return Ok(0) };
        Ok(Reader { operation, item: &item }.optional_number("version")?.unwrap_or(0))
    }

    async fn list(
        &self,
        customer: Option<&CustomerId>,
    ) -> Result<Vec<(CustomerId, SecretId, SealedSecret)>> {
        let mut found = Vec::new();
        for item in &self.0.items("secrets.list", customer).await? {
            if let Some(secret) = secret("secrets.list", item)? {
                let item = Reader { operation: "secrets.list", item };
                found.push((item.parsed("customerId")?, item.parsed("secretId")?, secret));
            }
        }
        found.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        Ok(found)
    }

    async fn delete(&self, customer: &CustomerId, secret: &SecretId) -> Result<bool> {
        let removed = ["current", "previous", "previousUntil", "encryptedValue", "createdAt"];
        let sent = (self.0.client.update_item().table_name(&self.0.name))
            .set_key(at(customer, secret))
            .update_expression(
                "REMOVE #current, #previous, #previousUntil, #encryptedValue, #createdAt",
            )
            .condition_expression("attribute_exists(#current) OR attribute_exists(#encryptedValue)")
            .set_expression_attribute_names(names(&removed))
            .send()
            .await;
        was_made("secrets.delete", sent)
    }
}
