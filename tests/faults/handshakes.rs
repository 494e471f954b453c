//! Handshakes: nothing is delivered before the receiver has agreed, and what its answers say of the
//! endpoint's authorization.

use std::sync::Mutex;
use std::time::Duration;

use sealpost::domain::authorization::Authorization;
use sealpost::domain::reason::Reason;
use sealpost::domain::test_call::{TestEvent, TestKind};
use sealpost::domain::test_report::{StepName, TestReport};
use serde_json::{Value, json};

use crate::bench::{Bench, enqueue, loopback, put, put_secret};
use crate::web::Web;

const ORIGIN: &str = "hooks.test.example";

async fn ask(bench: &Bench, kind: TestKind) -> TestReport {
    let (customer, endpoint) = ("c".parse().unwrap(), "e".parse().unwrap());
    let tests = bench.app.test_caller();
    let asked = tests.ask(&customer, &endpoint, kind, &TestEvent::default()).await.unwrap();
    bench.deliver_due().await;
    let known = bench.app.test_calls.get(&asked.call.id, bench.app.clock.now()).await;
    known.unwrap().unwrap().report.unwrap()
}

async fn open() -> Bench {
    let mut config = loopback();
    config.egress.webhook_origin = Some(ORIGIN.parse().unwrap());
    Bench::open(config).await
}

async fn register(bench: &Bench, url: &str, handshake: &str, more: Value) {
    let mut endpoint = json!({"customerId": "c", "endpointId": "e", "url": url,
                              "verification": {"handshake": handshake}});
    for (name, value) in more.as_object().unwrap() {
        endpoint[name] = value.clone();
    }
    put(&bench.app, endpoint).await;
}

async fn authorization(bench: &Bench) -> Authorization {
    let (customer, id) = ("c".parse().unwrap(), "e".parse().unwrap());
    let stored = bench.app.endpoints.get(&customer, &id).await.unwrap().unwrap();
    let record = bench.app.health.read(&customer, &id, stored.version).await.unwrap();
    record.authorization_of(&stored.endpoint, bench.app.clock.now())
}

/// The challenge in a request, if it has one.
fn challenge(request: &str) -> Option<String> {
    let (_, body) = request.split_once("\r\n\r\n")?;
    let body: Value = serde_json::from_str(body).ok()?;
    (body["type"] == "url_verification").then(|| body["challenge"].as_str().unwrap().to_owned())
}

/// A receiver that sends challenges back.
async fn agreeing() -> Web {
    Web::start(|request| ("200 OK".to_owned(), challenge(request).unwrap_or_default())).await
}

#[tokio::test]
async fn nothing_is_delivered_before_the_handshake_and_all_of_it_after() {
    let web = agreeing().await;
    let bench = open().await;
    register(
        &bench,
        &web.origin,
        "challenge",
        json!({"auth": [{"scheme": "bearer", "secret": "s"}]}),
    )
    .await;
    put_secret(&bench.app, "canary-of-a-handshake", &[&web.origin]).await;
    assert_eq!(authorization(&bench).await, Authorization::Unverified);
    enqueue(&bench.app, 2).await;
    for _ in 0..3 {
        bench.deliver_due().await;
        bench.clock.advance(Duration::from_secs(900));
    }
    let tested = ask(&bench, TestKind::Test).await;
    assert_eq!(tested.failure().unwrap().step, StepName::Endpoint, "a test is held back too");
    assert_eq!((web.count(), bench.dead_letters().await.len()), (0, 0));
    assert_eq!(bench.app.tally.counts().delivered, 0);

    let report = ask(&bench, TestKind::Handshake).await;
    assert!(report.has_passed(), "{report}");
    let asked = web.all()[0].clone();
    assert!(asked.starts_with("POST / ") && challenge(&asked).unwrap().len() >= 32, "{asked}");
    assert!(asked.contains("authorization: Bearer canary"), "it is signed as deliveries are");
    let at = bench.app.clock.now();
    assert_eq!(authorization(&bench).await, Authorization::Authorized { at });
    bench.clock.advance(Duration::from_secs(3600));
    while bench.deliver_due().await > 0 {}
    assert_eq!(bench.app.tally.counts().delivered, 2);
}

#[tokio::test]
async fn a_job_that_may_wait_no_longer_is_given_up_with_a_reason_of_its_own() {
    let bench = open().await;
    let retry = json!({"retry": {"maxAge": "2m"}});
    register(&bench, "http://127.0.0.1:1/", "challenge", retry).await;
    enqueue(&bench.app, 1).await;
    for _ in 0..4 {
        bench.deliver_due().await;
        bench.clock.advance(Duration::from_secs(60));
    }
    let dead = bench.dead_letters().await;
    assert_eq!((dead.len(), dead[0].reason, dead[0].attempts), (1, Reason::EndpointUnverified, 0));
}

#[tokio::test]
async fn another_url_has_to_agree_itself_and_another_version_does_not() {
    let (web, other) = (agreeing().await, agreeing().await);
    let mut bench = open().await;
    register(&bench, &web.origin, "challenge", json!({})).await;
    assert!(ask(&bench, TestKind::Handshake).await.has_passed());
    register(&bench, &web.origin, "challenge", json!({"timeout": "3s"})).await;
    bench.clock.advance(Duration::from_secs(60));
    enqueue(&bench.app, 1).await;
    bench.deliver_due().await;
    assert_eq!(bench.app.tally.counts().delivered, 1);
    register(&bench, &other.origin, "challenge", json!({})).await;
    // A worker that has not cached the version before.
    bench.pipeline = bench.app.pipeline().unwrap();
    assert_eq!(authorization(&bench).await, Authorization::Unverified);
    bench.clock.advance(Duration::from_secs(60));
    enqueue(&bench.app, 1).await;
    bench.deliver_due().await;
    assert_eq!((other.count(), bench.app.tally.counts().parked), (0, 1));
}

#[tokio::test]
async fn whoever_does_not_agree_is_deauthorized_and_takes_an_earlier_agreement_back() {
    let agrees = std::sync::Arc::new(Mutex::new(true));
    let shared = std::sync::Arc::clone(&agrees);
    let web = Web::start(move |request| match (*shared.lock().unwrap(), challenge(request)) {
        (true, Some(challenge)) => {
            ("200 OK".to_owned(), json!({"challenge": challenge}).to_string())
        }
        // Sends everything back, as some servers do with whatever they get.
        (_, _) => ("200 OK".to_owned(), request.split_once("\r\n\r\n").unwrap().1.to_owned()),
    });
    let web = web.await;
    let bench = open().await;
    register(&bench, &web.origin, "challenge", json!({})).await;
    assert!(ask(&bench, TestKind::Handshake).await.has_passed());
    *agrees.lock().unwrap() = false;
    let report = ask(&bench, TestKind::Handshake).await;
    let step = report.failure().unwrap();
    assert!(
        step.step == StepName::Handshake && step.advice.as_ref().unwrap().contains("challenge")
    );
    assert!(matches!(authorization(&bench).await, Authorization::Deauthorized { .. }));
    bench.clock.advance(Duration::from_secs(60));
    enqueue(&bench.app, 1).await;
    bench.deliver_due().await;
    assert_eq!((web.count(), bench.app.tally.counts().delivered), (2, 0));
    // That nobody answers says nothing: an agreement stays.
    *agrees.lock().unwrap() = true;
    assert!(ask(&bench, TestKind::Handshake).await.has_passed());
}

#[tokio::test]
async fn a_receiver_of_cloud_events_lets_this_sender_in_and_sees_its_name_on_every_delivery() {
    let web = Web::start(|request| match request.starts_with("OPTIONS ") {
        // The status of the answer says nothing.
        true => (
            format!(
                "405 Not Allowed\r\nwebhook-allowed-origin: {ORIGIN}\r\nwebhook-allowed-rate: 60"
            ),
            String::new(),
        ),
        false => ("204 No Content".to_owned(), String::new()),
    });
    let web = web.await;
    let bench = open().await;
    register(&bench, &web.origin, "cloudevents", json!({"limits": {"rate": "2/s"}})).await;
    let report = ask(&bench, TestKind::Handshake).await;
    assert!(report.has_passed() && report.to_string().contains("60 times a minute"), "{report}");
    let asked = web.all()[0].clone();
    for header in
        [format!("webhook-request-origin: {ORIGIN}"), "webhook-request-rate: 120".to_owned()]
    {
        assert!(asked.contains(&header), "{asked}");
    }
    assert!(asked.ends_with("\r\n\r\n") && !asked.contains("content-type"), "{asked}");
    bench.clock.advance(Duration::from_secs(60));
    enqueue(&bench.app, 1).await;
    bench.deliver_due().await;
    assert!(web.all()[1].contains(&format!("webhook-request-origin: {ORIGIN}")));
    assert_eq!(bench.app.tally.counts().delivered, 1);

    let other = Web::start(|_| ("200 OK".to_owned(), String::new())).await;
    register(&bench, &other.origin, "cloudevents", json!({})).await;
    let report = ask(&bench, TestKind::Handshake).await;
    assert_eq!(report.failure().unwrap().step, StepName::Handshake, "a 200 alone is no consent");
}

#[tokio::test]
async fn refusals_deauthorize_an_endpoint_once_and_the_next_delivery_that_is_taken_authorizes_it() {
    let status = std::sync::Arc::new(Mutex::new("401 Unauthorized"));
    let shared = std::sync::Arc::clone(&status);
    let web = Web::start(move |_| (shared.lock().unwrap().to_string(), String::new())).await;
    let bench = open().await;
    let retry = json!({"maxAttempts": 1});
    put(
        &bench.app,
        json!({"customerId": "c", "endpointId": "e", "url": web.origin, "retry": retry}),
    )
    .await;
    let deliver = async |count| {
        bench.clock.advance(Duration::from_secs(60));
        enqueue(&bench.app, count).await;
        bench.deliver_due().await;
        let (customer, id) = ("c".parse().unwrap(), "e".parse().unwrap());
        bench.app.health.read(&customer, &id, 1).await.unwrap()
    };
    let first = deliver(5).await;
    let Some(Authorization::Deauthorized { why, .. }) = &first.authorization else { panic!() };
    assert!(why.contains("401"), "{why}");
    let again = deliver(5).await.authorization;
    assert_eq!(again, first.authorization, "what is known is not written again");
    *status.lock().unwrap() = "204 No Content";
    let taken = deliver(1).await;
    assert!(matches!(taken.authorization, Some(Authorization::Authorized { .. })));
    assert_eq!(deliver(1).await.authorization, taken.authorization);
}
