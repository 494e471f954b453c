//! One job to a thousand endpoints, by workers that are killed.

use std::collections::HashMap;
use std::time::Duration;

use sealpost::app::{App, Role};
use sealpost::config::Config;
use sealpost::domain::endpoint::Endpoint;
use serde_json::json;

use crate::program::{Program, terminate};
use crate::receiver::listen;

const ENDPOINTS: usize = 1000;
const CONCURRENCY: usize = 16;

async fn register(program: &Program, origin: &str) {
    let app = App::embedded(program.data(), Config::default(), Role::Command).await.unwrap();
    for n in 0..ENDPOINTS {
        let endpoint = json!({
            "customerId": "c", "endpointId": format!("e{n}"), "url": format!("{origin}/{n}"),
            "timeout": "1s", "eventTypes": ["order.*"],
        });
        let endpoint = Endpoint::from_json(&endpoint.to_string()).unwrap();
        app.endpoints.put(endpoint, None, app.clock.now()).await.unwrap();
    }
}

fn pending(program: &Program) -> usize {
    let database = rusqlite::Connection::open(program.data().join("sealpost.db")).unwrap();
    database.query_row("SELECT count(*) FROM messages", [], |row| row.get(0)).unwrap()
}

fn worker(program: &Program) -> std::process::Child {
    let mut command = program.command(&["serve"]);
    command
        .env("SEALPOST_WORKER_CONCURRENCY", CONCURRENCY.to_string())
        .env("SEALPOST_LOG_LEVEL", "error");
    command.spawn().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_to_a_thousand_endpoints_survives_kills_and_reaches_each_once() {
    let (origin, mut calls) = listen(|_| (204, String::new())).await;
    let program = Program::new();
    register(&program, &origin).await;
    let body = "x".repeat(40_000);
    let job = json!({"id": "evt", "customerId": "c", "type": "order.created", "body": body});
    program.ok(&["enqueue", "-"], &job.to_string());

    // The first is killed as soon as some of the children are sent.
    let mut first = worker(&program);
    while pending(&program) == 1 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    first.kill().unwrap();
    first.wait().unwrap();
    let sent = pending(&program);
    assert!(sent > 1 && sent < ENDPOINTS, "{sent}: the kill came when all were sent");

    // Then others in the midst of deliveries, and one that is left alone.
    let mut seen: HashMap<String, usize> = HashMap::new();
    let (mut kills, mut last) = (1, worker(&program));
    while pending(&program) > 0 {
        let Ok(Some(call)) = tokio::time::timeout(Duration::from_millis(50), calls.recv()).await
        else {
            continue;
        };
        assert_eq!(format!("evt/e{}", &call.target[1..]), call.header("webhook-id"));
        *seen.entry(call.header("webhook-id").to_owned()).or_default() += 1;
        if seen.len() == kills * 200 && kills < 4 {
            last.kill().unwrap();
            last.wait().unwrap();
            kills += 1;
            last = worker(&program);
        }
    }
    terminate(&last);
    assert!(last.wait().unwrap().success());
    while let Ok(call) = calls.try_recv() {
        *seen.entry(call.header("webhook-id").to_owned()).or_default() += 1;
    }
    assert_eq!(kills, 4);
    assert_eq!(seen.len(), ENDPOINTS, "each endpoint has its own id, and none is missing");
    let repeated = seen.values().sum::<usize>() - ENDPOINTS;
    eprintln!("{sent} messages at the first kill, {repeated} calls repeated after {kills} kills");
    // Only what was in flight at a kill; a second set would be a thousand.
    assert!(repeated <= kills * CONCURRENCY, "{repeated}");
    assert_eq!(program.ok(&["dlq", "list", "--json"], ""), "");
}
