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
const MOST: u32 = 5;

fn run(bench: &Bench) -> (Stop, JoinHandle<Ended>) {
    let stop = Stop::default();
    let limits = Limits { concurrency: 16, drain: Duration::from_secs(5) };
    (stop.clone(), tokio::spawn(worker::run(Arc::clone(&bench.pipeline), limits, stop)))
}

async fn until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_may_not_receive_does_not_spin_says_so_and_goes_on_when_it_may() {
    for fault in [
        Fault::Refuse(400, "RequestThrottled"),
        Fault::Reset,
        Fault::Refuse(400, "AWS.SimpleQueueService.NonExistentQueue"),
    ] {
        let Some(mut bench) = Bench::start(&[]).await else { return };
        bench.enqueue(1).await;
        bench.proxy.plan("ReceiveMessage", usize::MAX, fault);
        let begun = Instant::now();
        let (stop, running) = run(&bench);
        let calls = 9;
        until(|| bench.proxy.calls("ReceiveMessage") >= calls).await;
        let took = begun.elapsed();
        // The calls that came in the last moment are not counted against the time before.
        let possible = MOST * (took.as_secs() as u32 + 1);
        assert!(calls <= possible as usize, "{calls} calls in {took:?}");
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
