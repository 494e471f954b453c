//! What the adapter costs, in calls.

use std::sync::Arc;

use sealpost::ports::Queue;
use tokio::sync::Semaphore;

use super::*;
use crate::sqs::Sqs;

/// Jobs that are delivered.
const JOBS: usize = 2000;
/// Most deliveries at once.
const CONCURRENCY: usize = 256;

/// Calls a delivery may cost at its first attempt.
const MARK: f64 = 0.35;

/// Delivers as the worker does: with every free permit asks for messages, and settles each after
/// its call.
async fn deliver(queue: &Arc<impl Queue + 'static>, jobs: usize, call: Duration) {
    let permits = Arc::new(Semaphore::new(CONCURRENCY));
    let mut left = jobs;
    while left > 0 {
        let first = Arc::clone(&permits).acquire_owned().await.unwrap();
        let free = u32::try_from(permits.available_permits()).unwrap();
        let mut permit = Arc::clone(&permits).acquire_many_owned(free).await.unwrap();
        permit.merge(first);
        for message in queue.receive(permit.num_permits(), 20 * SECOND).await.unwrap() {
            let (own, queue) = (permit.split(1).unwrap(), Arc::clone(queue));
            left -= 1;
            // From half to one and a half of the time: room comes free one by one.
            let call = call.mul_f64(0.5 + (left % 97) as f64 / 97.0);
            tokio::spawn(async move {
                tokio::time::sleep(call).await;
                queue.acknowledge(&message.handle).await.unwrap();
                drop(own);
            });
        }
    }
    let all = u32::try_from(CONCURRENCY).unwrap();
    drop(permits.acquire_many(all).await.unwrap());
}

async fn cost(call: Duration) -> f64 {
    let sqs = Sqs::start().await;
    let queue = Arc::new(sqs.open().await);
    queue.send(vec![message("{}"); JOBS]).await.unwrap();
    let sends = sqs.emulator.calls("SendMessageBatch");
    assert_eq!(sends, 200, "ten in each");
    deliver(&queue, JOBS, call).await;
    assert_eq!(queue.depth().await.unwrap().pending, 0);
    let all = sqs.emulator.all_calls();
    let count = |name: &str| all.get(name).and_then(serde_json::Value::as_u64).unwrap_or(0);
    let (receives, deletes) = (count("ReceiveMessage"), count("DeleteMessageBatch"));
    println!("{call:?} a call: {receives} receives, {deletes} deletes for {JOBS} deliveries");
    (receives + deletes) as f64 / JOBS as f64
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_attempt_costs_at_most_its_share_of_calls() {
    for call in [Duration::from_millis(5), Duration::from_millis(100)] {
        let cost = cost(call).await;
        assert!(cost <= MARK, "{cost} calls a delivery, with calls of {call:?}");
    }
}

/// Not a mark: what a steady stream costs, which no backlog fills the polls of. Prints it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: takes seconds"]
async fn what_a_steady_stream_costs() {
    for rate in [50, 200, 1000] {
        let sqs = Sqs::start().await;
        let queue = Arc::new(sqs.open().await);
        let (producer, jobs) = (Arc::clone(&sqs), 3 * rate);
        let producing = tokio::spawn(async move {
            let mut pace = tokio::time::interval(SECOND / u32::try_from(rate).unwrap());
            for _ in 0..jobs {
                pace.tick().await;
                let send = producer.client.send_message().queue_url(&producer.jobs);
                tokio::spawn(send.message_body("{}").send());
            }
        });
        deliver(&queue, jobs, Duration::from_millis(50)).await;
        producing.await.unwrap();
        let (receives, deletes) =
            (sqs.emulator.calls("ReceiveMessage"), sqs.emulator.calls("DeleteMessageBatch"));
        let cost = (receives + deletes) as f64 / jobs as f64;
        println!("{rate} a second: {receives} receives, {deletes} deletes for {jobs}: {cost:.2}");
    }
}

#[tokio::test]
async fn an_idle_worker_makes_one_poll_at_a_time() {
    let sqs = Sqs::start().await;
    let queue = sqs.open().await;
    let waited = tokio::time::timeout(SECOND, queue.receive(256, 20 * SECOND)).await;
    assert!(waited.is_err(), "nothing came");
    assert_eq!(sqs.emulator.calls("ReceiveMessage"), 1);
    queue.send(vec![message("a")]).await.unwrap();
    assert_eq!(queue.receive(256, 20 * SECOND).await.unwrap().len(), 1);
    assert_eq!(sqs.emulator.calls("ReceiveMessage"), 1, "the same poll brought it");
}

#[tokio::test]
async fn leases_are_renewed_ten_in_a_call() {
    let sqs = Sqs::start().await;
    let queue = sqs.open().await;
    queue.send(vec![message("a"); 25]).await.unwrap();
    let mut handles = Vec::new();
    while handles.len() < 25 {
        handles.extend(receive(&queue).await.into_iter().map(|message| message.handle));
    }
    queue.acknowledge(&handles[0]).await.unwrap();
    queue.extend(&handles).await.unwrap();
    assert_eq!(sqs.emulator.calls("ChangeMessageVisibilityBatch"), 3);
}
