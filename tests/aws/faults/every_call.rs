//! One kind of fault at one kind of call at a time.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use sealpost::adapters::aws::Clients;

use super::*;
use crate::fault_proxy::{Fault, FaultProxy};

const JOBS: usize = 3;
/// So often the SDK makes a call.
const ATTEMPTS: u32 = 2;

/// Every call that the delivery of a job makes that fails once.
const OPERATIONS: [&str; 6] = [
    "ReceiveMessage",
    "DeleteMessageBatch",
    "SendMessageBatch",
    "GetItem",
    // A claim, an outcome, and what is learnt of the endpoint.
    "UpdateItem",
    "Decrypt",
];

fn faults() -> [(&'static str, Fault); 6] {
    [
        ("throttled", Fault::Refuse(400, "ThrottlingException")),
        ("failed", Fault::Refuse(500, "InternalServerError")),
        ("denied", Fault::Refuse(400, "AccessDeniedException")),
        ("reset", Fault::Reset),
        ("answer lost", Fault::LoseAnswer),
        ("garbled", Fault::Garble),
    ]
}

/// Clients that do not wait long before they try again.
fn hasty(proxy: &FaultProxy) -> Clients {
    let retry = RetryConfig::standard().with_max_attempts(ATTEMPTS);
    let retry = retry.with_initial_backoff(Duration::from_millis(1));
    Clients::new(&proxy.clients().config.into_builder().retry_config(retry).build())
}

async fn survive(operation: &'static str, name: &str, fault: Fault) {
    let Some(mut bench) = Bench::with(&[503], hasty).await else { return };
    bench.enqueue(JOBS).await;
    // Two calls fail, however often the SDK repeats them.
    bench.proxy.plan(operation, 2 * ATTEMPTS as usize, fault);
    bench.deliver_all().await;
    let case = format!("{operation} {name}");
    let called = bench.called();
    assert_eq!(called.len(), JOBS, "{case}: every job was delivered");
    // Each attempt is claimed, so a copy of a message makes no call.
    assert!(called.values().all(|calls| *calls == 2), "{case}: {called:?}");
    assert!(bench.dead_letters().await.is_empty(), "{case}");
    let counts = bench.app.tally.counts();
    assert_eq!((counts.delivered, counts.retried), (3, 3), "{case}: no attempt was spent");
    assert!(bench.proxy.calls(operation) > 2, "{case}: the fault was met");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_at_any_call_of_sqs_loses_nothing_and_spends_no_attempt() {
    for operation in &OPERATIONS[..3] {
        for (name, fault) in faults() {
            survive(operation, name, fault).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_at_any_call_of_dynamodb_loses_nothing_and_spends_no_attempt() {
    for operation in &OPERATIONS[3..5] {
        for (name, fault) in faults() {
            survive(operation, name, fault).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_of_kms_loses_nothing_and_spends_no_attempt() {
    for (name, fault) in faults() {
        survive(OPERATIONS[5], name, fault).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_store_is_away_jobs_are_given_back_and_nothing_is_sent() {
    for operation in ["GetItem", "Decrypt"] {
        let Some(mut bench) = Bench::with(&[], hasty).await else { return };
        bench.enqueue(JOBS).await;
        bench.proxy.plan(operation, usize::MAX, Fault::Reset);
        // Ten minutes: the waits become longer with every time.
        for _ in 0..20 {
            for message in bench.receive().await {
                bench.deliver(&message).await;
            }
            bench.clock.advance(MINUTE / 2);
        }
        assert!(bench.called().is_empty(), "{operation}: nothing unsigned was sent");
        assert_eq!(bench.pending().await, JOBS as u64, "{operation}: nothing is lost");
        let faults = bench.app.tally.counts().faults;
        assert!((3..=60).contains(&faults), "{operation}: {faults} faults are told, not a storm");
        bench.proxy.heal();
        bench.clock.advance(10 * MINUTE);
        bench.deliver_all().await;
        let called = bench.called();
        assert_eq!(called.len(), JOBS, "{operation}: the same worker goes on");
        assert!(called.values().all(|calls| *calls == 1), "{operation}: {called:?}");
        assert_eq!(bench.app.tally.counts().retried, 0, "{operation}: no attempt was spent");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_of_a_batch_that_sqs_does_not_take_are_tried_again_alone() {
    let Some(mut bench) = Bench::start(&[503]).await else { return };
    bench.enqueue(JOBS).await;
    for operation in ["DeleteMessageBatch", "SendMessageBatch"] {
        bench.proxy.plan(
            operation,
            2,
            Fault::alter(|answer| {
                let done = answer["Successful"].as_array_mut().unwrap();
                let entry = done.pop().unwrap();
                answer["Failed"] = serde_json::json!([{"Id": entry["Id"], "Code": "InternalError",
                                                   "SenderFault": false}]);
            }),
        );
    }
    bench.deliver_all().await;
    let called = bench.called();
    assert_eq!(called.len(), JOBS);
    assert!(called.values().all(|calls| *calls == 2), "{called:?}");
    assert_eq!(bench.app.tally.counts().faults, 0, "it passed by itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_is_missing_ends_the_job_with_its_reason() {
    let Some(mut bench) = Bench::start(&[]).await else { return };
    bench.enqueue_for("nobody", "job-0").await;
    bench.deliver_all().await;
    let [letter] = &bench.dead_letters().await[..] else { panic!("one dead letter") };
    assert_eq!(letter.reason, sealpost::domain::reason::Reason::UnknownEndpoint);
    assert!(bench.called().is_empty());
}
