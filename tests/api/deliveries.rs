use std::time::Duration;

use sealpost::domain::access::Scope;
use sealpost::domain::decide::Disposition;
use sealpost::domain::delivery::DeliveryKey;
use sealpost::domain::delivery_record::{AttemptRow, DeliveryRecord, RecordedAttempt};
use sealpost::domain::endpoint::Method;
use sealpost::domain::kept_body::BodyFate;
use sealpost::domain::outcome::{Attempt, AttemptOutcome};
use sealpost::domain::reason::Reason;
use sealpost::domain::request::OutboundRequest;
use sealpost::domain::shown_request::ShownRequest;
use serde_json::{Value, json};

use crate::server::Server;

/// Keeps one attempt of a delivery, a second after the one before.
async fn keep(server: &Server, customer: &str, endpoint: &str, job: &str, then: Disposition) {
    server.clock.advance(Duration::from_secs(1));
    let at = server.app.clock.now();
    let key = DeliveryKey {
        customer_id: customer.parse().unwrap(),
        endpoint_id: endpoint.parse().unwrap(),
        job_id: job.parse().unwrap(),
        round: 1,
        message_id: format!("msg_{job}"),
    };
    let status = if then == Disposition::Done { 200 } else { 500 };
    let attempt = Attempt {
        number: 1,
        at,
        duration_ms: 7,
        address: Some("192.0.2.1:443".into()),
        outcome: AttemptOutcome::Answered { status, retry_after_ms: None, never_again: false },
        detail: "said".into(),
    };
    let header = DeliveryRecord::after(&key, Some("order.created".into()), at, &attempt, then);
    let url = "https://a.example/".parse().unwrap();
    let request = OutboundRequest::new(Method::Post, url, b"told".to_vec().into());
    let attempt = AttemptRow::new(attempt, &ShownRequest::without_body(&request));
    let until = at.plus(Duration::from_secs(3600));
    server.app.records.put(&[RecordedAttempt { header, attempt, until }]).await.unwrap();
}

/// A recorded delivery, as if its job were kept.
pub async fn with_kept_job(server: &Server, id: &str) -> DeliveryRecord {
    let now = server.app.clock.now();
    let mut kept = server.app.records.header(id, now).await.unwrap().unwrap();
    kept.body = Some(BodyFate::Kept);
    let (_, rows) = server.app.records.get(id, now).await.unwrap().unwrap();
    let until = now.plus(Duration::from_secs(3600));
    let recorded = RecordedAttempt { header: kept.clone(), attempt: rows[0].clone(), until };
    server.app.records.put(&[recorded]).await.unwrap();
    kept
}

/// Deliveries of two customers: `one` was taken, the others were given up.
pub async fn server() -> Server {
    let server = Server::start().await;
    let exhausted = Disposition::DeadLetter(Reason::AttemptsExhausted);
    keep(&server, "acme", "orders", "one", Disposition::Done).await;
    keep(&server, "other", "orders", "two", Disposition::Done).await;
    keep(&server, "acme", "invoices", "three", exhausted).await;
    keep(&server, "acme", "orders", "four", exhausted).await;
    server
}

#[tokio::test]
async fn a_delivery_is_sent_again_by_those_whose_it_is_where_its_job_is_kept() {
    let server = server().await;
    let listed = server.call("GET", DELIVERIES, Value::Null).await.is(200);
    let of = |job: &str| {
        let data = listed["data"].as_array().unwrap();
        let found = data.iter().find(|delivery| delivery["jobId"] == job).unwrap();
        format!("{DELIVERIES}/{}", found["id"].as_str().unwrap())
    };
    let refused = server.call("POST", &format!("{}/resend", of("one")), Value::Null).await;
    assert_eq!(refused.problem(), "conflict");
    assert!(refused.json()["detail"].as_str().unwrap().contains("is not kept"));

    let path = of("four");
    let kept = with_kept_job(&server, path.rsplit('/').next().unwrap()).await;
    let resend = format!("{path}/resend");
    let looker = server.key(Scope::ReadOnly, &[], &[]).await;
    let forbidden = server.call_as(&looker, "POST", &resend, Value::Null).await;
    assert_eq!(forbidden.problem(), "forbidden");
    let invoices = server.key(Scope::Operator, &["acme"], &["invoices"]).await;
    let unseen = server.call_as(&invoices, "POST", &resend, Value::Null).await;
    assert_eq!(unseen.problem(), "not_found");
    let token = server.token("acme").await;
    let sent = server.call_as(&token, "POST", &resend, Value::Null).await.is(202);
    assert_eq!(sent, json!({"resent": "ordered", "nextRound": kept.next_round_id()}));
    assert_eq!(server.app.queue.depth().await.unwrap().pending, 1);
    let shown = server.call("GET", &path, Value::Null).await.is(200);
    assert_eq!(shown["resends"][0]["what"], "ordered");
    assert!(shown["resends"][0]["who"].as_str().unwrap().starts_with("tok_"), "{shown}");

    let recover = "/v1/customers/acme/endpoints/orders/recover";
    let since = json!({"since": "2026-01-01T00:00:00Z", "rate": 50});
    let begun = server.call("POST", recover, since.clone()).await.is(202);
    assert_eq!((&begun["keptBodies"], &begun["rate"]), (&json!(true), &json!(50)));
    assert_eq!(begun["filter"]["endpointId"], "orders");
    let forbidden = server.call_as(&invoices, "POST", recover, since).await;
    assert_eq!(forbidden.problem(), "forbidden");
    assert_eq!(
        server.call("POST", recover, json!({"rate": 5})).await.problem(),
        "validation_failed"
    );
}

const DELIVERIES: &str = "/v1/customers/acme/deliveries";

async fn jobs(server: &Server, query: &str) -> Vec<String> {
    let listed = server.call("GET", &format!("{DELIVERIES}{query}"), Value::Null).await.is(200);
    let job = |delivery: &Value| delivery["jobId"].as_str().unwrap().to_owned();
    listed["data"].as_array().unwrap().iter().map(job).collect()
}

#[tokio::test]
async fn a_customer_s_deliveries_are_listed_newest_first_and_filtered() {
    let server = server().await;
    assert_eq!(jobs(&server, "").await, ["four", "three", "one"]);
    assert_eq!(jobs(&server, "?endpointId=orders").await, ["four", "one"]);
    assert_eq!(jobs(&server, "?status=delivered").await, ["one"]);
    assert_eq!(
        jobs(&server, "?reason=attempts_exhausted&type=order.created").await,
        ["four", "three"]
    );
    assert!(jobs(&server, "?eventType=order.paid").await.is_empty());
    assert_eq!(jobs(&server, "?jobId=three").await, ["three"]);
    assert_eq!(jobs(&server, "?httpStatus=500").await, ["four", "three"]);
    for bad in ["httpStatus=99", "httpStatus=600", "jobId=a%20b", "type=a&eventType=a"] {
        let refused = server.call("GET", &format!("{DELIVERIES}?{bad}"), Value::Null).await;
        assert_eq!(refused.problem(), "invalid_request", "{bad}");
    }
    let page = server.call("GET", &format!("{DELIVERIES}?limit=2"), Value::Null).await.is(200);
    let cursor = page["nextCursor"].as_str().unwrap();
    assert_eq!(jobs(&server, &format!("?limit=2&cursor={cursor}")).await, ["one"]);
    let refused = server.call("GET", &format!("{DELIVERIES}?status=lost"), Value::Null).await;
    assert_eq!(refused.problem(), "invalid_request");
}

#[tokio::test]
async fn a_delivery_is_shown_with_its_attempts_to_those_whose_it_is() {
    let server = server().await;
    let listed = server.call("GET", DELIVERIES, Value::Null).await.is(200);
    let path = format!("{DELIVERIES}/{}", listed["data"][0]["id"].as_str().unwrap());
    let shown = server.call("GET", &path, Value::Null).await.is(200);
    assert_eq!(
        (&shown["status"], &shown["reason"]),
        (&json!("dead_letter"), &json!("attempts_exhausted"))
    );
    let attempt = &shown["attemptList"][0];
    assert_eq!((&attempt["status"], &attempt["address"]), (&json!(500), &json!("192.0.2.1:443")));
    assert!(attempt["request"].as_str().unwrap().contains("a.example"));
    assert!(!attempt.to_string().contains("told"), "the body is not kept: {attempt}");
    let events: Vec<&Value> =
        shown["timeline"].as_array().unwrap().iter().map(|moment| &moment["event"]).collect();
    assert_eq!(events, ["accepted", "attempt", "dead_lettered"]);

    let token = server.token("acme").await;
    server.call_as(&token, "GET", &path, Value::Null).await.is(200);
    let other = server.token("other").await;
    let theirs = path.replace("/acme/", "/other/");
    assert_eq!(server.call_as(&other, "GET", &theirs, Value::Null).await.problem(), "not_found");
    let invoices = server.key(Scope::ReadOnly, &["acme"], &["invoices"]).await;
    assert_eq!(server.call_as(&invoices, "GET", &path, Value::Null).await.problem(), "not_found");
    assert_eq!(
        server.call_as(&invoices, "GET", DELIVERIES, Value::Null).await.problem(),
        "forbidden"
    );
}
