//! The worker over SQS: its loop, its sweeper and its stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use sealpost::adapters::aws::sqs::SqsQueue;
use sealpost::app::{App, Role};
use sealpost::config::Config;
use sealpost::delivery::Pipeline;
use sealpost::domain::dead_letter::{DeadLetter, DeadLetterFilter};
use sealpost::domain::delivery::{DeliveryState, dead_letter_id_of_message};
use sealpost::domain::dry_run::DryRun;
use sealpost::domain::endpoint::Endpoint;
use sealpost::domain::reason::Reason;
use sealpost::ports::queue::Redrive;
use sealpost::worker::{self, Ended, Limits, Stop, sweeper};
use tokio::task::JoinHandle;

use super::*;
use crate::receiver::{Call, listen};
use crate::sqs::{LEASE, MOST_RECEIPTS, Sqs};

const MINUTE: Duration = Duration::from_secs(60);
const JOB: &str = r#"{"customerId":"c","endpointId":"e","data":1}"#;

/// A worker whose stores are embedded and whose queue is SQS.
struct Worker {
    app: App,
    pipeline: Arc<Pipeline>,
    _dir: tempfile::TempDir,
}

impl Worker {
    async fn new(sqs: &Arc<Sqs>, url: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.egress.allow_http = true;
        config.egress.allow = vec!["127.0.0.1/32".parse().unwrap()];
        config.egress.ports = vec!["1-65535".parse().unwrap()];
        let clock = Arc::clone(sqs) as _;
        let app = App::embedded_with_clock(dir.path(), config, Role::Worker, clock).await.unwrap();
        let endpoint = format!(r#"{{"customerId":"c","endpointId":"e","url":"{url}/hook"}}"#);
        let endpoint = Endpoint::from_json(&endpoint).unwrap();
        app.endpoints.put(endpoint, None, app.clock.now()).await.unwrap();
        let mut pipeline = app.pipeline().unwrap();
        pipeline.queue = Arc::new(sqs.open().await);
        Self { app, pipeline: Arc::new(pipeline), _dir: dir }
    }

    fn run(&self) -> (Stop, JoinHandle<Ended>) {
        let stop = Stop::default();
        let limits = Limits { concurrency: 128, drain: 5 * SECOND };
        (stop.clone(), tokio::spawn(worker::run(Arc::clone(&self.pipeline), limits, stop)))
    }
}

async fn crash_until_given_up(sqs: &Sqs, queue: &SqsQueue) {
    for _ in 0..MOST_RECEIPTS {
        one(queue).await;
        sqs.advance(LEASE);
    }
    assert!(receive(queue).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_a_foreign_producer_are_delivered_at_the_price_of_the_mark() {
    let sqs = Sqs::start().await;
    let (origin, mut calls) = listen(|_| (200, String::new())).await;
    let worker = Worker::new(&sqs, &origin).await;
    let jobs = 500u64;
    worker.pipeline.queue.send(vec![message(JOB); 500]).await.unwrap();
    let before = sqs.emulator.all_calls();
    let (stop, running) = worker.run();
    for _ in 0..jobs {
        calls.recv().await.unwrap();
    }
    while worker.pipeline.queue.depth().await.unwrap().pending > 0 {
        tokio::task::yield_now().await;
    }
    stop.soft.cancel();
    assert_eq!(running.await.unwrap(), Ended::Clean);
    assert_eq!(worker.app.tally.counts().delivered, jobs);
    let after = sqs.emulator.all_calls();
    let cost: u64 = [
        "ReceiveMessage",
        "DeleteMessageBatch",
        "SendMessageBatch",
        "ChangeMessageVisibilityBatch",
    ]
    .iter()
    .map(|name| {
        let count = |calls: &serde_json::Map<String, serde_json::Value>| {
            calls.get(*name).and_then(serde_json::Value::as_u64).unwrap_or(0)
        };
        count(&after) - count(&before)
    })
    .sum();
    println!("{cost} calls for {jobs} deliveries");
    assert!(cost as f64 / jobs as f64 <= 0.35, "{cost} calls");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_attempt_is_made_again_with_the_same_id() {
    let sqs = Sqs::start().await;
    let answered = AtomicU32::new(0);
    let answer = move |_: &Call| {
        let first = answered.fetch_add(1, Ordering::SeqCst) == 0;
        (if first { 503 } else { 200 }, String::new())
    };
    let (origin, mut calls) = listen(answer).await;
    let worker = Worker::new(&sqs, &origin).await;
    let ids = worker.pipeline.queue.send(vec![message(JOB)]).await.unwrap();
    let (stop, running) = worker.run();
    let first = calls.recv().await.unwrap();
    // The retry is due at a time that only its jitter knows: the clock goes on until it comes.
    let second = loop {
        sqs.advance(MINUTE);
        if let Ok(call) = tokio::time::timeout(SECOND / 2, calls.recv()).await {
            break call.unwrap();
        }
    };
    assert_eq!((first.header("webhook-id"), second.header("webhook-id")), (&*ids[0], &*ids[0]));
    stop.soft.cancel();
    assert_eq!(running.await.unwrap(), Ended::Clean);
    assert_eq!(worker.pipeline.queue.depth().await.unwrap().pending, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_of_an_idle_worker_does_not_wait_for_its_poll() {
    let sqs = Sqs::start().await;
    let worker = Worker::new(&sqs, "http://127.0.0.1:9").await;
    let (stop, running) = worker.run();
    while sqs.emulator.calls("ReceiveMessage") == 0 {
        tokio::task::yield_now().await;
    }
    stop.soft.cancel();
    let ended = tokio::time::timeout(3 * SECOND, running).await;
    assert_eq!(ended.unwrap().unwrap(), Ended::Clean);
    // The poll goes on for a while, and gives back what it brings.
    worker.pipeline.queue.send(vec![message(JOB)]).await.unwrap();
    let queue = sqs.open().await;
    let received = queue.receive(1, 20 * SECOND).await.unwrap();
    assert_eq!(received[0].receive_count, 1);
}

#[tokio::test]
async fn a_message_that_crashed_every_worker_is_indexed_and_can_be_replayed() {
    let sqs = Sqs::start().await;
    let worker = Worker::new(&sqs, "http://127.0.0.1:9").await;
    let queue = sqs.open().await;
    let ids = queue.send(vec![message(JOB)]).await.unwrap();
    crash_until_given_up(&sqs, &queue).await;
    assert_eq!(sweeper::sweep(&worker.pipeline).await.unwrap(), 1);
    assert_eq!(sweeper::sweep(&worker.pipeline).await.unwrap(), 0, "it is no stray any more");
    let all = DeadLetterFilter::default();
    let listed = worker.app.deliveries.list_dead_letters(&all, None, 10).await.unwrap();
    let [letter] = <[DeadLetter; 1]>::try_from(listed).unwrap();
    assert_eq!(
        (letter.id, letter.reason),
        (dead_letter_id_of_message(&ids[0], 1), Reason::CrashLoop)
    );
    assert_eq!(letter.customer_id.unwrap().as_str(), "c");
    assert_eq!(letter.job_id.unwrap().as_str(), ids[0]);
    let redrive = Redrive { dead_letter_id: dead_letter_id_of_message(&ids[0], 1), state: None };
    assert_eq!(queue.redrive(vec![redrive]).await.unwrap().found.len(), 1);
    assert_eq!(one(&queue).await.message_id, ids[0]);
}

#[tokio::test]
async fn a_dry_run_that_crashed_every_worker_is_no_dead_letter_because_a_replay_would_send_it() {
    let sqs = Sqs::start().await;
    let worker = Worker::new(&sqs, "http://127.0.0.1:9").await;
    let queue = sqs.open().await;
    let until = worker.app.clock.now().plus(MINUTE);
    let dry_run = DryRun { id: "d".to_owned(), at: None, until };
    let state = Some(dry_run.to_state().unwrap().into());
    queue.send(vec![NewMessage { state, ..message(JOB) }]).await.unwrap();
    crash_until_given_up(&sqs, &queue).await;
    sweeper::sweep(&worker.pipeline).await.unwrap();
    let all = DeadLetterFilter::default();
    let listed = worker.app.deliveries.list_dead_letters(&all, None, 10).await.unwrap();
    assert!(listed.is_empty());
    assert_eq!(queue.depth().await.unwrap().dead, 0);
}

#[tokio::test]
async fn a_sweeper_that_is_killed_halfway_leaves_the_dead_letter_within_reach() {
    let sqs = Sqs::start().await;
    let worker = Worker::new(&sqs, "http://127.0.0.1:9").await;
    let queue = sqs.open().await;
    let ids = queue.send(vec![message(JOB)]).await.unwrap();
    let id = dead_letter_id_of_message(&ids[0], 1);
    crash_until_given_up(&sqs, &queue).await;
    // After the index record, before the attributes.
    sqs.emulator.fail("SendMessageBatch", 400, "AccessDenied", 1);
    sweeper::sweep(&worker.pipeline).await.unwrap_err();
    let indexed = worker.app.deliveries.get_dead_letter(&id).await.unwrap().unwrap();
    sqs.advance(10 * MINUTE);
    assert_eq!(queue.peek_dead(&id).await.unwrap().unwrap(), JOB, "found by its message's id");
    assert_eq!(sweeper::sweep(&worker.pipeline).await.unwrap(), 1);
    let again = worker.app.deliveries.get_dead_letter(&id).await.unwrap().unwrap();
    assert_eq!((indexed.message_id, indexed.round), (again.message_id, again.round));
    // After the marked copy was sent, before the stray was deleted: both have the same id.
    assert_eq!(worker.pipeline.queue.depth().await.unwrap().dead, 1);
}

#[tokio::test]
async fn a_stray_that_aws_moves_back_goes_on_with_its_id_in_the_next_round() {
    let sqs = Sqs::start().await;
    let worker = Worker::new(&sqs, "http://127.0.0.1:9").await;
    let queue = sqs.open().await;
    let ids = queue.send(vec![message(JOB)]).await.unwrap();
    crash_until_given_up(&sqs, &queue).await;
    sweeper::sweep(&worker.pipeline).await.unwrap();
    let receive = sqs.client.receive_message().queue_url(&sqs.dead).message_attribute_names("All");
    let dead = receive.send().await.unwrap().messages.unwrap().remove(0);
    let send = sqs.client.send_message().queue_url(&sqs.jobs).message_body(dead.body.unwrap());
    send.set_message_attributes(dead.message_attributes).send().await.unwrap();
    let back = one(&queue).await;
    let state: DeliveryState = serde_json::from_slice(back.state.as_ref().unwrap()).unwrap();
    assert_eq!((state.job_id.as_str(), state.round), (&*ids[0], 2));
    worker.pipeline.deliver(&back, &Stop::default().hard).await;
    let id = dead_letter_id_of_message(&ids[0], 1);
    assert_eq!(worker.app.deliveries.get_dead_letter(&id).await.unwrap(), None, "no dead letter");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_fans_out_twice_calls_each_endpoint_once() {
    let sqs = Sqs::start().await;
    let (origin, mut calls) = listen(|_| (204, String::new())).await;
    let worker = Worker::new(&sqs, &origin).await;
    let second = format!(r#"{{"customerId":"c","endpointId":"f","url":"{origin}/hook"}}"#);
    let second = Endpoint::from_json(&second).unwrap();
    worker.app.endpoints.put(second, None, worker.app.clock.now()).await.unwrap();
    let queue = &worker.pipeline.queue;
    queue.send(vec![message(r#"{"id":"evt","customerId":"c","data":1}"#)]).await.unwrap();
    let parent = queue.receive(1, Duration::ZERO).await.unwrap().remove(0);
    let stop = tokio_util::sync::CancellationToken::new();
    for _ in 0..2 {
        worker.pipeline.deliver(&parent, &stop).await;
    }
    let mut children = Vec::new();
    while children.len() < 4 {
        children.extend(queue.receive(10, Duration::ZERO).await.unwrap());
    }
    for child in &children {
        worker.pipeline.deliver(child, &stop).await;
    }
    let mut ids = [calls.recv().await.unwrap(), calls.recv().await.unwrap()];
    ids.sort_by_key(|call| call.header("webhook-id").to_owned());
    assert_eq!(ids[0].header("webhook-id"), "evt/e");
    assert_eq!(ids[1].header("webhook-id"), "evt/f");
    assert!(calls.try_recv().is_err(), "the second copies met the fences of the first");
    assert_eq!(queue.depth().await.unwrap().pending, 0);
}
