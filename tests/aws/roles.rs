//! Credentials of roles, against a server that answers as AWS STS does ("AssumeRole", AWS STS API
//! Reference): the emulator has no STS.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sqs::config::{Credentials, SharedCredentialsProvider};
use sealpost::adapters::aws::client::timeouts;
use sealpost::adapters::aws::{Clients, Failure, Kind, StsRoles};
use sealpost::domain::aws_role::{AwsCredentials, AwsRole, RoleRefused};
use sealpost::domain::timestamp::Timestamp;
use sealpost::ports::{AwsRoles, Clock, Result};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::receiver::{Call, listen};

const ROLE: &str = "arn:aws:iam::123456789012:role/webhooks";
/// 2015-08-30T12:36:00Z.
const NOW: i64 = 1_440_938_160_000;

/// A clock that the test moves.
struct Moved(Mutex<Timestamp>);

impl Moved {
    fn to(&self, after: Duration) {
        *self.0.lock().unwrap() = Timestamp::from_millis(NOW).plus(after);
    }
}

impl Clock for Moved {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

struct Bench {
    roles: StsRoles,
    clock: Arc<Moved>,
    calls: UnboundedReceiver<Call>,
}

async fn bench(own: Option<Credentials>, answer: (u16, String)) -> Bench {
    let (url, calls) = listen(move |_| answer.clone()).await;
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .endpoint_url(url)
        .retry_config(aws_config::retry::RetryConfig::disabled())
        .timeout_config(timeouts(Duration::ZERO));
    config.set_credentials_provider(own.map(SharedCredentialsProvider::new));
    let clock = Arc::new(Moved(Mutex::new(Timestamp::from_millis(NOW))));
    let roles = StsRoles::new(&Clients::new(&config.build()), Arc::clone(&clock) as _);
    Bench { roles, clock, calls }
}

fn test_keys() -> Option<Credentials> {
    Some(Credentials::new("AKIDWORKER", "worker-key", None, None, "test"))
}

/// Credentials that end an hour after the beginning.
fn given() -> (u16, String) {
    let text = "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
        <AssumeRoleResult><Credentials><AccessKeyId>ASIAEXAMPLE</AccessKeyId>\
        <SecretAccessKey>role-key</SecretAccessKey><SessionToken>role-token</SessionToken>\
        <Expiration>2015-08-30T13:36:00Z</Expiration></Credentials></AssumeRoleResult>\
        </AssumeRoleResponse>";
    (200, text.to_owned())
}

fn refused(status: u16, code: &str) -> (u16, String) {
    let text = format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error>\
         <Type>Sender</Type><Code>{code}</Code><Message>no</Message></Error>\
         <RequestId>id-1</RequestId></ErrorResponse>"
    );
    (status, text)
}

impl Bench {
    async fn ask(
        &self,
        role: &str,
        customer: &str,
    ) -> Result<std::result::Result<AwsCredentials, RoleRefused>> {
        let role: AwsRole = role.parse().unwrap();
        self.roles.credentials(&role, &customer.parse().unwrap()).await
    }

    /// The calls of STS since the last time.
    fn calls(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.calls.try_recv().ok())
            .map(|call| String::from_utf8(call.body).unwrap())
            .collect()
    }
}

#[tokio::test]
async fn a_role_is_assumed_with_the_customer_s_id_and_kept_until_shortly_before_its_end() {
    let mut bench = bench(test_keys(), given()).await;
    let credentials = bench.ask(ROLE, "customer-123").await.unwrap().unwrap();
    assert_eq!(credentials.access_key_id, "ASIAEXAMPLE");
    assert_eq!(credentials.secret_access_key.expose(), b"role-key");
    assert_eq!(credentials.session_token.unwrap().expose(), b"role-token");
    assert_eq!(credentials.expires_at.unwrap().as_millis(), NOW + 3_600_000);
    let calls = bench.calls();
    assert_eq!(calls.len(), 1);
    for part in [
        "Action=AssumeRole",
        "RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fwebhooks",
        "ExternalId=customer-123",
        "RoleSessionName=sealpost",
    ] {
        assert!(calls[0].split('&').any(|pair| pair == part), "{part}: {}", calls[0]);
    }
    bench.clock.to(Duration::from_secs(54 * 60));
    bench.ask(ROLE, "customer-123").await.unwrap().unwrap();
    assert_eq!(bench.calls().len(), 0, "it is kept");
    bench.clock.to(Duration::from_secs(56 * 60));
    bench.ask(ROLE, "customer-123").await.unwrap().unwrap();
    assert_eq!(bench.calls().len(), 1, "it would end too soon");
}

#[tokio::test]
async fn what_one_customer_was_given_no_other_gets() {
    let mut bench = bench(test_keys(), given()).await;
    for customer in ["customer-1", "customer-2"] {
        bench.ask(ROLE, customer).await.unwrap().unwrap();
        let calls = bench.calls();
        assert!(calls[0].contains(&format!("ExternalId={customer}")), "{calls:?}");
    }
}

#[tokio::test]
async fn callers_that_ask_at_the_same_time_share_one_call() {
    let mut bench = bench(test_keys(), given()).await;
    let asked = (0..20).map(|_| bench.ask(ROLE, "customer-1"));
    for answer in futures_util::future::join_all(asked).await {
        assert!(answer.unwrap().is_ok());
    }
    assert_eq!(bench.calls().len(), 1);
}

#[tokio::test]
async fn a_role_that_may_not_be_assumed_is_the_configuration_s_fault_and_asked_for_again_later() {
    for code in ["AccessDenied", "ValidationError"] {
        let mut bench = bench(test_keys(), refused(403, code)).await;
        let refusal = bench.ask(ROLE, "customer-123").await.unwrap().err().unwrap().to_string();
        assert!(refusal.contains(ROLE) && refusal.contains("customer-123"), "{refusal}");
        assert!(refusal.contains(code), "{refusal}");
        assert!(bench.ask(ROLE, "customer-123").await.unwrap().is_err());
        assert_eq!(bench.calls().len(), 1);
        bench.clock.to(Duration::from_secs(31));
        assert!(bench.ask(ROLE, "customer-123").await.unwrap().is_err());
        assert_eq!(bench.calls().len(), 1);
    }
}

#[tokio::test]
async fn every_other_failure_is_ours_and_never_kept() {
    let kinds = [
        (403, "ExpiredToken", Kind::Credentials),
        (403, "InvalidClientTokenId", Kind::Credentials),
        (400, "Throttling", Kind::Throttled),
        (500, "InternalFailure", Kind::ServiceFault),
    ];
    for (status, code, kind) in kinds {
        let mut bench = bench(test_keys(), refused(status, code)).await;
        for _ in 0..2 {
            let error = bench.ask(ROLE, "customer-123").await.err().unwrap();
            assert_eq!(error.source.downcast_ref::<Failure>().unwrap().kind, kind, "{error}");
            assert_eq!(bench.calls().len(), 1);
        }
    }
}

#[tokio::test]
async fn the_worker_s_own_credentials_are_those_of_its_configuration() {
    let mut bench = bench(test_keys(), given()).await;
    let own = bench.ask("worker", "customer-123").await.unwrap().unwrap();
    assert_eq!(own.access_key_id, "AKIDWORKER");
    assert_eq!(own.secret_access_key.expose(), b"worker-key");
    assert!(own.session_token.is_none() && own.expires_at.is_none());
    assert_eq!(bench.calls().len(), 0);
}

#[tokio::test]
async fn without_credentials_of_its_own_the_worker_has_none_to_give() {
    let bench = bench(None, given()).await;
    let error = bench.ask("worker", "customer-123").await.err().unwrap();
    assert!(error.to_string().contains("no credentials are configured"), "{error}");
}
