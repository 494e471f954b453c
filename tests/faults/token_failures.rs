//! Token servers that fail, refuse and lie: who pays, and how often they are asked.

use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::proto::op::ResponseCode;
use sealpost::domain::endpoint::Health;
use sealpost::domain::reason::Reason;
use sealpost::registration;
use serde_json::json;

use crate::bench::{Bench, enqueue, loopback, put, put_secret, secret};
use crate::dns_server::{self, Answer};
use crate::token_server::{TokenServer, bench, endpoint, target};
use crate::web::Web;

#[tokio::test]
async fn a_failing_token_server_costs_no_attempt_and_is_left_alone_for_a_while() {
    let html = "<html>maintenance</html>";
    for (head, body) in [
        ("500 Internal Server Error", ""),
        ("503 Service Unavailable\r\nretry-after: 60", ""),
        ("429 Too Many Requests", r#"{"error":"slow_down"}"#),
        ("400 Bad Request", r#"{"error":"temporarily_unavailable"}"#),
        ("200 OK", html),
        ("200 OK", r#"{"access_token":"a","expires_in":-1}"#),
        ("200 OK", r#"{"access_token":"a","expires_in":true}"#),
        ("200 OK", r#"{"access_token":"","expires_in":60}"#),
        ("200 OK", r#"{"access_token":"a\r\nx: y"}"#),
        ("200 OK", r#"{"token":"a"}"#),
    ] {
        let (tokens, target) = (TokenServer::start().await, target("").await);
        let bench = bench(&tokens, &target, json!({"maxAttempts": 1})).await;
        let good = tokens.answer.lock().unwrap().clone();
        tokens.answers(head, body);
        enqueue(&bench.app, 3).await;
        bench.deliver_due().await;
        enqueue(&bench.app, 1).await;
        bench.deliver_due().await;
        assert_eq!(tokens.web.count(), 1, "{head} {body}");
        assert_eq!((bench.app.tally.counts().parked, target.count()), (4, 0), "{head} {body}");
        assert_eq!(bench.health().await, Health::Active);
        *tokens.answer.lock().unwrap() = good;
        bench.clock.advance(Duration::from_secs(120));
        assert_eq!(bench.deliver_due().await, 4);
        assert_eq!(bench.app.tally.counts().delivered, 4, "{head} {body}");
    }
}

#[tokio::test]
async fn a_token_server_that_cannot_be_reached_costs_no_attempt() {
    let (tokens, target) = (TokenServer::start().await, target("").await);
    let bench = Bench::open(loopback()).await;
    let mut endpoint = endpoint(&tokens, &target, json!({"maxAttempts": 1}));
    endpoint["auth"][0]["token_url"] = "http://127.0.0.1:1/token".into();
    put(&bench.app, endpoint).await;
    put_secret(&bench.app, "x", &[&target.origin, "http://127.0.0.1:1"]).await;
    enqueue(&bench.app, 1).await;
    bench.deliver_due().await;
    assert_eq!((bench.app.tally.counts().parked, target.count()), (1, 0));
}

#[tokio::test]
async fn what_a_token_server_refuses_deauthorizes_the_endpoint_until_a_probe() {
    for (head, body, said) in [
        (
            "401 Unauthorized",
            r#"{"error":"invalid_client","error_description":"who?"}"#,
            "invalid_client: who?",
        ),
        ("400 Bad Request", r#"{"error":"invalid_scope"}"#, "invalid_scope"),
        ("404 Not Found", "", "404"),
        ("302 Found\r\nlocation: http://127.0.0.1:1/", "", "redirects are not followed"),
        ("200 OK", r#"{"access_token":"a","token_type":"mac"}"#, "token_type"),
    ] {
        let (tokens, target) = (TokenServer::start().await, target("").await);
        let bench = bench(&tokens, &target, json!({"maxAttempts": 1})).await;
        let good = tokens.answer.lock().unwrap().clone();
        tokens.answers(head, body);
        enqueue(&bench.app, 3).await;
        bench.deliver_due().await;
        let Health::Deauthorized { why, .. } = bench.health().await else {
            panic!("{head} {body}")
        };
        assert!(why.contains(said), "{why}");
        enqueue(&bench.app, 1).await;
        bench.deliver_due().await;
        assert_eq!((tokens.web.count(), target.count()), (1, 0), "{head} {body}");
        *tokens.answer.lock().unwrap() = good;
        bench.clock.advance(Duration::from_secs(120));
        assert_eq!(bench.deliver_due().await, 4);
        assert_eq!(bench.app.tally.counts().delivered, 4, "{head} {body}");
        assert_eq!(bench.health().await, Health::Active);
    }
}

#[tokio::test]
async fn a_token_server_s_words_are_kept_without_secrets() {
    let (tokens, target) = (TokenServer::start().await, target("").await);
    let bench = bench(&tokens, &target, json!({})).await;
    let echo = r#"{"error":"invalid_client","error_description":"client-secret is wrong"}"#;
    tokens.answers("401 Unauthorized", echo);
    enqueue(&bench.app, 1).await;
    bench.deliver_due().await;
    let Health::Deauthorized { why, .. } = bench.health().await else { panic!("authorized") };
    assert!(!why.contains("client-secret"), "{why}");
}

#[tokio::test]
async fn a_job_waits_for_a_token_no_longer_than_its_policy_allows() {
    let refusal = r#"{"error":"invalid_client"}"#;
    for (head, body, reason) in [
        ("500 Internal Server Error", "", Reason::TokenUnavailable),
        ("401 Unauthorized", refusal, Reason::EndpointDeauthorized),
    ] {
        let (tokens, target) = (TokenServer::start().await, target("").await);
        let bench = bench(&tokens, &target, json!({"maxAge": "10m", "maxDelay": "1m"})).await;
        tokens.answers(head, body);
        enqueue(&bench.app, 1).await;
        for _ in 0..60 {
            bench.deliver_due().await;
            bench.clock.advance(Duration::from_secs(60));
        }
        let dead = bench.dead_letters().await;
        assert_eq!(dead.iter().map(|letter| letter.reason).collect::<Vec<_>>(), [reason]);
        assert_eq!(dead[0].attempts, 0);
        assert!(tokens.web.count() <= 10, "{} calls in ten minutes", tokens.web.count());
    }
}

#[tokio::test]
async fn storing_the_right_secret_authorizes_the_endpoint_again() {
    let (tokens, target) = (TokenServer::start().await, target("").await);
    let bench = bench(&tokens, &target, json!({})).await;
    let good = tokens.answer.lock().unwrap().clone();
    tokens.answers("401 Unauthorized", r#"{"error":"invalid_client"}"#);
    enqueue(&bench.app, 1).await;
    bench.deliver_due().await;
    *tokens.answer.lock().unwrap() = good;
    let new = secret("the right one", &[&target.origin, &tokens.web.origin]);
    registration::put_secret(&bench.app, new).await.unwrap();
    assert_eq!(bench.health().await, Health::Active);
    enqueue(&bench.app, 1).await;
    bench.pipeline.endpoints.forget(&"c".parse().unwrap(), &"e".parse().unwrap()).await;
    bench.deliver_due().await;
    assert_eq!(bench.app.tally.counts().delivered, 1);
    assert!(tokens.web.all().last().unwrap().contains("Basic bWU6dGhlK3JpZ2h0K29uZQ=="));
}

#[tokio::test]
async fn an_endpoint_that_refuses_while_the_token_server_fails_is_charged_nothing() {
    let invalid = r#"{"error":"invalid_client"}"#;
    for (head, body, is_deauthorized) in
        [("503 Service Unavailable", "", false), ("401 Unauthorized", invalid, true)]
    {
        let (tokens, target) = (TokenServer::start().await, target("token-1\r").await);
        let bench = bench(&tokens, &target, json!({"maxAttempts": 1, "retryOn": []})).await;
        let good = tokens.answer.lock().unwrap().clone();
        // A token that the endpoint takes no more, fetched long enough ago.
        let job = br#"{"customerId":"c","endpointId":"e","data":1}"#;
        bench.pipeline.preview(job, bench.app.clock.now()).await.unwrap();
        assert_eq!(tokens.web.count(), 1);
        bench.clock.advance(Duration::from_secs(60));
        tokens.answers(head, body);
        enqueue(&bench.app, 2).await;
        bench.deliver_due().await;
        let counts = bench.app.tally.counts();
        assert_eq!((counts.parked, counts.retried, counts.dead_lettered), (2, 0, 0), "{head}");
        let deauthorized = matches!(bench.health().await, Health::Deauthorized { .. });
        assert_eq!(deauthorized, is_deauthorized, "{head}");
        *tokens.answer.lock().unwrap() = good;
        bench.clock.advance(Duration::from_secs(120));
        bench.deliver_due().await;
        assert_eq!(bench.app.tally.counts().delivered, 2, "{head}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn all_who_wait_for_a_failing_token_server_share_one_answer() {
    let slow = Web::start(|_| {
        // Longer than the others take to come.
        let (_keep, never) = std::sync::mpsc::channel::<()>();
        let _ = never.recv_timeout(Duration::from_millis(300));
        ("200 OK".to_owned(), r#"{"access_token":"token-1","expires_in":0.0001}"#.to_owned())
    });
    let tokens = TokenServer { web: slow.await, answer: Arc::default() };
    let target = target("").await;
    let bench = bench(&tokens, &target, json!({})).await;
    enqueue(&bench.app, 20).await;
    bench.deliver_due().await;
    assert_eq!((tokens.web.count(), target.count()), (1, 0));
    assert_eq!(bench.app.tally.counts().parked, 20);
}

#[tokio::test]
async fn a_resolver_out_of_order_is_asked_once_for_all_who_wait_for_a_token() {
    let (nameserver, asked) = dns_server::serve(vec![Answer::Code(ResponseCode::ServFail)]).await;
    let mut config = loopback();
    config.egress.nameservers = vec![nameserver];
    let (tokens, target) = (TokenServer::start().await, target("").await);
    let bench = Bench::open(config).await;
    let mut endpoint = endpoint(&tokens, &target, json!({}));
    endpoint["auth"][0]["token_url"] = "http://h.test-a.com/token".into();
    put(&bench.app, endpoint).await;
    put_secret(&bench.app, "x", &[&target.origin, "http://h.test-a.com"]).await;
    enqueue(&bench.app, 20).await;
    bench.deliver_due().await;
    let counts = bench.app.tally.counts();
    assert_eq!((counts.faults, counts.retried, target.count()), (20, 0, 0));
    let one_lookup = asked.lock().unwrap().len();
    enqueue(&bench.app, 1).await;
    bench.deliver_due().await;
    assert_eq!(asked.lock().unwrap().len(), one_lookup, "a moment later nobody asks");
}

#[tokio::test]
async fn a_pause_that_came_after_a_refusal_is_not_forgotten() {
    let (tokens, target) = (TokenServer::start().await, target("").await);
    let bench = bench(&tokens, &target, json!({})).await;
    let good = tokens.answer.lock().unwrap().clone();
    tokens.answers("401 Unauthorized", r#"{"error":"invalid_client"}"#);
    enqueue(&bench.app, 1).await;
    bench.deliver_due().await;
    *tokens.answer.lock().unwrap() = good;
    bench.clock.advance(Duration::from_secs(120));
    // This worker remembers the refusal, and another has learnt of a pause since.
    let (customer, id) = ("c".parse().unwrap(), "e".parse().unwrap());
    bench.pipeline.endpoints.find(&customer, &id, None).await.unwrap();
    let until = bench.app.clock.now().plus(Duration::from_secs(3600));
    let paused = Health::Paused { until };
    assert!(bench.app.health.set(&customer, &id, 1, &paused).await.unwrap());
    bench.deliver_due().await;
    assert_eq!(bench.health().await, paused);
}

#[tokio::test]
async fn a_preview_changes_nothing_of_what_is_known_of_an_endpoint() {
    let (tokens, target) = (TokenServer::start().await, target("").await);
    let bench = bench(&tokens, &target, json!({})).await;
    tokens.answers("401 Unauthorized", r#"{"error":"invalid_client"}"#);
    let job = br#"{"customerId":"c","endpointId":"e","data":1}"#;
    assert!(bench.pipeline.preview(job, bench.app.clock.now()).await.is_err());
    assert_eq!(bench.health().await, Health::Active);
}
