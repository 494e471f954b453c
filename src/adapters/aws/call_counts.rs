//! Counts the operations of AWS that its clients make, and what came of each.

use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeSerializationInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};
use serde::Deserialize;
use tokio::time::Instant;

use super::classify::{Kind, by_code, by_status};
use crate::telemetry::metrics::{Counter, Histogram};

/// The operations, each with its service, that we make. Others are counted as the last.
const OPERATIONS: [(&str, &str); 29] = [
    ("sqs", "ReceiveMessage"),
    ("sqs", "SendMessageBatch"),
    ("sqs", "DeleteMessageBatch"),
    ("sqs", "ChangeMessageVisibilityBatch"),
    ("sqs", "GetQueueAttributes"),
    ("sqs", "StartMessageMoveTask"),
    ("sqs", "ListMessageMoveTasks"),
    ("sqs", "CancelMessageMoveTask"),
    ("dynamodb", "GetItem"),
    ("dynamodb", "PutItem"),
    ("dynamodb", "UpdateItem"),
    ("dynamodb", "DeleteItem"),
    ("dynamodb", "Query"),
    ("dynamodb", "Scan"),
    ("dynamodb", "BatchGetItem"),
    ("dynamodb", "BatchWriteItem"),
    ("dynamodb", "TransactWriteItems"),
    ("dynamodb", "CreateTable"),
    ("dynamodb", "DescribeTable"),
    ("dynamodb", "DescribeTimeToLive"),
    ("dynamodb", "UpdateTimeToLive"),
    ("kms", "Decrypt"),
    ("kms", "Encrypt"),
    ("kms", "GenerateDataKey"),
    ("kms", "ReEncrypt"),
    ("sts", "AssumeRole"),
    ("secretsmanager", "GetSecretValue"),
    ("ssm", "GetParameter"),
    ("other", "other"),
];

/// What may come of one, in the order of the counters.
const RESULTS: [&str; 10] = [
    "ok",
    "condition_failed",
    "throttled",
    "access_denied",
    "credentials",
    "not_found",
    "key_unusable",
    "unreachable",
    "service_fault",
    "refused",
];

/// The counters of one operation.
#[derive(Debug)]
struct Counts {
    results: [Counter; RESULTS.len()],
    seconds: Histogram,
}

/// The operations that were made since the process began.
#[derive(Debug)]
pub struct CallCounts(Box<[Counts]>);

impl Default for CallCounts {
    fn default() -> Self {
        let new =
            |_| Counts { results: Default::default(), seconds: Histogram::new(Histogram::REQUEST) };
        Self(OPERATIONS.iter().map(new).collect())
    }
}

/// One operation with what came of it.
pub struct Made<'c> {
    /// The service, as in `sqs`.
    pub service: &'static str,
    /// The operation, as in `ReceiveMessage`.
    pub operation: &'static str,
    /// How often each result came.
    pub results: Vec<(&'static str, u64)>,
    /// How long they took.
    pub seconds: &'c Histogram,
}

impl CallCounts {
    /// Every operation that was made.
    pub fn made(&self) -> impl Iterator<Item = Made<'_>> {
        OPERATIONS.iter().zip(&self.0).filter(|(_, counts)| !counts.seconds.is_empty()).map(
            |((service, operation), Counts { results, seconds })| {
                let results = RESULTS.into_iter().zip(results.iter().map(Counter::get)).collect();
                Made { service, operation, results, seconds }
            },
        )
    }

    fn note(&self, service: &str, operation: &str, result: usize, took: Duration) {
        let is_it = |(s, o): &(&str, &str)| *o == operation && s.eq_ignore_ascii_case(service);
        let index = OPERATIONS.iter().position(is_it).unwrap_or(OPERATIONS.len() - 1);
        self.0[index].results[result].one();
        self.0[index].seconds.observe(took);
    }
}

/// What the SDK tells of each operation.
#[derive(Debug)]
pub struct CountCalls(pub Arc<CallCounts>);

/// When an operation was begun.
#[derive(Debug)]
struct Begun(Instant);

impl Storable for Begun {
    type Storer = StoreReplace<Self>;
}

impl Intercept for CountCalls {
    fn name(&self) -> &'static str {
        "CountCalls"
    }

    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        config.interceptor_state().store_put(Begun(Instant::now()));
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let took = config.load::<Begun>().map_or(Duration::ZERO, |begun| begun.0.elapsed());
        if let Some(of) = config.load::<Metadata>() {
            // Services are named as the SDK's configuration spells them.
            let service = of.service().replace(' ', "");
            self.0.note(&service, of.name(), result(context), took);
        }
        Ok(())
    }
}

/// What came of an operation: its place among [`RESULTS`].
fn result(context: &FinalizerInterceptorContextRef<'_>) -> usize {
    #[derive(Deserialize)]
    struct Refusal<'a> {
        #[serde(rename = "__type")]
        code: std::borrow::Cow<'a, str>,
    }
    if let Some(Ok(_)) = context.output_or_error() {
        return 0;
    }
    let Some(response) = context.response() else { return place(Kind::Unreachable) };
    let status = response.status().as_u16();
    let body = response.body().bytes().unwrap_or_default();
    let Ok(refusal) = serde_json::from_slice::<Refusal<'_>>(body) else {
        return place(by_status(status));
    };
    let code = refusal.code.rsplit('#').next().unwrap_or_default();
    match code {
        "ConditionalCheckFailedException" | "TransactionCanceledException" => 1,
        code => place(by_code(code, status)),
    }
}

fn place(kind: Kind) -> usize {
    match kind {
        Kind::Throttled => 2,
        Kind::AccessDenied => 3,
        Kind::Credentials => 4,
        Kind::NotFound => 5,
        Kind::KeyUnusable => 6,
        Kind::Unreachable => 7,
        Kind::ServiceFault => 8,
        Kind::Refused => 9,
    }
}
