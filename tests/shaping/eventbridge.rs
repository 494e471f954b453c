//! The profile `eventbridge`: what Amazon EventBridge documents of its API destinations, line by line
//! as in `docs/EVENTBRIDGE.md`.

use std::time::Duration;

use sealpost::domain::decide::{Disposition, Standing, decide};
use sealpost::domain::endpoint::{Endpoint, Health};
use sealpost::domain::outcome::{AttemptOutcome, Phase};
use sealpost::domain::reason::Reason;
use sealpost::domain::timestamp::Timestamp;
use serde_json::{Value, json};

use crate::bench::Bench;
use crate::parameters::{bench as bench_with, deliver, put_secret, web as accepting};
use crate::web::Web;

const RULE: &str = "arn:aws:events:eu-west-1:123456789012:rule/orders";
const TARGET: &str = "arn:aws:events:eu-west-1:123456789012:api-destination/acme/0f1e";

fn endpoint(settings: Value) -> Result<Endpoint, String> {
    let mut endpoint = json!({"customerId": "c", "endpointId": "e", "url": "https://a.example/",
                              "profile": "eventbridge"});
    endpoint.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    Endpoint::from_json(&endpoint.to_string()).map_err(|e| e.path)
}

async fn bench(web: &Web, settings: Value) -> Bench {
    let mut all = json!({"profile": "eventbridge", "retry": {},
                         "eventbridge": {"ruleArn": RULE, "targetArn": TARGET}});
    all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    bench_with(web, all).await
}

async fn answering(head: &'static str) -> Web {
    Web::start(move |_| (head.to_owned(), String::new())).await
}

fn has(call: &str, line: &str) -> bool {
    call.lines().any(|own| own == line)
}

#[tokio::test]
async fn every_call_carries_the_fixed_headers_and_no_others() {
    let web = accepting().await;
    let bench = bench(&web, json!({})).await;
    deliver(&bench, json!({"data": {"a": 1}})).await;
    let call = web.all().pop().unwrap();
    let head = call.split("\r\n\r\n").next().unwrap();
    let host = format!("host: {}", web.origin.trim_start_matches("http://"));
    let mut expected = vec![
        "user-agent: Amazon/EventBridge/ApiDestinations",
        "content-type: application/json; charset=utf-8",
        "range: bytes=0-1048575",
        "accept-encoding: gzip,deflate",
        "connection: close",
        "content-length: 7",
        &host,
    ];
    let mut lines: Vec<&str> = head.lines().skip(1).collect();
    lines.sort_unstable();
    expected.sort_unstable();
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn another_content_type_takes_the_place_of_the_usual_one() {
    let web = accepting().await;
    let bench = bench(&web, json!({"headers": {"Content-Type": "application/x-acme"}})).await;
    deliver(&bench, json!({"data": {}})).await;
    let call = web.all().pop().unwrap();
    assert!(has(&call, "content-type: application/x-acme"), "{call}");
}

#[tokio::test]
async fn headers_that_are_removed_cannot_be_set_and_are_dropped_from_jobs() {
    let removed = "A-IM, Accept-Charset, Accept-Datetime, Accept-Encoding, Cache-Control, Connection, \
        Content-Encoding, Content-Length, Content-MD5, Date, Expect, Forwarded, From, Host, \
        HTTP2-Settings, If-Match, If-Modified-Since, If-None-Match, If-Range, If-Unmodified-Since, \
        Max-Forwards, Origin, Pragma, Proxy-Authorization, Range, Referer, TE, Trailer, \
        Transfer-Encoding, User-Agent, Upgrade, Via, Warning";
    let names: Vec<&str> = removed.split(", ").collect();
    assert_eq!(names.len(), 33);
    for name in names {
        assert_eq!(endpoint(json!({"headers": {name: "x"}})), Err(format!("headers.{name}")));
    }
    let web = accepting().await;
    let bench = bench(&web, json!({})).await;
    let headers = json!({"user-agent": "x", "range": "x", "Cache-Control": "x", "origin": "x"});
    deliver(&bench, json!({"headers": headers})).await;
    let call = web.all().pop().unwrap();
    assert!(!call.contains(": x\r\n"), "{call}");
    assert!(has(&call, "user-agent: Amazon/EventBridge/ApiDestinations"), "{call}");
    assert!(has(&call, "range: bytes=0-1048575"), "{call}");
}

#[test]
fn a_call_may_take_five_seconds() {
    assert_eq!(endpoint(json!({})).unwrap().timeout(), Duration::from_secs(5));
}

#[test]
fn it_retries_401_407_409_429_and_5xx_and_nothing_else() {
    let policy = endpoint(json!({})).unwrap().retry_policy().unwrap();
    let now = Timestamp::from_millis(0);
    let standing = Standing { attempt: 1, accepted_at: now, expires_at: None };
    let retried: Vec<u16> = (100..600)
        .filter(|status| {
            let outcome = AttemptOutcome::Answered {
                status: *status,
                retry_after_ms: None,
                never_again: false,
            };
            let decided = decide(&outcome, standing, &policy, now, 0.5);
            matches!(decided, Disposition::RetryAt(_))
        })
        .collect();
    let expected: Vec<u16> = [401, 407, 409, 429].into_iter().chain(500..600).collect();
    assert_eq!(retried, expected);
}

#[test]
fn a_name_that_leads_nowhere_is_not_retried_and_other_failures_are() {
    let policy = endpoint(json!({})).unwrap().retry_policy().unwrap();
    let now = Timestamp::from_millis(0);
    let standing = Standing { attempt: 1, accepted_at: now, expires_at: None };
    let decided = |phase| decide(&AttemptOutcome::Failed { phase }, standing, &policy, now, 0.5);
    for phase in [Phase::Dns, Phase::Blocked] {
        assert_eq!(decided(phase), Disposition::DeadLetter(Reason::Rejected));
    }
    for phase in [Phase::Connect, Phase::ConnectTimeout, Phase::Tls, Phase::ResponseTimeout] {
        assert!(matches!(decided(phase), Disposition::RetryAt(_)), "{phase}");
    }
}

#[tokio::test]
async fn it_retries_185_times_and_then_says_so() {
    let web = answering("503 Service Unavailable").await;
    // Shorter waits, so that 24 hours are enough whatever the jitter; a breaker would space them out.
    let settings = json!({"retry": {"maxDelay": "1s"}, "limits": {"breaker": false}});
    let bench = bench(&web, settings).await;
    deliver(&bench, json!({"data": {}})).await;
    for _ in 0..400 {
        bench.clock.advance(Duration::from_secs(1));
        bench.deliver_due().await;
    }
    assert_eq!(web.count(), 186);
    let letter = &bench.dead_letters().await[0];
    assert_eq!((letter.reason, letter.attempts), (Reason::AttemptsExhausted, 186));
    let message = letter.message.clone();
    let expected = [
        ("ERROR_CODE", "ERROR_FROM_TARGET"),
        ("ERROR_MESSAGE", message.as_str()),
        ("EXHAUSTED_RETRY_CONDITION", "MaximumRetryAttempts"),
        ("RETRY_ATTEMPTS", "185"),
        ("RULE_ARN", RULE),
        ("TARGET_ARN", TARGET),
    ];
    assert_eq!(letter.attributes, expected.map(|(n, v)| (n.to_owned(), v.to_owned())).into());
}

#[tokio::test]
async fn it_gives_an_event_up_after_24_hours_and_says_so() {
    let web = answering("429 Too Many Requests").await;
    let bench = bench(&web, json!({})).await;
    deliver(&bench, json!({"data": {}})).await;
    bench.clock.advance(Duration::from_secs(24 * 3600 - 60));
    bench.deliver_due().await;
    assert!(bench.dead_letters().await.is_empty());
    bench.clock.advance(Duration::from_secs(61 + 15 * 60));
    bench.deliver_due().await;
    let letter = &bench.dead_letters().await[0];
    assert_eq!(letter.reason, Reason::TooOld);
    assert_eq!(letter.attributes["EXHAUSTED_RETRY_CONDITION"], "MaximumEventAgeInSeconds");
    assert_eq!(letter.attributes["ERROR_CODE"], "THROTTLING");
}

#[tokio::test]
async fn what_is_not_retried_goes_to_the_dead_letters_without_an_exhausted_condition() {
    let web = answering("400 Bad Request").await;
    let bench = bench(&web, json!({})).await;
    deliver(&bench, json!({"data": {}})).await;
    let letter = &bench.dead_letters().await[0];
    assert_eq!(letter.reason, Reason::Rejected);
    assert_eq!(letter.attributes["RETRY_ATTEMPTS"], "0");
    assert!(!letter.attributes.contains_key("EXHAUSTED_RETRY_CONDITION"));
}

#[tokio::test]
async fn of_its_own_wait_and_retry_after_the_longer_one_holds() {
    let web = answering("503 Service Unavailable\r\nretry-after: 7200").await;
    let bench = bench(&web, json!({})).await;
    deliver(&bench, json!({"data": {}})).await;
    bench.clock.advance(Duration::from_secs(7199));
    bench.deliver_due().await;
    assert_eq!(web.count(), 1);
    bench.clock.advance(Duration::from_secs(2));
    bench.deliver_due().await;
    assert_eq!(web.count(), 2);
}

#[tokio::test]
async fn a_negative_retry_after_ends_the_delivery() {
    let web = answering("503 Service Unavailable\r\nretry-after: -1").await;
    let bench = bench(&web, json!({})).await;
    deliver(&bench, json!({"data": {}})).await;
    assert_eq!(bench.dead_letters().await[0].reason, Reason::Rejected);
    assert_eq!(web.count(), 1);
}

#[tokio::test]
async fn a_410_is_an_error_like_others_and_disables_nothing() {
    let web = answering("410 Gone").await;
    let bench = bench(&web, json!({})).await;
    deliver(&bench, json!({"data": {}})).await;
    assert_eq!(bench.dead_letters().await[0].reason, Reason::Rejected);
    assert_eq!(bench.health().await, Health::Active);
}

#[tokio::test]
async fn path_parameters_fill_the_wildcards_in_order() {
    let web = accepting().await;
    let url = format!("{}/*/orders/*", web.origin);
    let settings = json!({"url": url, "pathParameters": ["eu", {"event": "$.detail.id"}]});
    let bench = bench(&web, settings).await;
    deliver(&bench, json!({"data": {"detail": {"id": 42}}})).await;
    assert!(web.all()[0].starts_with("POST /eu/orders/42 HTTP/1.1\r\n"));
    assert_eq!(endpoint(json!({"pathParameters": ["one"]})), Err("pathParameters".to_owned()));
}

#[tokio::test]
async fn the_connection_s_parameters_take_precedence_over_the_target_s() {
    let web = accepting().await;
    let settings = json!({"headers": {"x-a": "connection"}, "query": {"q": {"secret": "s"}}});
    let bench = bench(&web, settings).await;
    put_secret(&bench, &web, "s", "connection").await;
    let target = json!({"headers": {"x-a": "target", "x-b": "target"}, "query": {"q": "target", "r": "target"}});
    deliver(&bench, target).await;
    let call = web.all().pop().unwrap();
    assert!(call.starts_with("POST /in?r=target&q=connection HTTP/1.1\r\n"), "{call}");
    assert!(has(&call, "x-a: connection") && has(&call, "x-b: target"), "{call}");
}

#[tokio::test]
async fn the_connection_s_body_parameters_go_into_the_event() {
    let web = accepting().await;
    let bench =
        bench(&web, json!({"bodyParameters": {"site": "acme", "key": {"secret": "s"}}})).await;
    put_secret(&bench, &web, "s", "k").await;
    deliver(&bench, json!({"data": {"detail": {"n": 10.50}}})).await;
    let call = web.all().pop().unwrap();
    assert!(call.ends_with(r#"{"detail":{"n":10.5},"key":"k","site":"acme"}"#), "{call}");
}

#[tokio::test]
async fn the_input_transformer_knows_the_rule() {
    let web = accepting().await;
    let template = r#"{"rule": <aws.events.rule-name>, "arn": <aws.events.rule-arn>}"#;
    let bench =
        bench(&web, json!({"body": {"inputTransformer": {"inputTemplate": template}}})).await;
    deliver(&bench, json!({"data": {}})).await;
    let call = web.all().pop().unwrap();
    assert!(call.ends_with(&format!(r#"{{"rule": "orders", "arn": "{RULE}"}}"#)), "{call}");
}

#[test]
fn any_method_but_connect_and_trace_can_be_used() {
    for method in ["POST", "PUT", "PATCH", "DELETE", "GET", "HEAD", "OPTIONS"] {
        assert!(endpoint(json!({"method": method})).is_ok());
    }
    for method in ["CONNECT", "TRACE"] {
        assert_eq!(endpoint(json!({"method": method})), Err("method".to_owned()));
    }
}

#[test]
fn every_test_here_has_a_row_in_the_documentation() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let documentation = read("docs/EVENTBRIDGE.md");
    let own = read("tests/shaping/eventbridge.rs");
    let tests = own
        .lines()
        .filter_map(|l| l.trim_start_matches("async ").strip_prefix("fn ")?.strip_suffix("() {"));
    for test in tests.filter(|test| !test.starts_with("every_test")) {
        assert!(
            documentation.contains(&format!("`shaping/eventbridge::{test}`")),
            "{test} has no row"
        );
    }
}
