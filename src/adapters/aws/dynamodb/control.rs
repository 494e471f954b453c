//! Keys, tokens and submissions in DynamoDB. Keys of the operator share a partition, so that they can
//! be listed; tokens and submissions have one each, and are removed by the table once they have ended.

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;
use futures_util::future::try_join_all;

use super::item::{Item, Reader, key, n, names, s, values};
use super::{Table, tables, was_made};
use crate::adapters::aws::classify::failed;
use crate::adapters::system::SystemChance;
use crate::domain::access::{ApiKey, Grant, LONGEST_TOKEN};
use crate::domain::dead_letter::job_sha256;
use crate::domain::ids::CustomerId;
use crate::domain::submission::{Begun, GIVEN_UP, REMEMBERED, Submission};
use crate::domain::timestamp::Timestamp;
use crate::ports::{Chance, Control, Error, Result};

/// The partition of the operator's keys.
const KEYS: &str = "api-keys";

/// What the API of a table keeps.
pub struct DynamoControl(Table);

impl DynamoControl {
    /// What is kept in the tables that begin with `prefix`.
    pub fn new(client: &Client, prefix: &str) -> Self {
        Self(Table::new(client, prefix, tables::CONTROL.name))
    }
}

/// Where a key, a token or a session is: each says by its id what it is.
fn key_of(id: &str) -> Option<Item> {
    match id.split_once('_') {
        Some(("tok", token)) => key(("pk", format!("customer-token#{token}")), ("sk", "token")),
        Some(("ses", session)) => key(("pk", format!("session#{session}")), ("sk", "session")),
        Some(_) | None => key(("pk", KEYS), ("sk", id)),
    }
}

/// Where it is kept that the tokens of a customer were withdrawn: they are not found by customer.
fn tokens_of(customer: &CustomerId) -> Option<Item> {
    key(("pk", format!("customer-tokens#{customer}")), ("sk", "ended"))
}

/// Where a submission is: its key may be longer than a partition key that is good to read.
fn submission_key(submission: &Submission) -> Option<Item> {
    let digest = job_sha256(submission.key().as_bytes());
    key(("pk", format!("submission#{digest}")), ("sk", "submission"))
}

fn parse(operation: &'static str, item: &Item) -> Result<ApiKey> {
    let item = Reader { operation, item };
    let mut key: ApiKey =
        serde_json::from_str(item.text("record")?).map_err(|e| Error::new(operation, e))?;
    if let Some(at) = item.optional_number("revokedAt")? {
        key.revoked_at = Some(Timestamp::from_millis(at));
    }
    Ok(key)
}

#[async_trait]
impl Control for DynamoControl {
    async fn put_key(&self, key: &ApiKey) -> Result<()> {
        let operation = "control.put_key";
        let record = serde_json::to_string(key).map_err(|e| Error::new(operation, e))?;
        let mut put = (self.0.client.put_item().table_name(&self.0.name))
            .set_item(key_of(&key.id))
            .item("record", s(record));
        if let Some(end) = key.expires_at.filter(|_| key.minted_by.is_some()) {
            put = put.item("ttl", n(end.as_secs() + 1));
        }
        put.send().await.map(drop).map_err(|e| failed(operation, &e))
    }

    async fn get_key(&self, id: &str) -> Result<Option<ApiKey>> {
        let get = self.0.client.get_item().table_name(&self.0.name).consistent_read(true);
        let got = get.set_key(key_of(id)).send().await;
        let item = got.map_err(|e| failed("control.get_key", &e))?.item;
        let found = item.map(|item| parse("control.get_key", &item)).transpose()?;
        let Some(mut key) = found else { return Ok(None) };
        if let (Grant::Customer { customer_id }, None) = (&key.grant, key.revoked_at) {
            let ended = self.tokens_ended(customer_id).await?;
            key.revoked_at = ended.filter(|ended| key.created_at <= *ended);
        }
        Ok(Some(key))
    }

    async fn list_keys(&self, after: Option<&str>, limit: usize) -> Result<Vec<ApiKey>> {
        let operation = "control.list_keys";
        let after = after.unwrap_or(" ");
        let mut found = (self.0.client.query().table_name(&self.0.name).consistent_read(true))
            .key_condition_expression("#pk = :pk AND #sk > :after")
            .set_expression_attribute_names(names(&["pk", "sk"]))
            .set_expression_attribute_values(values([(":pk", s(KEYS)), (":after", s(after))]))
            .into_paginator()
            .items()
            .send();
        let mut keys = Vec::new();
        while keys.len() < limit
            && let Some(item) = found.next().await
        {
            keys.push(parse(operation, &item.map_err(|e| failed(operation, &e))?)?);
        }
        Ok(keys)
    }

    async fn revoke_key(&self, id: &str, now: Timestamp) -> Result<bool> {
        // Repeated after its own success, it finds its own time and changes nothing.
        let sent = (self.0.client.update_item().table_name(&self.0.name))
            .set_key(key_of(id))
            .update_expression("SET #revokedAt = if_not_exists(#revokedAt, :now)")
            .condition_expression("attribute_exists(#record)")
            .set_expression_attribute_names(names(&["revokedAt", "record"]))
            .set_expression_attribute_values(values([(":now", n(now.as_millis()))]))
            .send()
            .await;
        was_made("control.revoke_key", sent)
    }

    async fn end_tokens(&self, customer: &CustomerId, now: Timestamp) -> Result<()> {
        let put = (self.0.client.put_item().table_name(&self.0.name))
            .set_item(tokens_of(customer))
            .item("endedAt", n(now.as_millis()))
            .item("ttl", n(now.plus(LONGEST_TOKEN).as_secs() + 1));
        put.send().await.map(drop).map_err(|e| failed("control.end_tokens", &e))
    }

    async fn begin(&self, submissions: &[Submission], now: Timestamp) -> Result<Vec<Begun>> {
        // In order where one id comes twice: the second has to see the first.
        let mut begun = Vec::with_capacity(submissions.len());
        let mut rest = submissions;
        while !rest.is_empty() {
            let mut seen = std::collections::HashSet::new();
            let distinct =
                rest.iter().take(MOST_AT_ONCE).take_while(|s| seen.insert(s.key())).count();
            let (now_begun, later) = rest.split_at(distinct);
            begun.extend(try_join_all(now_begun.iter().map(|s| self.begin_one(s, now))).await?);
            rest = later;
        }
        Ok(begun)
    }

    async fn finish(&self, sent: &[(Submission, String)]) -> Result<()> {
        for some in sent.chunks(MOST_AT_ONCE) {
            try_join_all(some.iter().map(|(submission, id)| self.finish_one(submission, id)))
                .await?;
        }
        Ok(())
    }

    async fn abandon(&self, submissions: &[Submission]) -> Result<()> {
        for some in submissions.chunks(MOST_AT_ONCE) {
            try_join_all(some.iter().map(|submission| self.abandon_one(submission))).await?;
        }
        Ok(())
    }
}

/// Most items written at once.
const MOST_AT_ONCE: usize = 32;

impl DynamoControl {
    /// When the tokens of a customer were withdrawn last: those of before are not good.
    async fn tokens_ended(&self, customer: &CustomerId) -> Result<Option<Timestamp>> {
        let operation = "control.tokens_ended";
        let get = self.0.client.get_item().table_name(&self.0.name).consistent_read(true);
        let got = get.set_key(tokens_of(customer)).send().await;
        let Some(item) = got.map_err(|e| failed(operation, &e))?.item else { return Ok(None) };
        let ended = Reader { operation, item: &item }.number("endedAt")?;
        Ok(Some(Timestamp::from_millis(ended)))
    }

    async fn begin_one(&self, submission: &Submission, now: Timestamp) -> Result<Begun> {
        let operation = "control.begin";
        let writer = SystemChance.token();
        let (forgotten, given_up) = (now.minus(REMEMBERED), now.minus(GIVEN_UP));
        let sent = (self.0.client.put_item().table_name(&self.0.name))
            .set_item(submission_key(submission))
            .item("sha256", s(&submission.sha256))
            .item("begunAt", n(now.as_millis()))
            .item("writer", s(&writer))
            .item("ttl", n(now.plus(REMEMBERED).as_secs() + 1))
            .condition_expression(
                "attribute_not_exists(#pk) OR #begunAt <= :forgotten \
                 OR (attribute_not_exists(#messageId) AND #begunAt <= :givenUp)",
            )
            .set_expression_attribute_names(names(&["pk", "begunAt", "messageId"]))
            .set_expression_attribute_values(values([
                (":forgotten", n(forgotten.as_millis())),
                (":givenUp", n(given_up.as_millis())),
            ]))
            .return_values_on_condition_check_failure(AllOld)
            .send()
            .await;
        let Err(error) = sent else { return Ok(Begun::New) };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(failure)) => {
                known(&failure.item.clone().unwrap_or_default(), submission, &writer)
            }
            _ => Err(failed(operation, &error)),
        }
    }

    async fn finish_one(&self, submission: &Submission, message_id: &str) -> Result<()> {
        let sent = (self.0.client.update_item().table_name(&self.0.name))
            .set_key(submission_key(submission))
            .update_expression("SET #messageId = :id")
            .condition_expression("attribute_exists(#begunAt)")
            .set_expression_attribute_names(names(&["messageId", "begunAt"]))
            .set_expression_attribute_values(values([(":id", s(message_id))]))
            .send()
            .await;
        was_made("control.finish", sent).map(drop)
    }

    async fn abandon_one(&self, submission: &Submission) -> Result<()> {
        let sent = (self.0.client.delete_item().table_name(&self.0.name))
            .set_key(submission_key(submission))
            .condition_expression("attribute_not_exists(#messageId)")
            .set_expression_attribute_names(names(&["messageId"]))
            .send()
            .await;
        match sent {
            Ok(_) => Ok(()),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(|e| e.is_conditional_check_failed_exception()) =>
            {
                Ok(())
            }
            Err(error) => Err(failed("control.abandon", &error)),
        }
    }
}

/// What the item that stands in the way says: `writer` is ours if the call was repeated.
fn known(item: &Item, submission: &Submission, writer: &str) -> Result<Begun> {
    let item = Reader { operation: "control.begin", item };
    if item.optional_text("writer")? == Some(writer) {
        return Ok(Begun::New);
    }
    if item.text("sha256")? != submission.sha256 {
        return Ok(Begun::Different);
    }
    Ok(item.optional_text("messageId")?.map_or(Begun::Busy, |id| Begun::Done(id.to_owned())))
}
