//! Fences and dead letters in DynamoDB, in one table.

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;

use super::{Table, dead_letters, dry_runs, fan_outs, fences, tables};
use crate::domain::dead_letter::{DeadLetter, DeadLetterFilter};
use crate::domain::delivery::DeliveryKey;
use crate::domain::fan_out::FanOutKey;
use crate::domain::ids::EndpointId;
use crate::domain::timestamp::Timestamp;
use crate::ports::deliveries::{AttemptRecord, Claim, ClaimRequest, LetterClaim, LetterPage};
use crate::ports::{Deliveries, Result};

/// The deliveries of a table.
pub struct DynamoDeliveries(Table);

impl DynamoDeliveries {
    /// The deliveries of the tables that begin with `prefix`.
    pub fn new(client: &Client, prefix: &str) -> Self {
        Self(Table::new(client, prefix, tables::DELIVERIES.name))
    }
}

#[async_trait]
impl Deliveries for DynamoDeliveries {
    async fn claim(&self, request: ClaimRequest) -> Result<Claim> {
        fences::claim(&self.0, &request).await
    }

    async fn record(&self, key: &DeliveryKey, token: &str, record: &AttemptRecord) -> Result<bool> {
        fences::record(&self.0, key, token, record).await
    }

    async fn abandon(&self, key: &DeliveryKey, token: &str) -> Result<()> {
        fences::abandon(&self.0, key, token).await
    }

    async fn fan_out(&self, key: &FanOutKey, now: Timestamp) -> Result<Option<Vec<EndpointId>>> {
        fan_outs::get(&self.0, key, now).await
    }

    async fn fix_fan_out(
        &self,
        key: &FanOutKey,
        endpoints: &[EndpointId],
        now: Timestamp,
    ) -> Result<Vec<EndpointId>> {
        fan_outs::fix(&self.0, key, endpoints, now).await
    }

    /// Does nothing: the table removes both by itself, through the attribute `ttl`.
    async fn forget_fences(&self, _before: Timestamp) -> Result<u64> {
        Ok(0)
    }

    async fn put_dead_letter(&self, letter: &DeadLetter) -> Result<()> {
        dead_letters::put(&self.0, letter).await
    }

    async fn get_dead_letter(&self, id: &str) -> Result<Option<DeadLetter>> {
        dead_letters::get(&self.0, id).await
    }

    async fn scan_dead_letters(
        &self,
        filter: &DeadLetterFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<LetterPage> {
        dead_letters::scan(&self.0, filter, after, limit).await
    }

    async fn claim_dead_letters(
        &self,
        letters: &[DeadLetter],
        claim: &LetterClaim,
        now: Timestamp,
    ) -> Result<Vec<String>> {
        dead_letters::claim(&self.0, letters, claim, now).await
    }

    async fn remove_dead_letters(&self, letters: &[DeadLetter]) -> Result<()> {
        dead_letters::remove(&self.0, letters).await
    }

    async fn put_dry_run(&self, id: &str, answer: &str, until: Timestamp) -> Result<()> {
        dry_runs::put(&self.0, id, answer, until).await
    }

    async fn take_dry_run(&self, id: &str, now: Timestamp) -> Result<Option<String>> {
        dry_runs::take(&self.0, id, now).await
    }
}
