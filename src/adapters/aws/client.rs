//! The SDK's clients, configured by the SDK's own conventions.
//!
//! Credentials, region, endpoint and retries come from where every AWS tool takes them: environment
//! variables, the shared configuration files and their profile, container and instance roles
//! (`AWS_REGION`, `AWS_PROFILE`, `AWS_ENDPOINT_URL`, `AWS_MAX_ATTEMPTS` and the others of the "AWS
//! SDKs and Tools Reference Guide"). Only the timeouts are ours: the SDK waits for ever by default.

use std::sync::Arc;
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;

use super::call_counts::{CallCounts, CountCalls};
use super::skew::SkewWatch;
use crate::adapters::system::SystemClock;
use crate::ports::{Error, Result};

/// Longest time for one HTTP call. The services answer in milliseconds.
const ATTEMPT: Duration = Duration::from_secs(5);
/// Longest time for an operation with its retries: well under the lease of a message.
const OPERATION: Duration = Duration::from_secs(15);

/// One client for each service, over one connection pool and one source of credentials.
#[derive(Debug, Clone)]
pub struct Clients {
    /// Tables.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// Keys.
    pub kms: aws_sdk_kms::Client,
    /// Queues. A receive that waits takes [`timeouts`] of its own.
    pub sqs: aws_sdk_sqs::Client,
    /// Roles.
    pub sts: aws_sdk_sts::Client,
    /// What they were asked, counted.
    pub calls: Arc<CallCounts>,
    /// How far the clock is from theirs.
    pub skew: SkewWatch,
    /// What they were made of, for those that are made elsewhere.
    pub config: SdkConfig,
    /// The worker's own credentials; `None` if the configuration has none.
    pub credentials: Option<SharedCredentialsProvider>,
}

impl Clients {
    /// Loads the configuration. Credentials are fetched with the first call, and again by
    /// themselves before they expire.
    ///
    /// # Errors
    /// If no region is configured anywhere.
    pub async fn load() -> Result<Self> {
        // A dated version: an update of the SDK never changes the behaviour by itself.
        let loader = aws_config::defaults(BehaviorVersion::v2026_01_12());
        let config = loader.timeout_config(timeouts(Duration::ZERO)).load().await;
        if config.region().is_none() {
            let problem = "no region is configured: set AWS_REGION, or `region` in the AWS profile";
            return Err(Error::new("aws.configure", problem));
        }
        Ok(Self::new(&config))
    }

    /// Clients over a configuration of one's own.
    pub fn new(config: &SdkConfig) -> Self {
        let calls = Arc::new(CallCounts::default());
        let watch = SkewWatch::new(Arc::new(SystemClock));
        macro_rules! watched {
            ($sdk:ident) => {{
                let builder = $sdk::config::Builder::from(config).interceptor(watch.clone());
                let builder = builder.interceptor(CountCalls(Arc::clone(&calls)));
                // It looks at every call ten times a second, at long polls too; a call that stalls ends
                // with its timeout.
                let stalled = $sdk::config::StalledStreamProtectionConfig::disabled();
                let builder = builder.stalled_stream_protection(stalled);
                $sdk::Client::from_conf(builder.build())
            }};
        }
        Self {
            dynamodb: watched!(aws_sdk_dynamodb),
            kms: watched!(aws_sdk_kms),
            sqs: watched!(aws_sdk_sqs),
            sts: watched!(aws_sdk_sts),
            calls,
            skew: watch.clone(),
            config: config.clone(),
            credentials: config.credentials_provider(),
        }
    }
}

/// The timeouts of an operation that the service itself may hold for `wait`, as a long poll does.
pub fn timeouts(wait: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .operation_attempt_timeout(wait + ATTEMPT)
        .operation_timeout(wait + OPERATION)
        .build()
}
