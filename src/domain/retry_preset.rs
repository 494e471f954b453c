//! Retry policies that are known by name.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::retry_policy::{RetryPolicy, StatusPattern, Waits};

/// A policy with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryPreset {
    /// 15 attempts in 3 days.
    Sealpost,
    /// The schedule of the Standard Webhooks specification ("Deliverability and reliability"), 5
    /// seconds to 24 hours, 75 hours in all.
    StandardWebhooks,
    /// Amazon EventBridge: 185 retries in 24 hours, and its statuses ("Retrying event delivery in
    /// Amazon EventBridge", "API destinations as targets in Amazon EventBridge").
    #[serde(rename = "eventbridge")]
    EventBridge,
    /// Svix's schedule ("Retry schedule"): 5 seconds to 10 hours, 27 hours in all.
    Svix,
    /// Stripe's span ("Receive Stripe events in your webhook endpoint"): growing waits for 3 days.
    Stripe,
}

const fn minutes(number: u64) -> Duration {
    Duration::from_secs(60 * number)
}

const fn hours(number: u64) -> Duration {
    minutes(60 * number)
}

impl RetryPreset {
    /// Every preset.
    pub const ALL: [Self; 5] =
        [Self::Sealpost, Self::StandardWebhooks, Self::EventBridge, Self::Svix, Self::Stripe];

    /// The policy.
    pub fn policy(self) -> RetryPolicy {
        let usual = RetryPolicy {
            max_attempts: 15,
            max_age: hours(72),
            waits: Waits::Doubling { base: Duration::from_secs(5), most: hours(12) },
            max_delay: hours(12),
            retry_on: [3, 4, 5].map(StatusPattern::Class).to_vec(),
            gone_disables: true,
            retry_unresolved: true,
            negative_retry_after_stops: false,
            retry_ambiguous: true,
        };
        let begin =
            [Duration::from_secs(5), minutes(5), minutes(30), hours(2), hours(5), hours(10)];
        match self {
            Self::Sealpost => usual,
            Self::StandardWebhooks => {
                let waits = [&begin[..], &[hours(14), hours(20), hours(24)]].concat();
                listed(waits, hours(96), usual)
            }
            Self::Svix => listed([&begin[..], &[hours(10)]].concat(), hours(48), usual),
            Self::EventBridge => RetryPolicy {
                max_attempts: 1 + 185,
                max_age: hours(24),
                // AWS documents "exponential back off and jitter" and no number. With these, the
                // waits of 185 retries are about 23 hours together.
                waits: Waits::Doubling { base: Duration::from_secs(5), most: minutes(15) },
                max_delay: hours(24),
                gone_disables: false,
                retry_unresolved: false,
                negative_retry_after_stops: true,
                retry_on: [401, 407, 409, 429]
                    .map(StatusPattern::Exactly)
                    .into_iter()
                    .chain([StatusPattern::Class(5)])
                    .collect(),
                ..usual
            },
            Self::Stripe => RetryPolicy {
                max_attempts: 16,
                waits: Waits::Doubling { base: minutes(5), most: hours(12) },
                ..usual
            },
        }
    }
}

fn listed(waits: Vec<Duration>, max_age: Duration, usual: RetryPolicy) -> RetryPolicy {
    RetryPolicy {
        max_attempts: u32::try_from(waits.len()).unwrap_or(u32::MAX).saturating_add(1),
        max_age,
        max_delay: hours(24),
        waits: Waits::Listed(waits),
        ..usual
    }
}
