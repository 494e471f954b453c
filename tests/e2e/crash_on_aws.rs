//! What survives the death of one of two workers on AWS, with producers that use nothing of ours.

use std::collections::HashMap;
use std::process::{Child, Command};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;

use crate::cloud::Cloud;
use crate::producers::producer;
use crate::program::terminate;
use crate::receiver::{Call, listen};

const JOBS: usize = 2000;
const MOST_KILLS: usize = 12;

/// The calls of every job, in order.
#[derive(Default)]
struct Seen {
    calls: HashMap<String, Vec<Call>>,
    /// Calls that followed one whose caller was still alive.
    beside_the_living: HashMap<String, usize>,
}

impl Seen {
    fn note(&mut self, call: Call) {
        let id = call.header("webhook-id").to_owned();
        let calls = self.calls.entry(id.clone()).or_default();
        if calls.last().is_some_and(|last| !last.closed.load(Ordering::SeqCst)) {
            *self.beside_the_living.entry(id).or_default() += 1;
        }
        calls.push(call);
    }
}

fn begin(cloud: &Cloud, mut producer: Command, first: usize, count: usize) -> Child {
    let arguments = [cloud.jobs.clone(), first.to_string(), count.to_string()];
    let producer = producer.args(arguments).envs(cloud.variables());
    producer.env("AWS_DEFAULT_REGION", "us-east-1").spawn().unwrap()
}

fn worker(cloud: &Cloud, fence: &str) -> Child {
    cloud.command(&["worker"]).env("SEALPOST_WORKER_FENCE", fence).spawn().unwrap()
}

fn register(cloud: &Cloud, origin: &str) {
    cloud.ok(
        &["secret", "put", "c", "s", "--origin", origin],
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    );
    let endpoint = json!({
        "customerId": "c", "endpointId": "e", "url": format!("{origin}/in"), "timeout": "1s",
        "auth": [{"scheme": "standard_webhooks", "secret": "s"}],
        "retry": {"baseDelay": "50ms", "maxDelay": "200ms"},
    });
    cloud.ok(&["endpoint", "put", "-"], &endpoint.to_string());
}

/// Kills one worker after the other, at random moments, and starts another in its place.
async fn kill_and_replace(
    cloud: &Cloud,
    fence: &str,
    workers: &mut [Child; 2],
    calls: &mut UnboundedReceiver<Call>,
    seen: &mut Seen,
) -> usize {
    let (mut kills, mut random) = (0, 0x2545_f491_4f6c_dd1d ^ u64::from(std::process::id()));
    while seen.calls.len() < JOBS && kills < MOST_KILLS {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        for _ in 0..(20 + random % 200) {
            match timeout(Duration::from_secs(20), calls.recv()).await {
                Ok(call) => seen.note(call.unwrap()),
                Err(_) => break,
            }
        }
        let killed = &mut workers[kills % 2];
        killed.kill().unwrap();
        killed.wait().unwrap();
        *killed = worker(cloud, fence);
        kills += 1;
    }
    kills
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_workers_at_random_moments_loses_no_job_and_repeats_only_what_they_had_in_hand() {
    kill_workers("retries").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_where_every_attempt_is_claimed() {
    kill_workers("all").await;
}

async fn kill_workers(fence: &str) {
    // Every seventh job fails once, so that retries, too, are interrupted.
    let failed = Mutex::new(std::collections::HashSet::new());
    let failures = std::sync::Arc::new(AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&failures);
    let (origin, mut calls) = listen(move |call| {
        let id = call.header("webhook-id").to_owned();
        let number: usize = id.trim_start_matches("job-").parse().unwrap_or(0);
        let fails = number % 7 == 3 && failed.lock().unwrap().insert(id);
        counted.fetch_add(usize::from(fails), Ordering::SeqCst);
        (if fails { 503 } else { 204 }, String::new())
    })
    .await;
    let cloud = Cloud::start().await;
    register(&cloud, &origin);
    let producers = [
        begin(&cloud, producer("node", "enqueue.mjs"), 0, JOBS / 2),
        begin(&cloud, producer("python", "enqueue.py"), JOBS / 2, JOBS / 2),
    ];
    let (mut workers, mut seen) = ([worker(&cloud, fence), worker(&cloud, fence)], Seen::default());
    let kills = kill_and_replace(&cloud, fence, &mut workers, &mut calls, &mut seen).await;
    for mut producer in producers {
        assert!(producer.wait().unwrap().success());
    }
    // Whatever was interrupted is finished by the workers that are left alone.
    while cloud.pending().await > 0 {
        if let Ok(Some(call)) = timeout(Duration::from_millis(50), calls.recv()).await {
            seen.note(call);
        }
    }
    for mut worker in workers {
        terminate(&worker);
        assert!(worker.wait().unwrap().success());
    }
    while let Ok(call) = calls.try_recv() {
        seen.note(call);
    }

    let lost: Vec<_> =
        (0..JOBS).filter(|n| !seen.calls.contains_key(&format!("job-{n}"))).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    assert_eq!(seen.calls.len(), JOBS, "an id arrived that was never enqueued");
    assert_eq!(cloud.ok(&["dlq", "list", "--json"], ""), "");
    let made: usize = seen.calls.values().map(Vec::len).sum();
    let repeated = made - JOBS - failures.load(Ordering::SeqCst);
    eprintln!("{kills} kills, {made} calls for {JOBS} jobs, {repeated} of them repeated");
    assert!(kills > 3 && repeated <= kills * 32, "{repeated} repeated in {kills} kills");
    for (id, times) in seen.beside_the_living {
        let number: usize = id.trim_start_matches("job-").parse().unwrap();
        let retries = usize::from(number % 7 == 3);
        assert!(times <= retries, "{id} was called again while its caller lived");
    }
}
