//! A queue that cannot be received from: the worker neither ends nor spins, and goes on by itself.

use std::sync::Arc;
use std::time::Duration;

use sealpost::telemetry::WorkerState;
use sealpost::worker::{self, Ended, Limits, Stop};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;
use crate::fault_proxy::Fault;

/// Most calls a second.
const MOST: f64 = 5.0;

fn run(bench: &Bench) -> (Stop, JoinHandle<Ended>) {
    let stop = Stop::default();
    let limits = Limits { concurrency: 16, drain: Duration::from_secs(5) };
    (stop.clone(), tokio::spawn(worker::run(Arc::clone(&bench.pipeline), limits, stop)))
}

async fn until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_may_not_receive_does_not_spin_says_so_and_goes_on_when_it_may() {
    // The SDK makes the first two three times before it gives up.
    for (fault, calls) in [
        (Fault::Refuse(400, "RequestThrottled"), 9),
        (Fault::Reset, 9),
        (Fault::Refuse(400, "AWS.SimpleQueueService.NonExistentQueue"), 5),
    ] {
        let Some(mut bench) = Bench::start(&[]).await else { return };
        bench.enqueue(1).await;
        bench.proxy.plan("ReceiveMessage", usize::MAX, fault);
        let begun = Instant::now();
        let (stop, running) = run(&bench);
        until(|| bench.proxy.calls("ReceiveMessage") >= calls).await;
        let took = begun.elapsed();
        let possible = MOST * took.as_secs_f64();
        assert!(calls as f64 <= possible, "{calls} calls in {took:?}");
        until(|| bench.app.tally.worker() == WorkerState::Failing).await;
        assert!(bench.app.tally.counts().faults > 0, "it is told");
        bench.proxy.heal();
        bench.calls.recv().await.unwrap();
        stop.soft.cancel();
        assert_eq!(running.await.unwrap(), Ended::Clean);
        assert_eq!(bench.app.tally.counts().delivered, 1, "without a restart");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_says_it_is_empty_and_is_not_is_asked_again() {
    let Some(mut bench) = Bench::start(&[]).await else { return };
    bench.enqueue(3).await;
    bench.proxy.plan("ReceiveMessage", 3, Fault::Say(json!({})));
    let (stop, running) = run(&bench);
    for _ in 0..3 {
        bench.calls.recv().await.unwrap();
    }
    stop.soft.cancel();
    assert_eq!(running.await.unwrap(), Ended::Clean);
    assert_eq!(bench.app.tally.counts().faults, 0);
}
