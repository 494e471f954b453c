//! What survives the worker's death.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};

use serde_json::json;
use tokio::io::AsyncReadExt;

use crate::program::{Program, terminate};
use crate::receiver::listen;

const JOBS: usize = 2000;
const CONCURRENCY: usize = 32;

fn register(program: &Program, origin: &str) {
    let put = ["secret", "put", "c", "s", "--origin", origin];
    program.ok(&put, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let endpoint = json!({
        "customerId": "c", "endpointId": "e", "url": format!("{origin}/in"),
        "auth": [{"scheme": "standard_webhooks", "secret": "s"}],
        "retry": {"baseDelay": "50ms", "maxDelay": "200ms"},
    });
    program.ok(&["endpoint", "put", "-"], &endpoint.to_string());
}

fn enqueue(program: &Program, count: usize) {
    let job = |n| json!({"id": format!("job-{n}"), "customerId": "c", "endpointId": "e", "data": {"n": n}});
    let jobs: Vec<String> = (0..count).map(|n| job(n).to_string()).collect();
    program.ok(&["enqueue", "-"], &jobs.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_the_worker_at_random_moments_loses_no_job() {
    // One call in seven fails, so that retries, too, are interrupted.
    let calls_made = std::sync::atomic::AtomicUsize::new(0);
    let (origin, mut calls) = listen(move |_| {
        let number = calls_made.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        (if number % 7 == 3 { 503 } else { 204 }, String::new())
    })
    .await;
    let program = Program::new();
    register(&program, &origin);
    enqueue(&program, JOBS);

    let mut seen: HashMap<String, usize> = HashMap::new();
    let (mut kills, mut random) = (0, 0x2545_f491_4f6c_dd1d ^ u64::from(std::process::id()));
    while seen.len() < JOBS && kills < 60 {
        let mut worker = program
            .command(&["serve"])
            .env("SEALPOST_WORKER_CONCURRENCY", CONCURRENCY.to_string())
            .env("SEALPOST_LOG_LEVEL", "error")
            .spawn()
            .unwrap();
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        for _ in 0..(1 + random % 150) {
            if seen.len() == JOBS {
                break;
            }
            let call = calls.recv().await.unwrap();
            *seen.entry(call.header("webhook-id").to_owned()).or_default() += 1;
        }
        worker.kill().unwrap();
        worker.wait().unwrap();
        kills += 1;
    }
    // Whatever was interrupted last is finished by a worker that is left alone.
    let mut worker =
        program.command(&["serve"]).env("SEALPOST_LOG_LEVEL", "error").spawn().unwrap();
    while pending(&program) > 0 {
        let wait = std::time::Duration::from_millis(20);
        if let Ok(Some(call)) = tokio::time::timeout(wait, calls.recv()).await {
            *seen.entry(call.header("webhook-id").to_owned()).or_default() += 1;
        }
    }
    terminate(&worker);
    assert!(worker.wait().unwrap().success());
    while let Ok(call) = calls.try_recv() {
        *seen.entry(call.header("webhook-id").to_owned()).or_default() += 1;
    }

    let lost: Vec<usize> = (0..JOBS).filter(|n| !seen.contains_key(&format!("job-{n}"))).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    assert_eq!(seen.len(), JOBS, "an id arrived that was never enqueued");
    assert_eq!(program.ok(&["dlq", "list", "--json"], ""), "");
    let sent: usize = seen.values().sum();
    let failed = sent / 7 + 1;
    let duplicates = sent - JOBS - failed.min(sent - JOBS);
    eprintln!("{kills} kills, {sent} calls for {JOBS} jobs, about {duplicates} duplicates");
    assert!(
        kills > 5 && duplicates <= kills * CONCURRENCY,
        "{duplicates} duplicates in {kills} kills"
    );
}

fn pending(program: &Program) -> i64 {
    let database = rusqlite::Connection::open(program.data().join("sealpost.db")).unwrap();
    database.query_row("SELECT count(*) FROM messages", [], |row| row.get(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_stop_finishes_what_is_in_hand_and_leaves_the_rest() {
    let (origin, mut calls) = listen(|_| (204, String::new())).await;
    let program = Program::new();
    register(&program, &origin);
    enqueue(&program, 500);
    let mut worker = program.command(&["serve"]).spawn().unwrap();
    calls.recv().await.unwrap();
    terminate(&worker);
    assert!(worker.wait().unwrap().success());
    let mut arrived = 1;
    while calls.try_recv().is_ok() {
        arrived += 1;
    }
    assert_eq!(arrived + pending(&program), 500, "every job was delivered once or is still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_a_worker_whose_call_hangs_and_the_job_stays() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let program = Program::new();
    register(&program, &format!("http://{}", silent.local_addr().unwrap()));
    enqueue(&program, 1);
    let mut worker = program.serve();
    let (mut stream, _) = silent.accept().await.unwrap();
    assert!(stream.read(&mut [0; 16]).await.unwrap() > 0, "the request is written");
    terminate(&worker);
    let log = BufReader::new(worker.stderr.take().unwrap());
    let mut stopping = log.lines().filter(|l| l.as_ref().unwrap().contains("stopping"));
    stopping.next().unwrap().unwrap();
    assert!(worker.try_wait().unwrap().is_none(), "the first signal waits for the call");
    terminate(&worker);
    stopping.next().unwrap().unwrap();
    assert!(worker.wait().unwrap().success());
    assert_eq!(pending(&program), 1);
    let job = ["dlq", "list", "--json"];
    assert_eq!(program.ok(&job, ""), "", "an answer that was not waited for is tried again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_has_one_worker() {
    let program = Program::new();
    let (origin, mut calls) = listen(|_| (204, String::new())).await;
    register(&program, &origin);
    enqueue(&program, 1);
    let mut worker = program.serve();
    calls.recv().await.unwrap();
    assert!(program.fails(&["serve"], b"").contains("in use"));
    terminate(&worker);
    worker.wait().unwrap();
}
