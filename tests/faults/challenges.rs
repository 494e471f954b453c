//! Servers that want an answer to their challenge: what is sent before there is one, and who pays.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sealpost::domain::endpoint::Health;
use sealpost::domain::reason::Reason;
use serde_json::json;

use crate::bench::{Bench, enqueue, loopback, put, put_secret};
use crate::web::Web;

/// A server that takes answers to its present nonce, and says so.
async fn server(nonce: Arc<Mutex<&'static str>>) -> Web {
    Web::start(move |request| {
        let nonce = *nonce.lock().unwrap();
        let answered = request.contains("authorization: Digest ")
            && request.contains(&format!("nonce=\"{nonce}\""));
        if answered {
            return ("204 No Content".to_owned(), String::new());
        }
        let ask = format!("Digest realm=\"r\", qop=\"auth\", algorithm=SHA-256, nonce=\"{nonce}\"");
        (format!("401 Unauthorized\r\nwww-authenticate: {ask}"), String::new())
    })
    .await
}

async fn bench(web: &Web) -> Bench {
    let bench = Bench::open(loopback()).await;
    let auth = json!([{"scheme": "digest", "username": "u", "secret": "s"}]);
    put(&bench.app, json!({"customerId": "c", "endpointId": "e", "url": web.origin, "auth": auth}))
        .await;
    put_secret(&bench.app, "password", &[&web.origin]).await;
    bench
}

async fn deliver(bench: &Bench) {
    enqueue(&bench.app, 1).await;
    bench.deliver_due().await;
}

#[tokio::test]
async fn the_first_call_asks_without_the_message_and_later_calls_do_not_ask() {
    let web = server(Arc::new(Mutex::new("n1"))).await;
    let bench = bench(&web).await;
    deliver(&bench).await;
    deliver(&bench).await;
    let counts = bench.app.tally.counts();
    assert_eq!((counts.delivered, counts.retried), (2, 0));
    let calls = web.all();
    assert_eq!(calls.len(), 3);
    assert!(calls[0].ends_with("\r\n\r\n") && !calls[0].contains("authorization:"), "{}", calls[0]);
    assert!(calls[1].ends_with("\r\n\r\n1") && calls[1].contains("nc=00000001"), "{}", calls[1]);
    assert!(calls[2].ends_with("\r\n\r\n1") && calls[2].contains("nc=00000002"), "{}", calls[2]);
}

#[tokio::test]
async fn a_new_challenge_is_answered_at_once_and_costs_no_attempt() {
    let nonce = Arc::new(Mutex::new("n1"));
    let web = server(Arc::clone(&nonce)).await;
    let bench = bench(&web).await;
    deliver(&bench).await;
    *nonce.lock().unwrap() = "n2";
    deliver(&bench).await;
    let counts = bench.app.tally.counts();
    assert_eq!((counts.delivered, counts.retried, web.count()), (2, 0, 4));
    assert!(web.all()[3].contains("nc=00000001"), "the count begins anew");
}

#[tokio::test]
async fn a_server_that_asks_for_nothing_gets_nothing() {
    let web = Web::start(|_| ("204 No Content".to_owned(), String::new())).await;
    let bench = bench(&web).await;
    deliver(&bench).await;
    let dead = bench.dead_letters().await;
    assert_eq!((dead.len(), dead[0].reason), (1, Reason::AuthFailed));
    assert!(web.all().iter().all(|call| call.ends_with("\r\n\r\n")), "the message stayed here");
    assert_eq!(bench.app.tally.counts().delivered, 0);
}

#[tokio::test]
async fn a_server_that_refuses_every_answer_costs_one_attempt_a_time() {
    let web = Web::start(|request| {
        let number = request.len();
        let ask =
            format!("Digest realm=\"r\", qop=\"auth\", algorithm=SHA-256, nonce=\"n{number}\"");
        (format!("401 Unauthorized\r\nwww-authenticate: {ask}"), String::new())
    });
    let web = web.await;
    let bench = bench(&web).await;
    deliver(&bench).await;
    assert_eq!((bench.app.tally.counts().retried, web.count()), (1, 2));
    bench.clock.advance(Duration::from_secs(60));
    bench.deliver_due().await;
    assert_eq!((bench.app.tally.counts().retried, web.count()), (2, 4));
}

#[tokio::test]
async fn what_the_server_does_to_the_first_call_counts_as_ever() {
    for (head, retried, health) in [
        ("500 Internal Server Error", 1, Health::Active),
        ("410 Gone", 0, Health::Disabled { why: "the endpoint answered 410 Gone".to_owned() }),
    ] {
        let web = Web::start(move |_| (head.to_owned(), String::new())).await;
        let bench = bench(&web).await;
        deliver(&bench).await;
        assert_eq!((bench.app.tally.counts().retried, web.count()), (retried, 1), "{head}");
        assert_eq!(bench.health().await, health);
    }
}

#[tokio::test]
async fn a_challenge_that_cannot_be_answered_leaves_the_refusal_standing() {
    let web = Web::start(|_| {
        let ask = "www-authenticate: Negotiate\r\nwww-authenticate: Basic realm=\"r\"";
        (format!("401 Unauthorized\r\n{ask}"), String::new())
    });
    let web = web.await;
    let bench = bench(&web).await;
    deliver(&bench).await;
    assert_eq!((bench.app.tally.counts().retried, web.count()), (1, 1));
    assert!(!web.all()[0].contains("authorization:"));
}
