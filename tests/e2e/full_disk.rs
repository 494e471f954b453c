//! A disk without room: nothing is sent that could not be noted, and nothing is lost.

use std::io::{BufRead, BufReader, Write};
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::own_world::is_inside;
use crate::program::{Program, terminate};
use crate::receiver::listen;

const JOBS: usize = 40;
const AT_ONCE: usize = 4;
const NAME: &str =
    "full_disk::on_a_full_disk_nothing_is_sent_that_cannot_be_noted_and_nothing_is_lost";

/// Fills the disk to its last byte.
fn fill(program: &Program) {
    let mut ballast = std::fs::File::create(program.data().join("ballast")).unwrap();
    for size in [64 * 1024, 1] {
        while ballast.write_all(&vec![0; size]).is_ok() {}
    }
}

fn serve(program: &Program) -> Child {
    let mut command = program.command(&["serve", "--json"]);
    command.env("SEALPOST_WORKER_CONCURRENCY", AT_ONCE.to_string());
    command.env("SEALPOST_WORKER_FENCE", "all").env("SEALPOST_LOG_LEVEL", "info");
    command.stderr(std::process::Stdio::piped()).spawn().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_nothing_is_sent_that_cannot_be_noted_and_nothing_is_lost() {
    // A disk of 6 MiB under its temporary files.
    let mount = "mount -t tmpfs -o size=6m none \"$0\" && export TMPDIR=\"$0\"";
    if !tokio::task::block_in_place(|| is_inside(NAME, "-rm", mount)) {
        return;
    }
    let answers = Arc::new(AtomicBool::new(false));
    let may_answer = Arc::clone(&answers);
    let (origin, mut calls) = listen(move |_| {
        while !may_answer.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        (204, String::new())
    })
    .await;
    let program = Program::new();
    let endpoint = json!({"customerId": "c", "endpointId": "e", "url": origin});
    program.ok(&["endpoint", "put", "-"], &endpoint.to_string());
    let job = |n| {
        json!({"id": format!("job-{n}"), "customerId": "c", "endpointId": "e",
                         "data": "x".repeat(20_000)})
    };
    let jobs: Vec<String> = (0..JOBS).map(|n| job(n).to_string()).collect();
    program.ok(&["enqueue", "-"], &jobs.join("\n"));

    let mut worker = serve(&program);
    let log = BufReader::new(worker.stderr.take().unwrap());
    let mut log = log.lines().map(Result::unwrap);
    assert!(log.any(|line| line.contains("\"serving\"")));
    fill(&program);
    answers.store(true, Ordering::SeqCst);
    let mut full = log.by_ref().filter(|line| line.contains("full") || line.contains("No space"));
    for _ in 0..6 {
        let line = full.next().unwrap();
        assert!(line.contains("\"fault\""), "{line}");
    }
    assert!(worker.try_wait().unwrap().is_none(), "it goes on");
    worker.kill().unwrap();
    worker.wait().unwrap();
    let mut seen = std::collections::HashMap::new();
    while let Ok(call) = calls.try_recv() {
        *seen.entry(call.header("webhook-id").to_owned()).or_insert(0) += 1;
    }
    let sent = seen.len();
    assert!(sent < JOBS, "{sent} jobs were sent that could not be noted");

    std::fs::remove_file(program.data().join("ballast")).unwrap();
    let mut worker = serve(&program);
    while seen.len() < JOBS || pending(&program) > 0 {
        let wait = std::time::Duration::from_millis(20);
        if let Ok(Some(call)) = tokio::time::timeout(wait, calls.recv()).await {
            *seen.entry(call.header("webhook-id").to_owned()).or_insert(0) += 1;
        }
    }
    terminate(&worker);
    assert!(worker.wait().unwrap().success());
    let twice = seen.values().filter(|calls| **calls > 1).count();
    assert!(twice <= AT_ONCE, "{twice} of {JOBS} were sent twice: more than were in hand");
    assert_eq!(program.ok(&["dlq", "list", "--json"], ""), "");
}

fn pending(program: &Program) -> i64 {
    let database = rusqlite::Connection::open(program.data().join("sealpost.db")).unwrap();
    database.query_row("SELECT count(*) FROM messages", [], |row| row.get(0)).unwrap()
}
