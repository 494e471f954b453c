//! What an SQS queue says of itself.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName as Name;
use serde::Deserialize;

use super::batched::{is_fifo, naming};
use crate::adapters::aws::Failure;

/// What a message may have without a limit of the queue's own (Amazon SQS Developer Guide, "Amazon
/// SQS message quotas").
const DEFAULT_LIMIT: usize = 1_048_576;
const DEFAULT_LEASE: Duration = Duration::from_secs(30);

/// A queue's attributes.
pub struct QueueFacts {
    /// The queue's URL.
    pub url: String,
    /// Whether it is a FIFO queue.
    pub keeps_order: bool,
    /// When and where it moves by itself what crashes every receiver.
    pub redrives: Option<RedrivePolicy>,
    attributes: HashMap<Name, String>,
}

/// The queue attribute of that name (Amazon SQS API Reference, "SetQueueAttributes").
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RedrivePolicy {
    dead_letter_target_arn: String,
    /// AWS writes a number; other tools wrote a text.
    max_receive_count: serde_json::Value,
}

impl RedrivePolicy {
    /// Whether messages go to the queue at `url`: both end with the queue's name.
    pub fn leads_to(&self, url: &str) -> bool {
        let name = self.dead_letter_target_arn.rsplit(':').next();
        name.is_some() && name == url.rsplit('/').next()
    }

    /// After how many receipts.
    pub fn most_receipts(&self) -> Option<u64> {
        let count = &self.max_receive_count;
        count.as_u64().or_else(|| count.as_str()?.parse().ok())
    }
}

impl QueueFacts {
    /// Asks the queue.
    pub async fn ask(client: &Client, url: &str) -> Result<Self, Failure> {
        let request = client.get_queue_attributes().queue_url(url);
        let output = request.attribute_names(Name::All).send().await;
        let output = output.map_err(|error| naming(url, Failure::of(&error)))?;
        let attributes = output.attributes.unwrap_or_default();
        let policy = attributes.get(&Name::RedrivePolicy);
        let redrives = policy.and_then(|json| serde_json::from_str(json).ok());
        Ok(Self { url: url.to_owned(), keeps_order: is_fifo(url), redrives, attributes })
    }

    /// What a receipt is leased for.
    pub fn lease(&self) -> Duration {
        self.seconds(Name::VisibilityTimeout).unwrap_or(DEFAULT_LEASE)
    }

    /// Most bytes of a message, body and attributes together.
    pub fn limit(&self) -> usize {
        let limit = self.number(Name::MaximumMessageSize).and_then(|n| usize::try_from(n).ok());
        limit.unwrap_or(DEFAULT_LIMIT)
    }

    /// How long it keeps a message; `None` if it does not say.
    pub fn retention(&self) -> Option<Duration> {
        self.seconds(Name::MessageRetentionPeriod)
    }

    /// An attribute that is a number of seconds.
    pub fn seconds(&self, name: Name) -> Option<Duration> {
        self.number(name).map(Duration::from_secs)
    }

    /// Whether an attribute has this value.
    pub fn says(&self, name: Name, value: &str) -> bool {
        self.text(name).is_some_and(|said| said == value)
    }

    /// An attribute as it came.
    pub fn text(&self, name: Name) -> Option<&str> {
        self.attributes.get(&name).map(String::as_str)
    }

    fn number(&self, name: Name) -> Option<u64> {
        self.text(name)?.parse().ok()
    }
}
