//! Answers that come late, or too late. From the moment that an answer is held, the test's time goes on by
//! leaps.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use sealpost::adapters::aws::Clients;

use super::*;
use crate::fault_proxy::{Fault, FaultProxy};

const SECOND: Duration = Duration::from_secs(1);

/// Clients that make each call once.
fn once(proxy: &FaultProxy) -> Clients {
    let config = proxy.clients().config.into_builder();
    Clients::new(&config.retry_config(RetryConfig::disabled()).build())
}

async fn leap(by: Duration) {
    tokio::time::pause();
    tokio::time::advance(by).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_poll_whose_answer_comes_after_24_seconds_loses_no_message() {
    let Some(bench) = Bench::with(&[], once).await else { return };
    bench.enqueue(3).await;
    bench.proxy.plan("ReceiveMessage", 1, Fault::Hold);
    let queue = std::sync::Arc::clone(&bench.app.queue);
    let polling = tokio::spawn(async move { queue.receive(10, 20 * SECOND).await });
    bench.proxy.holds(1).await;
    leap(24 * SECOND).await;
    bench.proxy.release();
    let mut received = polling.await.unwrap().unwrap();
    while received.is_empty() {
        received = bench.app.queue.receive(10, 20 * SECOND).await.unwrap();
    }
    assert_eq!(received.len(), 3);
    assert!(received.iter().all(|message| message.receive_count == 1), "the first receipt");
}

#[tokio::test]
async fn a_store_that_does_not_answer_in_time_costs_the_job_a_wait_and_no_attempt() {
    for operation in ["GetItem", "Decrypt"] {
        let Some(mut bench) = Bench::with(&[], once).await else { return };
        bench.enqueue(1).await;
        bench.proxy.plan(operation, 1, Fault::Hold);
        let message = bench.receive().await.remove(0);
        let pipeline = std::sync::Arc::clone(&bench.pipeline);
        let delivery = tokio::spawn(async move {
            pipeline.deliver(&message, &tokio_util::sync::CancellationToken::new()).await;
        });
        bench.proxy.holds(1).await;
        // The time that one call may take.
        leap(5 * SECOND + SECOND / 2).await;
        delivery.await.unwrap();
        bench.proxy.release();
        let counts = bench.app.tally.counts();
        assert_eq!((counts.faults, counts.retried, counts.delivered), (1, 0, 0), "{operation}");
        assert!(bench.called().is_empty(), "{operation}: nothing was sent");
        bench.clock.advance(MINUTE);
        bench.deliver_all().await;
        assert_eq!(bench.called()["job-0"], 1, "{operation}");
    }
}

#[tokio::test]
async fn a_key_service_that_is_slow_for_one_secret_keeps_no_other_waiting() {
    let Some(mut bench) = Bench::with(&[], once).await else { return };
    bench.put_endpoint("f", "slow-secret").await;
    bench.proxy.plan_about("slow-secret", "Decrypt", 1, Fault::Hold);
    bench.enqueue_for("f", "job-slow").await;
    let slow = bench.receive().await.remove(0);
    let pipeline = std::sync::Arc::clone(&bench.pipeline);
    let delivery = tokio::spawn(async move {
        pipeline.deliver(&slow, &tokio_util::sync::CancellationToken::new()).await;
    });
    bench.proxy.holds(1).await;
    bench.enqueue(3).await;
    for message in bench.receive().await {
        bench.deliver(&message).await;
    }
    assert_eq!(bench.called().len(), 3, "the others were delivered meanwhile");
    leap(5 * SECOND + SECOND / 2).await;
    delivery.await.unwrap();
    assert_eq!(bench.app.tally.counts().faults, 1, "it was not waited for any longer");
    bench.proxy.release();
    bench.clock.advance(MINUTE);
    bench.deliver_all().await;
    assert_eq!(bench.called()["job-slow"], 1);
}
