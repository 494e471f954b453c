//! How much is stored, read and delivered in a month, and how often that reaches AWS.

use std::time::Duration;

use crate::domain::field::FieldError;

/// A month of 730 hours, as AWS counts it.
pub(super) const HOURS: u128 = 730;
const SECONDS: u128 = HOURS * 3600;

/// What an item holds beside the secret's value: keys, the seal, attributes, DynamoDB's own part
/// (docs/AWS.md, "Cost": a secret of 40 bytes takes about 0.6 KB).
pub(super) const ITEM_OVERHEAD: u128 = 600;

/// A month's usage.
#[derive(Debug, Clone)]
pub struct Usage {
    /// Secrets that are kept.
    pub secrets: u64,
    /// Bytes of a secret's value.
    pub secret_bytes: u64,
    /// Customers whose secrets they are.
    pub customers: u64,
    /// Deliveries.
    pub deliveries: u64,
    /// Attempts for 1,000 deliveries.
    pub attempts_per_thousand: u64,
    /// Calls that read or write a secret where it is stored; one for each attempt if not given.
    pub api_calls: Option<u64>,
    /// Workers that run all the time.
    pub workers: u64,
    /// Of 100 secrets, how many take all the deliveries.
    pub hot_percent: u64,
    /// How long a worker uses a secret and an endpoint before it reads them anew (`cache.soft`).
    pub cache_refresh: Duration,
    /// How long a worker uses a value before it has it decrypted anew (`cache.hard`).
    pub cache_lifetime: Duration,
}

impl Default for Usage {
    /// The article's inputs, and the worker's defaults.
    fn default() -> Self {
        Self {
            secrets: 50_000,
            secret_bytes: 400,
            customers: 1_000,
            deliveries: 1_000_000,
            attempts_per_thousand: 1_000,
            api_calls: None,
            workers: 2,
            hot_percent: 10,
            cache_refresh: Duration::from_secs(30),
            cache_lifetime: Duration::from_secs(300),
        }
    }
}

impl Usage {
    /// Whether all numbers are ones that can be calculated with.
    ///
    /// # Errors
    /// Names the option that is out of bounds, and its bounds.
    pub fn check(&self) -> Result<(), FieldError> {
        let bounds = [
            ("--secrets", self.secrets, 0, 1_000_000_000),
            ("--secret-bytes", self.secret_bytes, 1, 65_536),
            ("--customers", self.customers, 0, 1_000_000_000),
            ("--deliveries-per-month", self.deliveries, 0, 1_000_000_000_000),
            ("--attempts-per-delivery", self.attempts_per_thousand.div_ceil(1_000), 1, 1_000),
            ("--api-calls-per-month", self.api_calls.unwrap_or(0), 0, 1_000_000_000_000_000),
            ("--workers", self.workers, 0, 100_000),
            ("--hot-percent", self.hot_percent, 0, 100),
            ("--cache-refresh (in seconds)", self.cache_refresh.as_secs(), 1, 86_400),
            ("--cache-lifetime (in seconds)", self.cache_lifetime.as_secs(), 1, 86_400),
        ];
        for (option, given, least, most) in bounds {
            if given < least || given > most {
                let problem = format!("expected {least} to {most}, not {given}");
                return Err(FieldError::new(option, problem));
            }
        }
        if self.attempts_per_thousand < 1_000 {
            let problem = "expected 1 or more: a delivery is at least one attempt";
            return Err(FieldError::new("--attempts-per-delivery", problem));
        }
        Ok(())
    }

    /// Attempts in a month.
    pub(super) fn attempts(&self) -> u128 {
        (u128::from(self.deliveries) * u128::from(self.attempts_per_thousand)).div_ceil(1_000)
    }

    /// Attempts that were not the first.
    pub(super) fn retries(&self) -> u128 {
        self.attempts() - u128::from(self.deliveries)
    }

    /// Calls that read or write a secret where it is stored, with nothing cached.
    pub(super) fn api_calls(&self) -> u128 {
        self.api_calls.map_or_else(|| self.attempts(), u128::from)
    }

    /// Secrets that take all the deliveries.
    pub(super) fn hot_secrets(&self) -> u128 {
        (u128::from(self.secrets) * u128::from(self.hot_percent)).div_ceil(100)
    }

    /// How often workers ask for one of `count` things that each keeps for `lifetime`: at most once
    /// in that time, worker and thing, and at most once for each of `uses`.
    pub(super) fn cached(&self, count: u128, lifetime: Duration, uses: u128) -> u128 {
        let lifetimes = SECONDS.div_ceil(u128::from(lifetime.as_secs().max(1)));
        uses.min(count * u128::from(self.workers) * lifetimes)
    }

    /// Polls of workers that find nothing, at most: each waits 20 seconds.
    pub(super) fn idle_polls(&self) -> u128 {
        u128::from(self.workers) * SECONDS / 20
    }

    /// Deliveries a second, on average.
    pub(super) fn deliveries_a_second(&self) -> u128 {
        u128::from(self.deliveries) / SECONDS
    }

    /// Bytes of a secret's item in DynamoDB.
    pub(super) fn item_bytes(&self) -> u128 {
        u128::from(self.secret_bytes) + ITEM_OVERHEAD
    }

    /// Request units to read a secret's item, consistently.
    pub(super) fn read_units(&self) -> u128 {
        self.item_bytes().div_ceil(4_096)
    }

    /// Request units to write a secret's item.
    pub(super) fn write_units(&self) -> u128 {
        self.item_bytes().div_ceil(1_024)
    }
}
