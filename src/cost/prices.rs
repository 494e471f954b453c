//! A price file: who asks how much for what, since when, and who says so.

use serde::{Deserialize, Deserializer};
use toml::value::Datetime;

use super::money::{Dollars, Per};
use crate::domain::field::FieldError;

/// The prices of the article that the comparison starts from.
pub const ARTICLE: &str = include_str!("prices/article.toml");
/// AWS's list prices.
pub const TODAY: &str = include_str!("prices/us-east-1.toml");

/// A price list.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// What the list is called in the comparison.
    #[serde(deserialize_with = "words")]
    pub name: String,
    /// The day on which its prices held, as `2026-11-26`.
    #[serde(deserialize_with = "day")]
    pub date: String,
    /// The AWS Region in which they hold.
    #[serde(deserialize_with = "words")]
    pub region: String,
    /// What it costs to keep secrets and to read them.
    pub storage: StoragePrices,
    /// What it costs to deliver; left out where a list does not price it.
    pub delivery: Option<DeliveryPrices>,
}

/// What it costs to keep secrets and to read them, a month.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoragePrices {
    /// A secret in Secrets Manager.
    pub secrets_manager_secret: Price,
    /// A call of Secrets Manager.
    pub secrets_manager_call: Price,
    /// An advanced parameter; free are the standard ones.
    pub ssm_parameter: Price,
    /// A call that reads or writes an advanced parameter.
    pub ssm_call: Price,
    /// A KMS key.
    pub kms_key: Price,
    /// A call of KMS with a symmetric key.
    pub kms_call: Price,
    /// A byte in DynamoDB.
    pub dynamodb_storage: Price,
    /// Reads and writes in DynamoDB.
    pub dynamodb_requests: Requests,
}

/// What reads and writes in DynamoDB cost.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "WrittenRequests")]
pub enum Requests {
    /// One amount for all of them, whatever the usage.
    Assumed(Price),
    /// By what they read and write.
    Units(Units),
}

/// As a price file writes them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRequests {
    assumed: Option<Price>,
    units: Option<Units>,
}

impl TryFrom<WrittenRequests> for Requests {
    type Error = &'static str;

    fn try_from(written: WrittenRequests) -> Result<Self, Self::Error> {
        match (written.assumed, written.units) {
            (Some(price), None) => Ok(Self::Assumed(price)),
            (None, Some(units)) => Ok(Self::Units(units)),
            (None, None) => Err("expected `assumed` or `units`, and neither is there"),
            (Some(_), Some(_)) => Err("expected `assumed` or `units`, and both are there"),
        }
    }
}

/// Request units of DynamoDB, on demand.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Units {
    /// A consistent read of up to 4 KB.
    pub read: Price,
    /// A write of up to 1 KB.
    pub write: Price,
}

/// What it costs to deliver.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeliveryPrices {
    /// A call of SQS with up to 64 KB.
    pub sqs_call: Price,
    /// An event of up to 64 KB, put on an event bus.
    pub eventbridge_event: Price,
    /// An invocation of an API destination.
    pub eventbridge_invocation: Price,
    /// The secret that a connection makes in Secrets Manager.
    pub connection_secret: Price,
    /// A vCPU of Fargate for an hour.
    pub fargate_vcpu_hour: Price,
    /// A GB of memory of Fargate for an hour.
    pub fargate_gigabyte_hour: Price,
}

/// One price.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// How much.
    pub dollars: Dollars,
    /// For how many.
    pub per: Per,
    /// How many cost nothing each month.
    #[serde(default)]
    pub free: u64,
    /// Who says so.
    #[serde(deserialize_with = "words")]
    pub source: String,
    /// Whether it was looked up there.
    pub verified: bool,
}

impl Prices {
    /// Reads a price file.
    ///
    /// # Errors
    /// Names the key that is unknown, missing or wrong, and what was expected.
    pub fn parse(text: &str) -> Result<Self, FieldError> {
        let syntax = |e: toml::de::Error| FieldError::new("", e.to_string().trim());
        let document = toml::Deserializer::parse(text).map_err(syntax)?;
        serde_path_to_error::deserialize(document).map_err(|e| {
            let path = e.path().to_string();
            let path = if path == "." { String::new() } else { path };
            FieldError::new(path, e.inner().message())
        })
    }
}

/// Text that says something.
fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.trim().is_empty() {
        return Err(serde::de::Error::custom("expected some words"));
    }
    Ok(text)
}

/// A date of TOML, without a time.
fn day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let moment = Datetime::deserialize(deserializer)?;
    match (moment.date, moment.time) {
        (Some(date), None) => Ok(date.to_string()),
        (Some(_) | None, _) => {
            Err(serde::de::Error::custom(format!("{moment} is no day; expected one: 2026-11-26")))
        }
    }
}
