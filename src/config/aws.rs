//! `[aws]`: its presence chooses the AWS form. Credentials, region and endpoint are not settings of
//! ours: the SDK finds them by its own conventions.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::senders::Senders;

/// Where the AWS form keeps what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AwsConfig {
    /// The queue of jobs.
    pub queue_url: QueueUrl,
    /// The queue of dead letters.
    pub dead_letter_queue_url: QueueUrl,
    /// What the tables' names begin with.
    #[serde(default)]
    pub table_prefix: TablePrefix,
    /// The symmetric key that seals secrets: its id, its ARN or an alias.
    pub kms_key_id: KeyId,
    /// The keys with which other programs sealed values without an encryption context. No other key
    /// opens such a value.
    #[serde(default)]
    pub legacy_kms_key_ids: Vec<KeyId>,
    /// Who may send jobs for whom. Without it, whoever may send to the queue may for everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub senders: Option<Senders>,
}

impl AwsConfig {
    /// Whether the queue of jobs is a FIFO queue: the names of those end so, and no others do.
    pub fn is_fifo(&self) -> bool {
        self.queue_url.as_str().ends_with(".fifo")
    }

    /// The legacy keys' names.
    pub fn legacy_keys(&self) -> Vec<String> {
        self.legacy_kms_key_ids.iter().map(ToString::to_string).collect()
    }
}

/// A setting whose text does not have the expected form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {found:?}")]
pub struct Unexpected {
    expected: &'static str,
    found: String,
}

macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $check:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Unexpected;
            fn try_from(found: String) -> Result<Self, Unexpected> {
                if $check(&found) {
                    return Ok(Self(found));
                }
                Err(Unexpected { expected: $expected, found })
            }
        }
    };
}

checked_text!(
    /// The URL of an SQS queue.
    QueueUrl,
    "the URL of an SQS queue, as in https://sqs.eu-west-1.amazonaws.com/123456789012/jobs",
    is_queue
);
checked_text!(
    /// The beginning of the tables' names.
    TablePrefix,
    "at most 200 ASCII letters, digits, '-', '_' or '.'",
    is_table_prefix
);
checked_text!(
    /// A KMS key by id, ARN or alias.
    KeyId,
    "a KMS key id, a key ARN, an alias ARN or alias/<name>",
    is_key_id
);

impl Default for TablePrefix {
    fn default() -> Self {
        Self("sealpost-".to_owned())
    }
}

fn is_queue(text: &str) -> bool {
    let parsed = url::Url::parse(text);
    parsed.is_ok_and(|url| matches!(url.scheme(), "https" | "http") && url.path().len() > 1)
}

fn is_table_prefix(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    text.len() <= 200 && text.bytes().all(allowed)
}

fn is_key_id(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_/:".contains(&b);
    (1..=2048).contains(&text.len()) && text.bytes().all(allowed)
}
