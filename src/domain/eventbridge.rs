//! What Amazon EventBridge tells of an event that it gave up, in the words of its dead-letter queues
//! ("Using dead-letter queues to process undelivered events in EventBridge").

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::dead_letter::DeadLetter;
use crate::domain::delivery::truncate;
use crate::domain::outcome::{Attempt, AttemptOutcome, Phase};
use crate::domain::reason::Reason;

/// The rule and the target that an endpoint stands for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RuleTarget {
    /// The rule's ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule_arn: Option<String>,
    /// The API destination's ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_arn: Option<String>,
}

impl RuleTarget {
    /// The rule's name: the end of its ARN.
    pub fn rule_name(&self) -> Option<&str> {
        self.rule_arn.as_deref().and_then(|arn| arn.rsplit('/').next())
    }
}

/// The names of the attributes.
pub const NAMES: [&str; 6] = [
    "ERROR_CODE",
    "ERROR_MESSAGE",
    "EXHAUSTED_RETRY_CONDITION",
    "RETRY_ATTEMPTS",
    "RULE_ARN",
    "TARGET_ARN",
];
/// Longest message in an attribute, in bytes.
const MAX_MESSAGE: usize = 1024;

/// The attributes that EventBridge puts on a message in a dead-letter queue.
pub fn attributes(letter: &DeadLetter, rule: &RuleTarget) -> BTreeMap<String, String> {
    let retries = letter.attempts.saturating_sub(1);
    let mut attributes = BTreeMap::from([
        ("ERROR_CODE".to_owned(), error_code(letter).to_owned()),
        ("ERROR_MESSAGE".to_owned(), sendable(&letter.message)),
        ("RETRY_ATTEMPTS".to_owned(), retries.to_string()),
    ]);
    let optional = [
        ("RULE_ARN", rule.rule_arn.as_deref()),
        ("TARGET_ARN", rule.target_arn.as_deref()),
        ("EXHAUSTED_RETRY_CONDITION", exhausted_condition(letter.reason)),
    ];
    for (name, value) in optional {
        attributes.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    }
    attributes
}

/// The text in the characters that SQS takes (Amazon SQS API Reference, "SendMessage").
fn sendable(text: &str) -> String {
    let is_sendable = |c: &char| match c {
        '\t' | '\n' | '\r' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        other => !other.is_control(),
    };
    let mut text: String = text.chars().filter(is_sendable).collect();
    truncate(&mut text, MAX_MESSAGE);
    text
}

/// Which limit of the retry policy ended the delivery, if one did.
fn exhausted_condition(reason: Reason) -> Option<&'static str> {
    match reason {
        Reason::AttemptsExhausted => Some("MaximumRetryAttempts"),
        Reason::TooOld | Reason::Expired => Some("MaximumEventAgeInSeconds"),
        Reason::MalformedJob
        | Reason::InvalidJob
        | Reason::OversizedJob
        | Reason::UnknownEndpoint
        | Reason::EndpointDisabled
        | Reason::InvalidEndpoint
        | Reason::UnknownSecret
        | Reason::SecretNotDecrypted
        | Reason::UnboundSecret
        | Reason::TenantKeyShredded
        | Reason::OriginNotAllowed
        | Reason::AuthFailed
        | Reason::EndpointDeauthorized
        | Reason::EndpointUnverified
        | Reason::TokenUnavailable
        | Reason::TransformFailed
        | Reason::InvalidRequest
        | Reason::Rejected
        | Reason::EndpointGone
        | Reason::Ambiguous
        | Reason::SenderNotAllowed
        | Reason::FanOutTooLarge
        | Reason::OrderNotKept
        | Reason::CrashLoop => None,
    }
}

/// One of the codes that AWS documents. It does not document which means what for API destinations.
fn error_code(letter: &DeadLetter) -> &'static str {
    match letter.reason {
        Reason::AttemptsExhausted
        | Reason::TooOld
        | Reason::Expired
        | Reason::Rejected
        | Reason::EndpointGone
        | Reason::Ambiguous => letter.history.last().map_or("UNKNOWN", code_of_attempt),
        Reason::TransformFailed | Reason::MalformedJob => "INVALID_JSON",
        Reason::InvalidJob
        | Reason::OversizedJob
        | Reason::InvalidEndpoint
        | Reason::InvalidRequest
        | Reason::OrderNotKept => "INVALID_PARAMETER",
        Reason::UnknownEndpoint | Reason::UnknownSecret | Reason::EndpointDisabled => "NO_RESOURCE",
        Reason::SecretNotDecrypted
        | Reason::UnboundSecret
        | Reason::TenantKeyShredded
        | Reason::OriginNotAllowed
        | Reason::AuthFailed
        | Reason::EndpointDeauthorized
        | Reason::EndpointUnverified
        | Reason::TokenUnavailable
        | Reason::SenderNotAllowed => "NO_PERMISSIONS",
        Reason::FanOutTooLarge => "RESOURCE_LIMIT_EXCEEDED",
        Reason::CrashLoop => "INTERNAL_ERROR",
    }
}

fn code_of_attempt(attempt: &Attempt) -> &'static str {
    match attempt.outcome {
        AttemptOutcome::Answered { status: 429, .. } => "THROTTLING",
        AttemptOutcome::Answered { .. } => "ERROR_FROM_TARGET",
        AttemptOutcome::Failed { phase } => match phase {
            Phase::ConnectTimeout | Phase::TlsTimeout | Phase::ResponseTimeout => "TIMEOUT",
            Phase::Dns | Phase::Blocked => "NO_RESOURCE",
            Phase::Connect | Phase::Tls | Phase::BeforeWrite => "CONNECTION_FAILURE",
            Phase::AfterWrite | Phase::Response => "SDK_CLIENT_ERROR",
        },
    }
}
