//! Test calls: what each step says, and that nothing comes of them for the endpoint's deliveries.

use std::time::Duration;

use rustls::version::TLS13;
use sealpost::domain::endpoint::Health;
use sealpost::domain::test_call::{TestEvent, TestKind, TestRecord};
use sealpost::domain::test_report::{StepName, StepResult, TestReport};
use sealpost::ports::queue::Depth;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::bench::{Bench, enqueue, loopback, put, put_secret};
use crate::dns_server;
use crate::server::{Then, listen};
use crate::tls_server::{Authority, Flaw, HOST, listen as tls_listen, listen_as};
use crate::token_server::{TokenServer, bench as token_bench, target};
use crate::web::Web;

/// Asks for a test of endpoint `e`, as the API does.
async fn ask(bench: &Bench) -> TestRecord {
    let (customer, endpoint) = ("c".parse().unwrap(), "e".parse().unwrap());
    let tests = bench.app.test_caller();
    tests.ask(&customer, &endpoint, TestKind::Test, &TestEvent::default()).await.unwrap()
}

/// The report of a test that a worker made.
async fn test(bench: &Bench) -> TestReport {
    let asked = ask(bench).await;
    assert_eq!(bench.deliver_due().await, 1);
    let now = bench.app.clock.now();
    let known = bench.app.test_calls.get(&asked.call.id, now).await.unwrap().unwrap();
    known.report.unwrap()
}

async fn failure(bench: &Bench) -> (StepName, String, String) {
    let report = test(bench).await;
    let step = report.failure().unwrap_or_else(|| panic!("{report}")).clone();
    (step.step, step.says, step.advice.unwrap_or_default())
}

fn endpoint(url: &str, more: Value) -> Value {
    let mut endpoint = json!({"customerId": "c", "endpointId": "e", "url": url});
    for (name, value) in more.as_object().unwrap() {
        endpoint[name] = value.clone();
    }
    endpoint
}

async fn open(url: &str, more: Value) -> Bench {
    let bench = Bench::open(loopback()).await;
    put(&bench.app, endpoint(url, more)).await;
    bench
}

#[tokio::test]
async fn a_test_is_one_real_call_that_is_marked_and_told_step_by_step() {
    let web = Web::start(|_| ("200 OK\r\nx-request: r1".to_owned(), "taken".to_owned())).await;
    let bench = open(&web.origin, json!({"auth": [{"scheme": "bearer", "secret": "s"}]})).await;
    put_secret(&bench.app, "canary-of-a-test", &[&web.origin]).await;
    let report = test(&bench).await;
    assert!(report.has_passed(), "{report}");
    assert_eq!(bench.app.queue.depth().await.unwrap(), Depth::default(), "nothing is left of it");
    let calls = web.all();
    assert_eq!(calls.len(), 1);
    for header in ["webhook-id: test_", "sealpost-test: true", "authorization: Bearer canary"] {
        assert!(calls[0].contains(header), "{}", calls[0]);
    }
    let steps: Vec<_> = report.steps.iter().map(|step| (step.step, step.result)).collect();
    let (passed, skipped) = (StepResult::Passed, StepResult::Skipped);
    assert_eq!(
        steps,
        [
            (StepName::Endpoint, passed),
            (StepName::Secrets, passed),
            (StepName::Request, passed),
            (StepName::Auth, passed),
            (StepName::Dns, skipped),
            (StepName::Guard, passed),
            (StepName::Connect, passed),
            (StepName::Tls, skipped),
            (StepName::Response, passed),
        ]
    );
    let shown = report.to_json();
    assert_eq!(shown["request"]["headers"]["authorization"], "********");
    assert_eq!(shown["response"]["headers"]["x-request"], "r1");
    assert_eq!(
        (&shown["response"]["body"], &shown["addresses"]),
        (&json!("taken"), &json!(["127.0.0.1"]))
    );
    assert_eq!(shown["follows"], "a delivery would be done");
}

#[tokio::test]
async fn nothing_comes_of_a_test_for_the_endpoint_or_its_deliveries() {
    let answers = [
        ("410 Gone", "given up at once, as endpoint_gone, and the endpoint disabled"),
        (
            "429 Too Many\r\nretry-after: 60",
            "tried again, up to 15 attempts in 3days, and the endpoint paused",
        ),
        ("500 Oops", "tried again, up to 15 attempts in 3days"),
        ("401 Unauthorized", "tried again"),
    ];
    for (answer, follows) in answers {
        let web = Web::start(move |_| (answer.to_owned(), String::new())).await;
        let bench = open(&web.origin, json!({"retry": {"retryOn": ["4xx", "5xx"]}})).await;
        for _ in 0..3 {
            let report = test(&bench).await;
            assert_eq!(report.failure().unwrap().step, StepName::Response, "{report}");
            let said = report.follows.unwrap();
            assert!(said.contains(follows), "{answer}: {said}");
        }
        assert_eq!(web.count(), 3, "no test is repeated");
        assert_eq!(bench.health().await, Health::Active, "{answer}");
        assert!(bench.dead_letters().await.is_empty());
        let counts = bench.app.tally.counts();
        assert_eq!((counts.delivered, counts.retried, counts.dead_lettered), (0, 0, 0));
    }
}

#[tokio::test]
async fn a_test_goes_out_although_the_endpoint_is_paused_disabled_or_switched_off() {
    let web = Web::start(|_| ("204 No Content".to_owned(), String::new())).await;
    let bench = open(&web.origin, json!({"limits": {"rate": "1/h"}})).await;
    let (customer, id) = ("c".parse().unwrap(), "e".parse().unwrap());
    let until = bench.app.clock.now().plus(Duration::from_secs(3600));
    let why = "every call failed".to_owned();
    for health in [Health::Paused { until }, Health::Disabled { why }] {
        assert!(bench.app.health.set(&customer, &id, 1, &health).await.unwrap());
        let report = test(&bench).await;
        assert!(report.has_passed() && report.steps[0].says.contains("all the same"), "{report}");
        assert_eq!(bench.health().await, health);
    }
    put(&bench.app, endpoint(&web.origin, json!({"enabled": false}))).await;
    assert!(test(&bench).await.has_passed());
    assert_eq!(web.count(), 3);
}

#[tokio::test]
async fn every_failure_is_told_at_its_step_with_what_to_do() {
    let (mute, _) = listen(Then::Send(b"no http\r\n\r\n".to_vec())).await;
    let (hanging, _) = listen(Then::Hang).await;
    let closed = "http://127.0.0.1:1/".to_owned();
    let good = Web::start(|_| ("204 No Content".to_owned(), String::new())).await.origin;
    let bearer = json!([{"scheme": "bearer", "secret": "s"}]);
    let cases = [
        (good.clone(), json!({"auth": bearer}), StepName::Secrets, "secret put"),
        (
            good.clone(),
            json!({"body": {"jmespath": "a.b.c.d", "as": "form"}}),
            StepName::Request,
            "body settings",
        ),
        (closed, json!({}), StepName::Connect, "firewall"),
        (
            format!("https://{hanging}/"),
            json!({"connectTimeout": "100ms"}),
            StepName::Tls,
            "speaks TLS",
        ),
        (format!("https://{mute}/"), json!({}), StepName::Tls, "certificates"),
        (format!("http://{mute}/"), json!({}), StepName::Response, "speaks HTTP"),
        (
            format!("http://{hanging}/"),
            json!({"timeout": "100ms"}),
            StepName::Response,
            "answer sooner",
        ),
    ];
    for (url, more, step, advice) in cases {
        let bench = open(&url, more.clone()).await;
        let (at, says, told) = failure(&bench).await;
        assert!(at == step && told.contains(advice), "{url} {more}: {at} {says}: {told}");
        assert!(!told.contains("replay"), "{told}");
    }
    let bench = open(&good, json!({"auth": bearer})).await;
    put_secret(&bench.app, "value", &["https://elsewhere.example"]).await;
    assert_eq!(failure(&bench).await.0, StepName::Secrets);
    let bench = Bench::open(loopback()).await;
    assert_eq!(failure(&bench).await.0, StepName::Endpoint);
}

/// An endpoint at a name that a server of the test resolves.
async fn at_host(addresses: &[&str], port: u16, authority: &Authority) -> Bench {
    let mut config = loopback();
    config.egress.nameservers = vec![dns_server::answering(addresses.iter().copied()).await];
    config.egress.allow_names = vec![HOST.to_owned()];
    config.egress.extra_roots = Some(authority.roots().to_owned());
    let bench = Bench::open(config).await;
    put(&bench.app, endpoint(&format!("https://{HOST}:{port}/"), json!({}))).await;
    bench
}

#[tokio::test]
async fn a_name_with_a_blocked_address_is_told_and_not_called() {
    let authority = Authority::new();
    let bench = at_host(&["127.0.0.1", "10.0.0.1"], 1, &authority).await;
    let (step, says, advice) = failure(&bench).await;
    assert_eq!(step, StepName::Guard);
    assert!(says.contains("10.0.0.1") && advice.contains("public"), "{says}: {advice}");
    let bench = at_host(&[], 1, &authority).await;
    assert_eq!(failure(&bench).await.0, StepName::Dns);
}

#[tokio::test]
async fn what_the_server_shows_in_the_handshake_is_told_also_when_it_is_refused() {
    let authority = Authority::new();
    let (address, _) = listen_as(authority.server(&TLS13, &["http/1.1"])).await;
    let bench = at_host(&["127.0.0.1"], address.port(), &authority).await;
    let report = test(&bench).await;
    assert!(report.has_passed(), "{report}");
    let tls = report.tls.clone().unwrap();
    assert_eq!(
        (tls.version.as_deref(), tls.protocol.as_deref()),
        (Some("TLS 1.3"), Some("http/1.1"))
    );
    assert_eq!(
        (tls.chain[0].names.clone(), tls.chain[0].key.as_str()),
        (vec![HOST.to_owned()], "EC 256")
    );
    assert!(report.to_string().contains("certificate of CN="), "{report}");

    for (flaw, said) in [(Flaw::Expired, "xpired"), (Flaw::WrongHost, "not valid for name")] {
        let (address, seen) = tls_listen(&authority, flaw).await;
        let bench = at_host(&["127.0.0.1"], address.port(), &authority).await;
        let report = test(&bench).await;
        let step = report.failure().unwrap();
        assert!(step.step == StepName::Tls && step.says.contains(said), "{report}");
        assert_eq!(report.tls.unwrap().chain.len(), 1, "{flaw:?}");
        assert_eq!(seen.text(), "", "no request was written");
    }
}

#[tokio::test]
async fn a_challenge_is_answered_and_a_refused_client_is_told_and_deauthorizes_nothing() {
    let digest = "Digest realm=\"r\", qop=\"auth\", algorithm=SHA-256, nonce=\"n\"";
    let web = Web::start(move |request| match request.contains("authorization: Digest") {
        true => ("204 No Content".to_owned(), String::new()),
        false => (format!("401 Unauthorized\r\nwww-authenticate: {digest}"), String::new()),
    });
    let web = web.await;
    let auth = json!([{"scheme": "digest", "username": "u", "secret": "s"}]);
    let bench = open(&web.origin, json!({"auth": auth})).await;
    put_secret(&bench.app, "password", &[&web.origin]).await;
    assert!(test(&bench).await.has_passed());
    assert_eq!(web.count(), 2);

    let (tokens, target) = (TokenServer::start().await, target("").await);
    tokens.answers("400 Bad Request", r#"{"error":"invalid_client"}"#);
    let bench = token_bench(&tokens, &target, json!({})).await;
    let (step, says, _) = failure(&bench).await;
    assert!(step == StepName::Auth && says.contains("invalid_client"), "{says}");
    assert_eq!((bench.health().await, target.count()), (Health::Active, 0));
}

#[tokio::test]
async fn a_test_that_no_worker_took_in_time_is_not_made_and_one_that_died_is_not_made_twice() {
    let web = Web::start(|_| ("204 No Content".to_owned(), String::new())).await;
    let bench = open(&web.origin, json!({})).await;
    let late = ask(&bench).await;
    bench.clock.advance(Duration::from_secs(60));
    assert_eq!(bench.deliver_due().await, 1);
    let now = bench.app.clock.now().plus(Duration::from_secs(30));
    let known = bench.app.test_calls.get(&late.call.id, now).await.unwrap().unwrap();
    assert_eq!((web.count(), known.state(now)), (0, "unanswered"));

    // The worker dies while the server has its call.
    let (hanging, seen) = listen(Then::Hang).await;
    put(&bench.app, endpoint(&format!("http://{hanging}/"), json!({}))).await;
    ask(&bench).await;
    let messages = bench.app.queue.receive(1, Duration::ZERO).await.unwrap();
    let stop = CancellationToken::new();
    {
        let call = bench.pipeline.deliver(&messages[0], &stop);
        tokio::pin!(call);
        while seen.text().is_empty() {
            tokio::select! {
                () = &mut call => panic!("it hangs"),
                () = tokio::task::yield_now() => {}
            }
        }
    }
    bench.clock.advance(Duration::from_secs(3600));
    assert_eq!(bench.deliver_due().await, 0);
    assert_eq!(seen.connections(), 1);
}

/// The first delivery after a test is the first attempt that it would have been without one.
#[tokio::test]
async fn a_test_spends_no_attempt_of_a_delivery() {
    let web = Web::start(|_| ("500 Oops".to_owned(), String::new())).await;
    let retry = json!({"retry": {"maxAttempts": 2, "baseDelay": "1s", "maxDelay": "1s"}});
    let bench = open(&web.origin, retry).await;
    test(&bench).await;
    enqueue(&bench.app, 1).await;
    bench.deliver_due().await;
    test(&bench).await;
    bench.clock.advance(Duration::from_secs(2));
    bench.deliver_due().await;
    assert_eq!((web.count(), bench.dead_letters().await[0].attempts), (4, 2));
}
