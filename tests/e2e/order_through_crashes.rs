//! Workers are killed at random moments, and each group keeps its order.

use std::collections::{HashMap, HashSet};
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;

#[cfg(feature = "aws")]
use crate::cloud::Cloud;
use crate::program::{Program, terminate};
use crate::receiver::{Call, listen};

const GROUPS: usize = 20;
const EACH: usize = 25;
const MOST_KILLS: usize = 12;

/// The numbers of the calls of each group, in order, with whether they were answered well.
type Seen = Arc<Mutex<HashMap<usize, Vec<(usize, bool)>>>>;

fn group_and_number(id: &str) -> (usize, usize) {
    let (group, number) = id.trim_start_matches("job-").split_once('-').unwrap();
    (group.parse().unwrap(), number.parse().unwrap())
}

/// A receiver that fails every fifth job of a group once.
async fn receiver() -> (String, UnboundedReceiver<Call>, Seen) {
    let (failed, seen) = (Mutex::new(HashSet::new()), Seen::default());
    let noted = Arc::clone(&seen);
    let (origin, calls) = listen(move |call| {
        let id = call.header("webhook-id").to_owned();
        let (group, number) = group_and_number(&id);
        let fails = number % 5 == 2 && failed.lock().unwrap().insert(id);
        noted.lock().unwrap().entry(group).or_default().push((number, !fails));
        (if fails { 503 } else { 204 }, String::new())
    })
    .await;
    (origin, calls, seen)
}

fn endpoint(origin: &str) -> String {
    json!({
        "customerId": "c", "endpointId": "e", "url": format!("{origin}/in"), "timeout": "1s",
        "retry": {"baseDelay": "50ms", "maxDelay": "200ms"},
        // Connections that break off when workers are killed say nothing of it.
        "limits": {"breaker": false, "adaptive": false},
    })
    .to_string()
}

/// Jobs of all groups, by turns.
fn jobs() -> String {
    let job = |n: usize| {
        let (group, number) = (n % GROUPS, n / GROUPS);
        json!({"id": format!("job-{group}-{number}"), "customerId": "c", "endpointId": "e",
               "orderingGroup": format!("group-{group}"), "data": number})
    };
    (0..GROUPS * EACH).map(|n| job(n).to_string()).collect::<Vec<_>>().join("\n")
}

/// Kills one worker after the other at random moments, and starts another in its place, until all jobs
/// were called for; returns how many were killed.
async fn kill_and_replace(
    workers: &mut [Child],
    start: impl Fn() -> Child,
    calls: &mut UnboundedReceiver<Call>,
    seen: &Seen,
) -> usize {
    let (mut kills, mut random) = (0, 0x2545_f491_4f6c_dd1d ^ u64::from(std::process::id()));
    let is_over = || seen.lock().unwrap().values().map(Vec::len).sum::<usize>() >= GROUPS * EACH;
    while kills < MOST_KILLS && !is_over() {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        for _ in 0..(10 + random % 60) {
            if timeout(Duration::from_secs(20), calls.recv()).await.is_err() {
                break;
            }
        }
        let killed = &mut workers[kills % workers.len()];
        killed.kill().unwrap();
        killed.wait().unwrap();
        *killed = start();
        kills += 1;
    }
    kills
}

/// No call of a job comes after one of a later job of its group, and none before the job before it was
/// answered well.
fn check(seen: &Seen, kills: usize) {
    let seen = seen.lock().unwrap();
    let mut made = 0;
    for group in 0..GROUPS {
        let calls = &seen[&group];
        made += calls.len();
        let mut current = (0, false);
        for (number, well) in calls {
            let (at, is_done) = current;
            let goes_on = *number == at || (*number == at + 1 && is_done);
            assert!(goes_on, "group {group}: {number} after {at} (done: {is_done}): {calls:?}");
            current = (*number, *well || (*number == at && is_done));
        }
        assert_eq!(current, (EACH - 1, true), "group {group}: {calls:?}");
    }
    let needed = GROUPS * EACH + GROUPS * EACH / 5;
    eprintln!("{kills} kills, {made} calls for {} jobs, {} repeated", GROUPS * EACH, made - needed);
    assert!(kills > 3 && made - needed <= kills * GROUPS, "{made} calls in {kills} kills");
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_the_worker_at_random_moments_keeps_the_order_of_every_group() {
    let (origin, mut calls, seen) = receiver().await;
    let program = Program::new();
    program.ok(&["endpoint", "put", "-"], &endpoint(&origin));
    program.ok(&["enqueue", "-"], &jobs());
    let start = || program.command(&["serve"]).env("SEALPOST_LOG_LEVEL", "error").spawn().unwrap();
    let mut worker = [start()];
    let kills = kill_and_replace(&mut worker, start, &mut calls, &seen).await;
    while pending(&program) > 0 {
        // Whatever was interrupted last is finished by a worker that is left alone.
        let _ = timeout(Duration::from_millis(20), calls.recv()).await;
    }
    terminate(&worker[0]);
    assert!(worker[0].wait().unwrap().success());
    assert_eq!(program.ok(&["dlq", "list", "--json"], ""), "");
    check(&seen, kills);
}

fn pending(program: &Program) -> i64 {
    let database = rusqlite::Connection::open(program.data().join("sealpost.db")).unwrap();
    database.query_row("SELECT count(*) FROM messages", [], |row| row.get(0)).unwrap()
}

#[cfg(feature = "aws")]
#[tokio::test(flavor = "multi_thread")]
async fn killing_one_of_two_workers_at_a_fifo_queue_keeps_the_order_of_every_group() {
    let (origin, mut calls, seen) = receiver().await;
    let cloud = Cloud::fifo().await;
    cloud.ok(&["endpoint", "put", "-"], &endpoint(&origin));
    cloud.ok(&["enqueue", "-"], &jobs());
    let start = || cloud.command(&["worker"]).env("SEALPOST_LOG_LEVEL", "error").spawn().unwrap();
    let mut workers = [start(), start()];
    let kills = kill_and_replace(&mut workers, start, &mut calls, &seen).await;
    while cloud.pending().await > 0 {
        let _ = timeout(Duration::from_millis(50), calls.recv()).await;
    }
    for worker in &mut workers {
        terminate(worker);
        assert!(worker.wait().unwrap().success());
    }
    assert_eq!(cloud.ok(&["dlq", "list", "--json"], ""), "");
    check(&seen, kills);
}

/// A standard queue is told what it cannot do before anything is sent.
#[cfg(feature = "aws")]
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_asks_for_order_is_refused_at_a_standard_queue() {
    let cloud = Cloud::start().await;
    let job = r#"{"customerId":"c","endpointId":"e","orderingGroup":"g","data":1}"#;
    let plain = r#"{"customerId":"c","endpointId":"e","data":1}"#;
    let said = cloud.fails(&["enqueue", "-"], &format!("{plain}\n{job}\n"));
    assert!(said.contains("line 2") && said.contains("order_not_kept: orderingGroup"), "{said}");
    let said = cloud.fails(&["enqueue", "-", "--ordering-group", "g"], plain);
    assert!(said.contains("order_not_kept"), "{said}");
    assert_eq!(cloud.pending().await, 0);
    // Past us: the worker gives it up, rather than deliver it in any order.
    let send = cloud.clients.sqs.send_message().queue_url(&cloud.jobs).message_body(job);
    send.send().await.unwrap();
    let mut worker = cloud.command(&["worker"]).spawn().unwrap();
    let mut listed = String::new();
    for _ in 0..500 {
        listed = cloud.ok(&["dlq", "list", "--json"], "");
        if !listed.is_empty() {
            break;
        }
    }
    terminate(&worker);
    assert!(worker.wait().unwrap().success());
    assert!(listed.contains("order_not_kept"), "{listed}");
}

#[cfg(feature = "aws")]
#[tokio::test(flavor = "multi_thread")]
async fn a_fifo_queue_needs_every_attempt_claimed_and_says_so() {
    let cloud = Cloud::fifo().await;
    let mut worker = cloud.command(&["worker"]);
    let output = worker.env("SEALPOST_WORKER_FENCE", "retries").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains(r#"fence = "all""#), "{said}");
}
