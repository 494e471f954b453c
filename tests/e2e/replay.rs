//! Replays as operators make them.

use std::collections::BTreeSet;
use std::process::{Child, Stdio};

use serde_json::{Value, json};

use crate::program::{Program, terminate};
use crate::receiver::listen;

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// A worker that says nothing: nobody reads its log.
fn serve(program: &Program) -> Child {
    program.command(&["serve"]).env("SEALPOST_LOG_LEVEL", "error").spawn().unwrap()
}

/// So many jobs for an endpoint that is not there, given up.
fn bury(program: &Program, count: usize) {
    let job = |n| {
        let id = format!("job_{n}");
        json!({"id": id, "customerId": "c", "endpointId": "e", "type": "t", "data": n}).to_string()
    };
    let jobs: Vec<String> = (0..count).map(job).collect();
    program.ok(&["enqueue", "-"], &jobs.join("\n"));
    let mut worker = serve(program);
    while plan(program)["count"] != count {}
    terminate(&worker);
    worker.wait().unwrap();
}

fn plan(program: &Program) -> Value {
    let filter = ["--customer", "c", "--type", "t", "--reason", "unknown_endpoint"];
    parse(&program.ok(&[&["replay", "plan", "--json"], &filter[..]].concat(), ""))
}

fn register(program: &Program, endpoint: &str, origin: &str) {
    let url = format!("{origin}/{endpoint}");
    let endpoint = json!({"customerId": "c", "endpointId": endpoint, "url": url});
    program.ok(&["endpoint", "put", "-"], &endpoint.to_string());
}

fn rows(program: &Program, table: &str) -> i64 {
    let database = rusqlite::Connection::open(program.data().join("sealpost.db")).unwrap();
    let sql = format!("SELECT count(*) FROM {table}");
    database.query_row(&sql, [], |row| row.get(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_is_killed_again_and_again_loses_nothing_and_sends_nothing_twice() {
    const JOBS: usize = 2_000;
    let program = Program::new();
    bury(&program, JOBS);
    let mut kills = 0;
    let mut arguments = vec!["replay", "start", "--customer", "c", "--json"];
    let mut id = String::new();
    loop {
        let before = rows(&program, "messages");
        let mut working = program.command(&arguments).stdout(Stdio::null()).spawn().unwrap();
        // Killed in the middle of a page, between two, or when it is done.
        while rows(&program, "messages") == before && working.try_wait().unwrap().is_none() {}
        if working.try_wait().unwrap().is_none() {
            working.kill().unwrap();
            kills += 1;
        }
        working.wait().unwrap();
        let listed = program.ok(&["replay", "list", "--json"], "");
        let record = parse(listed.lines().next().unwrap());
        assert_eq!(
            rows(&program, "messages") + rows(&program, "dead_messages"),
            i64::try_from(JOBS).unwrap()
        );
        if record["state"] == "finished" {
            break;
        }
        id.clear();
        id.push_str(record["id"].as_str().unwrap());
        arguments = vec!["replay", "resume", &id, "--json"];
    }
    assert!(kills >= 2, "{kills}");
    assert_eq!(program.ok(&["dlq", "list", "--json"], ""), "");

    let (origin, mut calls) = listen(|_| (204, String::new())).await;
    register(&program, "e", &origin);
    let mut worker = serve(&program);
    let mut arrived = BTreeSet::new();
    while arrived.len() < JOBS {
        let call = calls.recv().await.unwrap();
        assert!(arrived.insert(call.header("webhook-id").to_owned()), "it came twice");
    }
    terminate(&worker);
    worker.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_sends_what_was_left_to_it_to_another_endpoint() {
    let (origin, mut calls) = listen(|_| (204, String::new())).await;
    let program = Program::new();
    bury(&program, 3);
    let planned = plan(&program);
    assert_eq!(
        (&planned["estimatedSeconds"], &planned["reasons"]["unknown_endpoint"]),
        (&json!(1), &json!(3))
    );
    let start = ["replay", "start", "--customer", "c", "--to", "other", "--by", "ops-1", "--json"];
    let detached = [&start[..], &["--detach"]].concat();
    assert!(program.fails(&detached, b"").contains("register it first"));
    register(&program, "other", &origin);
    let replay = parse(&program.ok(&detached, ""));
    assert_eq!((&replay["state"], &replay["done"]["replayed"]), (&json!("running"), &json!(0)));
    let mut worker = serve(&program);
    for _ in 0..3 {
        assert_eq!(calls.recv().await.unwrap().target, "/other");
    }
    let id = replay["id"].as_str().unwrap();
    let mut shown = replay.clone();
    while shown["state"] != "finished" {
        shown = parse(&program.ok(&["replay", "show", id, "--json"], ""));
    }
    assert_eq!(
        (&shown["done"]["replayed"], &shown["audit"][0]["who"]),
        (&json!(3), &json!("ops-1"))
    );
    assert!(program.ok(&["replay", "show", id], "").contains("3 of 3, 3 sent"));
    assert!(program.fails(&["replay", "cancel", id], b"").contains("finished"));
    terminate(&worker);
    worker.wait().unwrap();
}

#[test]
fn whoever_removes_many_says_how_many() {
    let program = Program::new();
    bury(&program, 3);
    let purge = ["dlq", "purge", "--customer", "c"];
    assert!(program.fails(&purge, b"").contains("--count 3"));
    let wrong = [&purge[..], &["--count", "2"]].concat();
    assert!(program.fails(&wrong, b"").contains("there are 3, not 2"));
    assert_eq!(plan(&program)["count"], 3, "nothing was removed");
    let first = program.run(&["dlq", "list", "--limit", "2", "--json"], b"");
    let (letters, hint) =
        (String::from_utf8(first.stdout).unwrap(), String::from_utf8(first.stderr).unwrap());
    let place = hint.split('\'').nth(1).unwrap();
    let rest = program.ok(&["dlq", "list", "--after", place, "--json"], "");
    assert_eq!((letters.lines().count(), rest.lines().count()), (2, 1));
    let right = [&purge[..], &["--count", "3"]].concat();
    assert!(program.ok(&right, "").contains("purged 3"));
    assert!(program.fails(&["replay", "start"], b"").contains("which?"));
}
