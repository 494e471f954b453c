//! Health that means something: a loop that hangs, a store that does not answer, keys that fail.

use std::sync::Arc;
use std::time::Duration;

use sealpost::monitor::router;
use sealpost::telemetry::WorkerState;
use sealpost::telemetry::metrics::label::{KeyOperation, KeyResult};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::bench::loopback;
use crate::watched::Watched;

/// The status and the body of a GET.
async fn get(watched: &Watched, path: &str) -> (u16, String) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (monitor, stop) = (Arc::clone(&watched.monitor), sealpost::worker::Stop::default());
    let drain = Duration::from_secs(5);
    let served = tokio::spawn(sealpost::api::serve(listener, router(monitor), drain, stop.clone()));
    let mut stream = tokio::net::TcpSocket::new_v4().unwrap().connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    stop.soft.cancel();
    served.await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}

async fn ready(watched: &Watched) -> (u16, Value) {
    let (status, body) = get(watched, "/readyz").await;
    (status, serde_json::from_str(&body).unwrap())
}

#[tokio::test]
async fn a_worker_is_ready_when_it_receives_and_what_it_needs_answers() {
    let watched = Watched::open(loopback()).await;
    let (status, body) = ready(&watched).await;
    assert_eq!((status, &body["worker"]), (503, &json!("stopped")));
    watched.app.tally.worker_is(WorkerState::Receiving);
    let (status, body) = ready(&watched).await;
    assert_eq!(status, 200);
    assert_eq!(
        body,
        json!({"status": "ready", "stores": "ok", "queue": "ok", "keys": "ok", "worker": "receiving"})
    );
    watched.app.tally.worker_is(WorkerState::Failing);
    assert_eq!(ready(&watched).await.0, 503);
}

#[tokio::test]
async fn keys_that_fail_show_until_they_work_again_or_nobody_has_asked_for_a_minute() {
    let watched = Watched::open(loopback()).await;
    watched.app.tally.worker_is(WorkerState::Receiving);
    let keys = &watched.app.tally.counters.keys;
    let failed = || keys.note(KeyOperation::Unwrap, KeyResult::Failed, watched.app.clock.now());
    failed();
    let (status, body) = ready(&watched).await;
    assert_eq!((status, &body["keys"]), (503, &json!("failing")));
    keys.note(KeyOperation::Unwrap, KeyResult::Refused, watched.app.clock.now());
    assert_eq!(ready(&watched).await.0, 200, "what is refused was answered");
    failed();
    watched.clock.advance(Duration::from_secs(61));
    assert_eq!(ready(&watched).await.0, 200);
}

#[tokio::test]
async fn a_process_whose_loop_hangs_does_not_live() {
    let watched = Watched::open(loopback()).await;
    let (status, body) = get(&watched, "/healthz").await;
    assert_eq!((status, body.as_str()), (200, r#"{"status":"ok","receiving":"ok","leases":"ok"}"#));
    // Whatever it waited for has not come.
    watched.app.tally.receiving.expect(Duration::ZERO);
    while !watched.app.tally.receiving.is_late() {
        tokio::task::yield_now().await;
    }
    let (status, body) = get(&watched, "/healthz").await;
    assert_eq!(status, 503);
    assert!(body.contains(r#""status":"stuck","receiving":"late""#), "{body}");
}

#[tokio::test]
async fn metrics_are_served_as_the_text_that_prometheus_reads_and_nothing_else_is() {
    let watched = Watched::open(loopback()).await;
    let (status, body) = get(&watched, "/metrics").await;
    assert_eq!(status, 200);
    crate::exposition::read(&body);
    assert_eq!(get(&watched, "/v1/endpoints").await.0, 404);
}
