//! Recorded deliveries as operators look at them.

use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::program::{Program, terminate};
use crate::receiver::listen;

const KEY: &str = "canary-0123456789-canary";

fn serve(program: &Program, record: &str) -> Child {
    let mut command = program.command(&["serve"]);
    command.env("SEALPOST_LOG_LEVEL", "error").env("SEALPOST_DELIVERIES_RECORD", record);
    command.spawn().unwrap()
}

fn stop(mut worker: Child) {
    terminate(&worker);
    assert!(worker.wait().unwrap().success());
}

fn listed(program: &Program, more: &[&str]) -> Vec<Value> {
    let listed = program.ok(&[&["delivery", "list", "c", "--json"], more].concat(), "");
    listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn enqueue(program: &Program, id: &str) {
    let job = json!({"id": id, "customerId": "c", "endpointId": "e", "type": "t", "data": "told"});
    program.ok(&["enqueue", "-"], &job.to_string());
}

/// An endpoint with a credential that is tried once, and its calls.
fn register(program: &Program, origin: &str) {
    program.ok(&["secret", "put", "c", "key", "--origin", origin], KEY);
    let endpoint = json!({"customerId": "c", "endpointId": "e", "url": format!("{origin}/in"),
                          "auth": [{"scheme": "api_key", "in": "header", "name": "x-key", "secret": "key"}],
                          "retry": {"maxAttempts": 1}});
    program.ok(&["endpoint", "put", "-"], &endpoint.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_recorded_and_sent_again_when_it_is_mended() {
    let mended = Arc::new(AtomicBool::new(false));
    let is_mended = Arc::clone(&mended);
    let (origin, mut calls) = listen(move |call| {
        let status = if is_mended.load(Ordering::SeqCst) { 204 } else { 503 };
        (status, format!("you sent {}", call.header("x-key")))
    })
    .await;
    let program = Program::new();
    register(&program, &origin);
    for id in ["one", "two", "three"] {
        enqueue(&program, id);
    }
    let worker = serve(&program, "failures");
    program.dead_letters(3);
    stop(worker);
    let failed = listed(&program, &["--status", "dead_letter", "--http-status", "503"]);
    assert_eq!(failed.len(), 3);
    let id = failed[0]["id"].as_str().unwrap();
    let shown = program.ok(&["delivery", "show", id, "--json"], "");
    assert!(shown.contains("x-key") && shown.contains("127.0.0.1:") && shown.contains("withheld"));
    for kept_from in [KEY, "told"] {
        assert!(!shown.contains(kept_from), "{shown}");
    }

    mended.store(true, Ordering::SeqCst);
    let worker = serve(&program, "failures");
    assert!(program.ok(&["delivery", "resend", id], "").contains("replayed as dv_"));
    let since = ["endpoint", "recover", "c", "e", "--since", "2026-01-01T00:00:00Z", "--json"];
    let recovered: Value = serde_json::from_str(&program.ok(&since, "")).unwrap();
    assert_eq!(recovered["done"]["replayed"], 2);
    for _ in 0..6 {
        calls.recv().await.unwrap();
    }
    stop(worker);
    assert!(program.fails(&["delivery", "resend", id], b"").contains("is no dead letter"));
    // The new rounds were delivered at once: they end what failed before, and are recorded.
    assert_eq!(listed(&program, &["--status", "delivered"]).len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_delivered_is_sent_again_from_its_kept_job_and_the_audit_says_by_whom() {
    let (origin, mut calls) = listen(|_| (204, String::new())).await;
    let program = Program::new();
    register(&program, &origin);
    program.ok(&["tenant-key", "create", "c"], "");
    enqueue(&program, "one");
    let begin = || {
        let mut command = program.command(&["serve"]);
        command.env("SEALPOST_LOG_LEVEL", "error").env("SEALPOST_DELIVERIES_RECORD", "all");
        command.env("SEALPOST_DELIVERIES_KEEP_BODIES", "all").spawn().unwrap()
    };
    let worker = begin();
    let first = calls.recv().await.unwrap();
    stop(worker);
    let delivered = listed(&program, &[]).remove(0);
    assert_eq!(delivered["body"], "kept");
    let id = delivered["id"].as_str().unwrap();
    // It is sealed to the tenant key, which a rotation wraps anew: no old key is needed for it.
    program.ok(&["key", "rotate"], "");
    assert_eq!(program.ok(&["key", "retire"], ""), "retired 1\n");
    let ordered = program.ok(&["delivery", "resend", id, "--by", "ops-1", "--json"], "");
    let ordered: Value = serde_json::from_str(&ordered).unwrap();
    assert_eq!(ordered["resent"], "ordered");
    let worker = begin();
    let again = calls.recv().await.unwrap();
    assert_eq!((again.header("webhook-id"), &again.body), ("one", &first.body));
    stop(worker);
    let shown = program.ok(&["delivery", "show", id, "--json"], "");
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let audit: Vec<_> = shown["resends"].as_array().unwrap().iter().collect();
    assert!(audit.iter().all(|line| line["who"] == "ops-1"));
    assert_eq!((&audit[0]["what"], &audit[1]["what"]), (&json!("ordered"), &json!("sent")));
    let next = listed(&program, &[]);
    assert!(next.iter().any(|record| record["id"] == ordered["nextRound"]), "{next:?}");
    let refused = program.fails(&["delivery", "resend", id], b"");
    assert!(refused.contains("was sent again already"), "{refused}");
    let misread =
        program.command(&["serve"]).env("SEALPOST_DELIVERIES_KEEP_BODIES", "all").output();
    let misread = String::from_utf8(misread.unwrap().stderr).unwrap();
    assert!(misread.contains("SEALPOST_DELIVERIES_KEEP_BODIES"), "{misread}");
    assert!(misread.contains("`record` under [deliveries]"), "{misread}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_attempts_are_recorded_or_none() {
    let (origin, mut calls) = listen(|_| (204, String::new())).await;
    for (record, expected) in [("none", 0), ("all", 1)] {
        let program = Program::new();
        register(&program, &origin);
        enqueue(&program, "one");
        let worker = serve(&program, record);
        calls.recv().await.unwrap();
        stop(worker);
        let listed = listed(&program, &["--type", "t"]);
        assert_eq!(listed.len(), expected, "{record}");
        if let Some(record) = listed.first() {
            assert_eq!((&record["status"], &record["attempts"]), (&json!("delivered"), &json!(1)));
        }
    }
}
