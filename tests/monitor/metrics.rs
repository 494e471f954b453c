//! Every number is counted where it happens, under a label that names nobody.

use std::sync::Arc;
use std::time::Duration;

use sealpost::domain::reason::Reason;
use sealpost::domain::wait::Wait;
use sealpost::ports::Alarm;
use sealpost::telemetry::metrics::{FAMILIES, Kind};
use sealpost::worker::{self, Limits, Stop};
use serde_json::json;

use crate::bench::{loopback, put};
use crate::held::Held;
use crate::watched::Watched;
use crate::web::Web;

fn job(endpoint: &str) -> serde_json::Value {
    json!({"customerId": "c", "endpointId": endpoint, "data": 1})
}

#[tokio::test]
async fn what_became_of_every_job_is_counted() {
    let web = Web::start(|request| {
        let status = if request.contains("/fails") { "503 Service Unavailable" } else { "204 No" };
        (status.to_owned(), String::new())
    })
    .await;
    let watched = Watched::open(loopback()).await;
    for (id, path, attempts) in [("good", "/good", 1), ("fails", "/fails", 2)] {
        let endpoint = json!({"customerId": "c", "endpointId": id, "url": format!("{}{path}", web.origin),
            "retry": {"maxAttempts": attempts}, "eventTypes": ["x"]});
        put(&watched.app, endpoint).await;
    }
    for endpoint in ["good", "good", "fails", "nobody"] {
        watched.enqueue(job(endpoint)).await;
    }
    watched.enqueue(json!({"customerId": "c", "type": "unwanted", "data": 1})).await;
    watched
        .enqueue(json!({"customerId": "c", "endpointId": "good", "data": 1,
        "notBefore": "2027-01-15T09:00:00Z"}))
        .await;
    watched.clock.advance(Duration::from_secs(2));
    watched.deliver_due().await;
    let samples = watched.samples().await;
    let expected = [
        (r#"sealpost_deliveries_total{outcome="delivered"}"#, 2.0),
        (r#"sealpost_deliveries_total{outcome="dead_lettered"}"#, 1.0),
        (r#"sealpost_attempts_total{outcome="2xx"}"#, 2.0),
        (r#"sealpost_attempts_total{outcome="5xx"}"#, 1.0),
        (r#"sealpost_attempt_seconds_count{result="failed"}"#, 1.0),
        (r#"sealpost_delivery_seconds_bucket{le="1"}"#, 0.0),
        (r#"sealpost_delivery_seconds_bucket{le="2.5"}"#, 2.0),
        ("sealpost_delivery_seconds_sum", 4.0),
        ("sealpost_retries_total", 1.0),
        (r#"sealpost_dead_letters_total{reason="unknown_endpoint"}"#, 1.0),
        (r#"sealpost_parked_total{reason="not_before"}"#, 1.0),
        (r#"sealpost_fan_outs_total{result="unmatched"}"#, 1.0),
        (r#"sealpost_queue_messages{state="pending"}"#, 2.0),
        (r#"sealpost_queue_messages{state="dead"}"#, 1.0),
        ("sealpost_queue_oldest_due_seconds", 0.0),
        (r#"sealpost_cache_entries{cache="endpoints"}"#, 2.0),
    ];
    for (series, value) in expected {
        assert_eq!(samples.of(series), value, "{series}");
    }
    watched.clock.advance(Duration::from_secs(3600));
    watched.deliver_due().await;
    assert_eq!(
        watched.samples().await.of(r#"sealpost_dead_letters_total{reason="attempts_exhausted"}"#),
        1.0
    );
}

#[tokio::test]
async fn a_message_that_nobody_takes_shows_how_long_it_has_been_due() {
    let watched = Watched::open(loopback()).await;
    watched.enqueue(job("e")).await;
    watched.clock.advance(Duration::from_secs(90));
    assert_eq!(watched.samples().await.of("sealpost_queue_oldest_due_seconds"), 90.0);
}

#[tokio::test]
async fn messages_in_hand_are_counted_until_they_are_settled() {
    let (held, watched) = (Held::start().await, Watched::open(loopback()).await);
    put(&watched.app, json!({"customerId": "c", "endpointId": "e", "url": held.origin})).await;
    for _ in 0..3 {
        watched.enqueue(job("e")).await;
    }
    let (stop, limits) =
        (Stop::default(), Limits { concurrency: 8, drain: Duration::from_secs(5) });
    let worker = tokio::spawn(worker::run(Arc::clone(&watched.worker), limits, stop.clone()));
    held.reached(3).await;
    let samples = watched.samples().await;
    assert_eq!(samples.of("sealpost_messages_in_hand"), 3.0);
    assert_eq!(samples.of("sealpost_messages_received_total"), 3.0);
    assert_eq!(samples.of(r#"sealpost_worker_state{state="receiving"}"#), 1.0);
    held.release();
    stop.soft.cancel();
    worker.await.unwrap();
    let samples = watched.samples().await;
    assert_eq!(samples.of("sealpost_messages_in_hand"), 0.0);
    assert_eq!(samples.of(r#"sealpost_worker_state{state="stopped"}"#), 1.0);
}

#[tokio::test]
async fn a_breaker_that_is_open_shows() {
    let web = Web::start(|_| ("500 No".to_owned(), String::new())).await;
    let watched = Watched::open(loopback()).await;
    put(
        &watched.app,
        json!({"customerId": "c", "endpointId": "e", "url": web.origin,
        "limits": {"breaker": {"failures": 2}}}),
    )
    .await;
    for _ in 0..2 {
        watched.enqueue(job("e")).await;
    }
    watched.deliver_due().await;
    let samples = watched.samples().await;
    assert_eq!(samples.of(r#"sealpost_breakers{state="open"}"#), 1.0);
    assert_eq!(samples.of(r#"sealpost_breaker_changes_total{state="open"}"#), 1.0);
}

#[tokio::test]
async fn the_text_is_bounded_and_names_nobody() {
    let web = Web::start(|_| ("204 No".to_owned(), String::new())).await;
    let watched = Watched::open(loopback()).await;
    let before = watched.monitor.metrics().await.lines().count();
    for number in 0..20 {
        let (customer, endpoint) = (format!("customer-{number}"), format!("endpoint-{number}"));
        let url = format!("{}/path-{number}", web.origin);
        put(&watched.app, json!({"customerId": customer, "endpointId": endpoint, "url": url}))
            .await;
        watched.enqueue(json!({"customerId": customer, "endpointId": endpoint, "type": "type-x", "data": 1})).await;
    }
    watched.deliver_due().await;
    let text = watched.monitor.metrics().await;
    assert_eq!(web.count(), 20);
    assert_eq!(text.lines().count(), before, "a series was made of a customer");
    for outside in ["customer-", "endpoint-", "path-", "type-x", "127.0.0.1"] {
        assert!(!text.contains(outside), "{outside} is in {text}");
    }
}

#[test]
fn names_follow_the_conventions_and_every_reason_is_a_label() {
    for family in FAMILIES {
        let ours = family.name.starts_with("sealpost_") || family.name.starts_with("process_");
        assert!(ours && !family.help.ends_with('.'), "{}", family.name);
        assert_eq!(
            family.kind == Kind::Counter,
            family.name.ends_with("_total"),
            "{}",
            family.name
        );
        let is_time = family.kind == Kind::Histogram;
        assert!(!is_time || family.name.ends_with("_seconds"), "{}", family.name);
    }
    assert!(Reason::ALL.len() > 20 && Wait::ALL.len() > 5 && Alarm::ALL.len() > 5);
}
