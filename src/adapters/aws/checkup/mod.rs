//! Looks at queues, tables and keys from the outside, for `sealpost doctor`: with calls that change nothing
//! and send nothing. What the role may not look at is said to be skipped, with the right that it would take:
//! no worker has the right to describe a table or a key, and none needs it.

mod access;
mod keys;
mod queues;
mod tables;

use futures_util::FutureExt;

use super::classify::{Failure, Kind};
use super::client::Clients;
use crate::domain::check::{self, Check, Duty, Subject, look};
use crate::domain::senders::Senders;

/// What is looked at: the settings of the AWS form.
#[derive(Debug, Clone)]
pub struct Resources {
    /// The queue of jobs.
    pub queue_url: String,
    /// The queue of dead letters.
    pub dead_letter_queue_url: String,
    /// What the tables' names begin with.
    pub table_prefix: String,
    /// The key that seals.
    pub key: String,
    /// The keys of values without a context.
    pub legacy_keys: Vec<String>,
    /// Who may send for whom, if anybody says.
    pub senders: Option<Senders>,
    /// Receipts after which a worker gives a message up.
    pub max_receives: u32,
}

/// Looks at everything. What fails keeps nothing else from being looked at.
pub async fn examine(resources: &Resources, duty: Option<Duty>) -> Vec<Check> {
    let clients = match Clients::load().await {
        Ok(clients) => clients,
        Err(error) => return vec![not_configured(&error)],
    };
    let mut checks = credentials(&clients).await;
    let (queues, tables, keys, access) = tokio::join!(
        queues::examine(&clients.sqs, resources).boxed(),
        tables::examine(&clients.dynamodb, &resources.table_prefix).boxed(),
        keys::examine(&clients.kms, &resources.key, &resources.legacy_keys).boxed(),
        access::examine(&clients, resources, duty).boxed(),
    );
    checks.extend(queues.into_iter().chain(tables).chain(keys).chain(access));
    checks.push(clock(&clients));
    checks
}

fn not_configured(error: &crate::ports::Error) -> Check {
    look("aws.region", "AWS_REGION, or `region` of the AWS profile").failed(
        error.source.to_string(),
        "a region",
        "set AWS_REGION to the region of the queues",
    )
}

async fn credentials(clients: &Clients) -> Vec<Check> {
    use aws_credential_types::provider::ProvideCredentials;
    let region = clients.config.region().map(ToString::to_string).unwrap_or_default();
    let region = look("aws.region", "AWS_REGION, or `region` of the AWS profile").ok(region);
    let subject = look("aws.credentials", "AWS_* variables, the AWS profile, the role");
    let mend = "give the process a role, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
    let (found, expected) = match &clients.credentials {
        None => ("none are configured".to_owned(), "credentials"),
        Some(provider) => match provider.provide_credentials().await {
            // An access key's id is no secret; it is what CloudTrail names.
            Ok(found) => return vec![region, subject.ok(format!("key {}", found.access_key_id()))],
            Err(error) => (Failure::of_credentials(&error).to_string(), "credentials"),
        },
    };
    vec![region, subject.failed(found, expected, mend)]
}

fn clock(clients: &Clients) -> Check {
    let subject = look("clock.skew", "this machine's clock against AWS's");
    match clients.skew.last() {
        Some(seconds) => check::clock(subject, seconds),
        None => subject.skipped("AWS did not answer"),
    }
}

/// What a call that failed says of what it was to look at. `right` is what the call needs.
fn unseen(subject: Subject, failure: &Failure, right: &str) -> Check {
    match failure.kind {
        Kind::AccessDenied => subject.skipped(format!(
            "the role may not look at it ({right}): look with the rights of whoever deploys it"
        )),
        Kind::NotFound => subject.failed(
            failure.to_string(),
            "it is there",
            "correct its name or AWS_REGION, or deploy it (infra/README.md)",
        ),
        Kind::Credentials => subject.failed(
            failure.to_string(),
            "credentials that AWS takes",
            "replace the credentials; if they are good, see clock.skew",
        ),
        Kind::Throttled
        | Kind::KeyUnusable
        | Kind::Unreachable
        | Kind::ServiceFault
        | Kind::Refused => subject.failed(
            failure.to_string(),
            "an answer",
            "see whether the network, AWS_ENDPOINT_URL and the region are right, and try again",
        ),
    }
}
