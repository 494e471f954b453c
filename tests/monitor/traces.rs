//! Traces from a producer to its receiver, as a collector gets them.

use std::collections::BTreeSet;
use std::time::Duration;

use sealpost::config::Config;
use sealpost::delivery::Traceparent;
use serde_json::{Value, json};

use crate::bench::{loopback, put, secret};
use crate::watched::Watched;
use crate::web::Web;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PRODUCER: &str = "00f067aa0ba902b7";

/// A collector that answers so, and settings that name it.
async fn collector(answer: &'static str) -> (Web, Config) {
    let collector = Web::start(move |_| (answer.to_owned(), "{}".to_owned())).await;
    let mut config = loopback();
    config.traces.endpoint = Some(collector.origin.parse().unwrap());
    config.traces.sample = 1.0;
    (collector, config)
}

/// Every span that a collector was sent, in the order of their ends.
fn spans(collector: &Web) -> Vec<Value> {
    let mut spans = Vec::new();
    for request in collector.all() {
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("content-type: application/json"), "{head}");
        let body: Value = serde_json::from_str(body).unwrap();
        let resource = &body["resourceSpans"][0];
        let service = &resource["resource"]["attributes"][0];
        assert_eq!(*service, json!({"key": "service.name", "value": {"stringValue": "sealpost"}}));
        spans.extend(resource["scopeSpans"][0]["spans"].as_array().unwrap().clone());
    }
    spans
}

fn named<'s>(spans: &'s [Value], name: &str) -> Vec<&'s Value> {
    spans.iter().filter(|span| span["name"] == name).collect()
}

fn attribute<'s>(span: &'s Value, key: &str) -> &'s Value {
    let found = span["attributes"].as_array().unwrap().iter().find(|a| a["key"] == key);
    &found.unwrap_or_else(|| panic!("{span} has no {key}"))["value"]
}

fn time(span: &Value, which: &str) -> u64 {
    span[which].as_str().unwrap().parse().unwrap()
}

/// The value of a header of a request as it came.
fn header(request: &str, name: &str) -> Option<String> {
    let line = request.lines().find(|line| line.starts_with(&format!("{name}: ")))?;
    Some(line.split_once(": ").unwrap().1.to_owned())
}

async fn receiver() -> Web {
    Web::start(|request| {
        let status = if request.contains("/fails") { "503 No" } else { "204 No" };
        (status.to_owned(), String::new())
    })
    .await
}

async fn flush(watched: &Watched) {
    watched.worker.tracer.as_ref().unwrap().flush().await;
}

#[tokio::test]
async fn a_delivery_is_one_trace_from_its_producer_to_its_receiver() {
    let (collector, config) = collector("200 OK").await;
    let (web, watched) = (receiver().await, Watched::open(config).await);
    put(&watched.app, json!({"customerId": "c", "endpointId": "e", "url": web.origin})).await;
    let traceparent = format!("00-{TRACE}-{PRODUCER}-01");
    watched
        .enqueue(json!({"customerId": "c", "endpointId": "e", "id": "j", "data": 1,
        "traceparent": traceparent}))
        .await;
    watched.deliver_due().await;
    flush(&watched).await;
    let spans = spans(&collector);
    assert!(spans.iter().all(|span| span["traceId"] == TRACE), "{spans:#?}");
    let root = named(&spans, "deliver")[0];
    assert_eq!((&root["parentSpanId"], &root["kind"]), (&json!(PRODUCER), &json!(5)));
    assert_eq!(attribute(root, "sealpost.disposition"), &json!({"stringValue": "done"}));
    assert_eq!(attribute(root, "sealpost.job_id"), &json!({"stringValue": "j"}));
    assert_eq!(attribute(root, "sealpost.attempt"), &json!({"intValue": "1"}));
    assert!(root["status"].is_null());
    for stage in ["decode", "resolve", "permit", "build", "sign", "claim", "attempt", "settle"] {
        let [span] = named(&spans, stage)[..] else { panic!("{stage}: {spans:#?}") };
        assert_eq!(span["parentSpanId"], root["spanId"], "{stage}");
        assert!(time(span, "startTimeUnixNano") >= time(root, "startTimeUnixNano"), "{stage}");
        assert!(time(span, "endTimeUnixNano") <= time(root, "endTimeUnixNano"), "{stage}");
    }
    let attempt = named(&spans, "attempt")[0];
    assert_eq!(attempt["kind"], 3);
    assert_eq!(attribute(attempt, "http.response.status_code"), &json!({"intValue": "204"}));
    assert_eq!(attribute(attempt, "server.address"), &json!({"stringValue": "127.0.0.1"}));
    for part in ["dns", "connect", "send", "wait", "read"] {
        let [span] = named(&spans, part)[..] else { panic!("{part}: {spans:#?}") };
        assert_eq!(span["parentSpanId"], attempt["spanId"], "{part}");
    }
    let received = header(&web.all()[0], "traceparent").unwrap();
    let sent = format!("00-{TRACE}-{}-01", attempt["spanId"].as_str().unwrap());
    assert_eq!(received, sent, "the receiver is told which call it is");
    let ids: BTreeSet<&str> = spans.iter().map(|s| s["spanId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), spans.len());
    let taken = watched.samples().await.of(r#"sealpost_spans_total{result="exported"}"#);
    assert_eq!(taken, spans.len() as f64);
}

#[tokio::test]
async fn all_attempts_of_a_delivery_are_in_one_trace_though_its_job_brought_none() {
    let (collector, config) = collector("200 OK").await;
    let (web, watched) = (receiver().await, Watched::open(config).await);
    put(
        &watched.app,
        json!({"customerId": "c", "endpointId": "e", "url": format!("{}/fails", web.origin),
        "retry": {"maxAttempts": 2}}),
    )
    .await;
    for _ in 0..2 {
        watched.enqueue(json!({"customerId": "c", "endpointId": "e", "data": 1})).await;
    }
    watched.deliver_due().await;
    watched.clock.advance(Duration::from_secs(3600));
    watched.deliver_due().await;
    flush(&watched).await;
    let spans = spans(&collector);
    let roots = named(&spans, "deliver");
    let traces: BTreeSet<&str> = roots.iter().map(|r| r["traceId"].as_str().unwrap()).collect();
    assert_eq!((roots.len(), traces.len()), (4, 2), "a trace for each job");
    assert!(roots.iter().all(|root| root["parentSpanId"].is_null()));
    let ends = |disposition: &str, error: &str| {
        let is_it = |root: &&&Value| {
            *attribute(root, "sealpost.disposition") == json!({"stringValue": disposition})
                && root["status"] == json!({"code": 2, "message": error})
        };
        roots.iter().filter(is_it).count()
    };
    assert_eq!(
        (ends("retry", "503"), ends("dead_letter", "attempts_exhausted")),
        (2, 2),
        "{roots:#?}"
    );
    assert!(web.all().iter().all(|request| header(request, "traceparent").is_none()));
    let reused = named(&spans, "connect").len() < named(&spans, "attempt").len();
    assert!(reused && named(&spans, "wait").len() == 4, "a connection that is there is not made");
}

#[tokio::test]
async fn what_nobody_looks_at_makes_no_spans_and_is_passed_on_as_it_came() {
    let (collector, mut config) = collector("200 OK").await;
    config.traces.sample = 0.0;
    let (web, watched) = (receiver().await, Watched::open(config).await);
    put(&watched.app, json!({"customerId": "c", "endpointId": "e", "url": web.origin})).await;
    let unwatched = format!("00-{TRACE}-{PRODUCER}-00");
    watched
        .enqueue(json!({"customerId": "c", "endpointId": "e", "data": 1, "traceparent": unwatched}))
        .await;
    watched.enqueue(json!({"customerId": "c", "endpointId": "e", "data": 1})).await;
    watched.deliver_due().await;
    flush(&watched).await;
    assert_eq!(collector.count(), 0);
    let received: BTreeSet<_> = web.all().iter().map(|r| header(r, "traceparent")).collect();
    assert_eq!(received, [None, Some(unwatched)].into());
    // Nor is anything made where no collector is named.
    let watched = Watched::open(loopback()).await;
    assert!(watched.worker.tracer.is_none());
}

#[tokio::test]
async fn a_setting_says_whether_calls_carry_traceparent() {
    for (setting, given, carries) in [
        (Traceparent::Given, true, true),
        (Traceparent::Given, false, false),
        (Traceparent::Traced, false, true),
        (Traceparent::Never, true, false),
    ] {
        let (_collector, mut config) = collector("200 OK").await;
        config.traces.traceparent = setting;
        let (web, watched) = (receiver().await, Watched::open(config).await);
        put(&watched.app, json!({"customerId": "c", "endpointId": "e", "url": web.origin})).await;
        let mut job = json!({"customerId": "c", "endpointId": "e", "data": 1});
        if given {
            job["traceparent"] = format!("00-{TRACE}-{PRODUCER}-01").into();
        }
        watched.enqueue(job).await;
        watched.deliver_due().await;
        let received = header(&web.all()[0], "traceparent");
        assert_eq!(received.is_some(), carries, "{setting:?} {given}: {received:?}");
    }
}

#[tokio::test]
async fn children_are_in_the_trace_of_their_parent() {
    let (collector, config) = collector("200 OK").await;
    let (web, watched) = (receiver().await, Watched::open(config).await);
    for endpoint in ["a", "b"] {
        put(&watched.app, json!({"customerId": "c", "endpointId": endpoint, "url": web.origin}))
            .await;
    }
    watched.enqueue(json!({"customerId": "c", "data": 1, "traceparent": format!("00-{TRACE}-{PRODUCER}-01")})).await;
    watched.deliver_due().await;
    watched.deliver_due().await;
    flush(&watched).await;
    let spans = spans(&collector);
    assert!(spans.iter().all(|span| span["traceId"] == TRACE));
    let parent = named(&spans, "fan_out")[0];
    assert_eq!(attribute(parent, "sealpost.endpoints"), &json!({"intValue": "2"}));
    assert_eq!(named(&spans, "deliver").len(), 2);
}

#[tokio::test]
async fn a_collector_that_refuses_costs_no_delivery_and_what_it_lost_is_counted() {
    let (collector, config) = collector("400 Bad Request").await;
    let (web, watched) = (receiver().await, Watched::open(config).await);
    put(&watched.app, json!({"customerId": "c", "endpointId": "e", "url": web.origin})).await;
    watched.enqueue(json!({"customerId": "c", "endpointId": "e", "data": 1})).await;
    watched.deliver_due().await;
    flush(&watched).await;
    let samples = watched.samples().await;
    assert_eq!(samples.of(r#"sealpost_deliveries_total{outcome="delivered"}"#), 1.0);
    assert!(samples.of(r#"sealpost_spans_total{result="dropped"}"#) > 8.0);
    assert_eq!(samples.of(r#"sealpost_spans_total{result="exported"}"#), 0.0);
    assert_eq!(collector.count(), 1, "what was refused is not sent again");
}

#[tokio::test]
async fn spans_hold_nothing_of_a_url_but_its_host_and_no_header_and_no_body() {
    let (collector, config) = collector("200 OK").await;
    let (web, watched) = (receiver().await, Watched::open(config).await);
    watched.app.vault.put(secret("canary-secret-4412", &[&web.origin])).await.unwrap();
    put(
        &watched.app,
        json!({"customerId": "c", "endpointId": "e",
        "url": format!("{}/canary-path/{{secret:s}}", web.origin), "query": {"k": "canary-query"},
        "headers": {"x-h": "canary-header"}, "auth": [{"scheme": "bearer", "secret": "s"}]}),
    )
    .await;
    watched
        .enqueue(json!({"customerId": "c", "endpointId": "e", "data": "canary-body",
        "headers": {"x-j": "canary-own"}}))
        .await;
    watched.deliver_due().await;
    flush(&watched).await;
    assert!(web.all()[0].contains("/canary-path/canary-secret-4412?k=canary-query"));
    assert_eq!(named(&spans(&collector), "attempt").len(), 1);
    assert!(!collector.all().concat().contains("canary"), "{:#?}", collector.all());
}
