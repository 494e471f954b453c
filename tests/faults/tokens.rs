//! Access tokens: who pays when a token server fails, and how often it is asked.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sealpost::domain::endpoint::Health;
use sealpost::domain::reason::Reason;
use sealpost::registration;
use serde_json::{Value, json};

use tokio_util::sync::CancellationToken;

use crate::bench::{Bench, enqueue, loopback, put, put_secret, secret};
use crate::web::Web;

/// A token server that does as it is told, and counts its tokens.
struct TokenServer {
    web: Web,
    answer: Arc<Mutex<(String, String)>>,
}

impl TokenServer {
    async fn start() -> Self {
        let good = r#"{"access_token":"token-N","token_type":"Bearer","expires_in":3600}"#;
        let answer = Arc::new(Mutex::new(("200 OK".to_owned(), good.to_owned())));
        let (shared, given) = (Arc::clone(&answer), AtomicUsize::new(0));
        let web = Web::start(move |_| {
            let (head, body) = shared.lock().unwrap().clone();
            let number = given.fetch_add(1, Ordering::SeqCst) + 1;
            (head, body.replace("-N", &format!("-{number}")))
        });
        Self { web: web.await, answer }
    }

    fn answers(&self, head: &str, body: &str) {
        *self.answer.lock().unwrap() = (head.to_owned(), body.to_owned());
    }
}

/// An endpoint that takes every token but those whose name holds `refused`.
async fn target(refused: &'static str) -> Web {
    Web::start(move |request| {
        let status = if !refused.is_empty() && request.contains(refused) {
            "401 Unauthorized"
        } else if request.contains("authorization: Bearer token-") {
            "204 No Content"
        } else {
            "403 Forbidden"
        };
        (status.to_owned(), String::new())
    })
    .await
}

async fn bench(tokens: &TokenServer, target: &Web, retry: Value) -> Bench {
    let bench = Bench::open(loopback()).await;
    put(&bench.app, endpoint(tokens, target, retry)).await;
    put_secret(&bench.app, "client-secret", &[&target.origin, &tokens.web.origin]).await;
    bench
}

fn endpoint(tokens: &TokenServer, target: &Web, retry: Value) -> Value {
    let step = json!({"scheme": "oauth2_client_credentials", "client_id": "me", "secret": "s",
                      "token_url": format!("{}/token", tokens.web.origin)});
    json!({"customerId": "c", "endpointId": "e", "url": target.origin, "auth": [step], "retry": retry})
}

#[tokio::test]
async fn many_calls_share_one_token() {
    let (tokens, target) = (TokenServer::start().await, target("").await);
    let bench = bench(&tokens, &target, json!({})).await;
    enqueue(&bench.app, 20).await;
    assert_eq!(bench.deliver_due().await, 20);
    assert_eq!(bench.app.tally.counts().delivered, 20);
    let asked = tokens.web.all();
    assert_eq!(asked.len(), 1, "callers that come at once share one request");
    assert!(
        asked[0].starts_with("POST /token ") && asked[0].contains("Basic bWU6Y2xpZW50LXNlY3JldA==")
    );
    assert!(asked[0].ends_with("grant_type=client_credentials"), "{}", asked[0]);
    assert!(target.all().iter().all(|call| call.contains("authorization: Bearer token-1\r")));
}

#[tokio::test]
async fn a_token_is_renewed_before_its_end_and_never_used_after_it() {
    let (tokens, target) = (TokenServer::start().await, target("").await);
    let bench = bench(&tokens, &target, json!({})).await;
    let deliver = async |by: u64| {
        bench.clock.advance(Duration::from_secs(by));
        enqueue(&bench.app, 1).await;
        bench.deliver_due().await;
        tokens.web.count()
    };
    assert_eq!(deliver(0).await, 1);
    assert_eq!(deliver(3290).await, 1);
    assert_eq!(deliver(20).await, 2, "less than five minutes before its end");
    // While renewing fails, the token that still is valid serves, and the server is left alone.
    tokens.answers("503 Service Unavailable", "");
    assert_eq!(deliver(3400).await, 3);
    assert_eq!(deliver(0).await, 3);
    assert!(target.all().last().unwrap().contains("Bearer token-2\r"));
    assert_eq!(bench.app.tally.counts().delivered, 5);
    assert_eq!(deliver(300).await, 4, "after its end there is none");
    assert_eq!(bench.app.tally.counts().delivered, 5);
    assert_eq!(bench.app.tally.counts().parked, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn while_one_delivery_renews_a_token_the_others_use_the_old_one() {
    let (release, held) = std::sync::mpsc::channel::<()>();
    let (held, given) = (Mutex::new(held), AtomicUsize::new(0));
    let web = Web::start(move |_| {
        let number = given.fetch_add(1, Ordering::SeqCst) + 1;
        if number == 2 {
            held.lock().unwrap().recv().unwrap();
        }
        let token = format!(r#"{{"access_token":"token-{number}","expires_in":600}}"#);
        ("200 OK".to_owned(), token)
    });
    let tokens = TokenServer { web: web.await, answer: Arc::default() };
    let target = target("").await;
    let bench = bench(&tokens, &target, json!({})).await;
    enqueue(&bench.app, 1).await;
    bench.deliver_due().await;
    bench.clock.advance(Duration::from_secs(550));
    enqueue(&bench.app, 2).await;
    let messages = bench.app.queue.receive(2, Duration::ZERO).await.unwrap();
    let stop = CancellationToken::new();
    let renewing = async {
        bench.pipeline.deliver(&messages[0], &stop).await;
        target.all().last().unwrap().contains("Bearer token-2\r")
    };
    let other = async {
        while tokens.web.count() < 2 {
            tokio::task::yield_now().await;
        }
        bench.pipeline.deliver(&messages[1], &stop).await;
        let used = target.all().last().unwrap().contains("Bearer token-1\r");
        release.send(()).unwrap();
        used
    };
    assert_eq!(tokio::join!(renewing, other), (true, true));
    assert_eq!((tokens.web.count(), bench.app.tally.counts().delivered), (2, 3));
}

#[tokio::test]
async fn a_refused_token_is_replaced_once_and_the_call_made_again_at_once() {
    let (tokens, target) = (TokenServer::start().await, target("token-1\r").await);
    let bench = bench(&tokens, &target, json!({})).await;
    enqueue(&bench.app, 1).await;
    bench.deliver_due().await;
    assert_eq!(tokens.web.count(), 1, "a token that was fetched a moment ago is not replaced");
    assert_eq!(bench.app.tally.counts().retried, 1);
    bench.clock.advance(Duration::from_secs(60));
    bench.deliver_due().await;
    assert_eq!((tokens.web.count(), target.count()), (2, 3));
    assert_eq!(bench.app.tally.counts().delivered, 1);
}

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
async fn a_client_secret_goes_to_no_token_url_that_its_origins_do_not_name() {
    let (tokens, target) = (TokenServer::start().await, target("").await);
    let bench = Bench::open(loopback()).await;
    put_secret(&bench.app, "x", &[&target.origin]).await;
    let configuration = endpoint(&tokens, &target, json!({}));
    let refused = serde_json::from_value(configuration.clone()).unwrap();
    let refused = registration::put_endpoint(&bench.app, refused, None).await.unwrap_err();
    assert!(refused.to_string().contains(&tokens.web.origin), "{refused}");
    put(&bench.app, configuration).await;
    enqueue(&bench.app, 1).await;
    bench.deliver_due().await;
    assert_eq!(bench.dead_letters().await[0].reason, Reason::OriginNotAllowed);
    assert_eq!((tokens.web.count(), target.count()), (0, 0));
}

#[tokio::test]
async fn a_token_url_is_vetted_like_every_other() {
    let (tokens, target) = (TokenServer::start().await, target("").await);
    let bench = Bench::open(loopback()).await;
    let mut configuration = endpoint(&tokens, &target, json!({}));
    configuration["auth"][0]["token_url"] = "http://169.254.169.254/latest".into();
    let refused = serde_json::from_value(configuration).unwrap();
    let refused = registration::put_endpoint(&bench.app, refused, None).await.unwrap_err();
    assert!(refused.to_string().starts_with("auth[0].token_url: "), "{refused}");
}
