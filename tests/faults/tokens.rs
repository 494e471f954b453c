//! Access tokens: how often they are asked for, and which is sent.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sealpost::domain::reason::Reason;
use sealpost::registration;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::bench::{Bench, enqueue, loopback, put, put_secret};
use crate::token_server::{TokenServer, bench, endpoint, target};
use crate::web::Web;

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
            // What this thread was about to run goes on elsewhere.
            tokio::task::block_in_place(|| held.lock().unwrap().recv().unwrap());
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

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_answer_to_a_request_with_the_old_secret_is_not_kept_for_the_new_one() {
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = Mutex::new(held);
    let web = Web::start(move |request| {
        // Basic authentication with `client-secret`, the old one.
        let old = request.contains("Basic bWU6Y2xpZW50LXNlY3JldA==");
        if old {
            // What this thread was about to run goes on elsewhere.
            tokio::task::block_in_place(|| held.lock().unwrap().recv().unwrap());
        }
        let token = if old { "token-old" } else { "token-new" };
        ("200 OK".to_owned(), format!(r#"{{"access_token":"{token}","expires_in":600}}"#))
    });
    let tokens = TokenServer { web: web.await, answer: Arc::default() };
    let target = target("").await;
    let bench = bench(&tokens, &target, json!({})).await;
    enqueue(&bench.app, 2).await;
    let messages = bench.app.queue.receive(2, Duration::ZERO).await.unwrap();
    let stop = CancellationToken::new();
    let old = bench.pipeline.deliver(&messages[0], &stop);
    let new = async {
        while tokens.web.count() < 1 {
            tokio::task::yield_now().await;
        }
        put_secret(&bench.app, "new", &[&target.origin, &tokens.web.origin]).await;
        let waiting = bench.pipeline.deliver(&messages[1], &stop);
        let releasing = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            release.send(()).unwrap();
        };
        tokio::join!(waiting, releasing);
    };
    tokio::join!(old, new);
    enqueue(&bench.app, 1).await;
    bench.deliver_due().await;
    let used: Vec<bool> = target.all().iter().map(|call| call.contains("token-new")).collect();
    assert_eq!(used.iter().filter(|new| **new).count(), 2, "{used:?}");
    assert!(used[2], "what comes later has the new one");
    assert_eq!(tokens.web.count(), 2);
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
