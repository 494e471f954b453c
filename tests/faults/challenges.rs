//! Servers that want an answer to their challenge: what is sent before there is one, and who pays.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sealpost::domain::endpoint::Health;
use sealpost::domain::reason::Reason;
use serde_json::json;

use crate::bench::{Bench, enqueue, loopback, put, put_secret};
use crate::server::{Then, listen};
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
async fn what_asks_for_the_challenge_tells_nothing_of_the_message() {
    for (method, asks_with) in
        [("POST", "POST"), ("PUT", "HEAD"), ("DELETE", "HEAD"), ("GET", "HEAD")]
    {
        let web = server(Arc::new(Mutex::new("n1"))).await;
        let bench = Bench::open(loopback()).await;
        let auth = json!([{"scheme": "api_key", "in": "header", "name": "x-key", "secret": "s"},
                          {"scheme": "digest", "username": "u", "secret": "s"}]);
        put(
            &bench.app,
            json!({"customerId": "c", "endpointId": "e", "url": web.origin,
                               "method": method, "auth": auth, "headers": {"x-own": "1"}}),
        )
        .await;
        put_secret(&bench.app, "password", &[&web.origin]).await;
        deliver(&bench).await;
        let calls = web.all();
        assert!(calls[0].starts_with(&format!("{asks_with} /")), "{}", calls[0]);
        for absent in ["webhook-id", "idempotency-key", "x-key", "x-own"] {
            assert!(!calls[0].contains(absent), "{absent}: {}", calls[0]);
            assert!(calls[1].contains(absent) || absent == "x-own", "{}", calls[1]);
        }
        assert!(calls[1].starts_with(&format!("{method} /")) && calls[1].contains("x-own: 1"));
        assert_eq!(bench.app.tally.counts().delivered, 1);
    }
}

#[tokio::test]
async fn a_refusal_without_a_challenge_never_lets_the_message_out() {
    for refusal in ["403 Forbidden", "401 Unauthorized\r\nwww-authenticate: Bearer"] {
        let web = Web::start(move |_| (refusal.to_owned(), String::new())).await;
        let bench = bench(&web).await;
        // The worker knows the old value; a new one is stored elsewhere.
        let (customer, secret) = ("c".parse().unwrap(), "s".parse().unwrap());
        bench.pipeline.vault.open(&customer, &secret).await.unwrap();
        let elsewhere = bench.elsewhere().await;
        put_secret(&elsewhere, "new", &[&web.origin]).await;
        deliver(&bench).await;
        assert_eq!((bench.app.tally.counts().retried, web.count()), (1, 1), "{refusal}");
        assert!(web.all()[0].ends_with("\r\n\r\n"), "{}", web.all()[0]);
    }
}

#[tokio::test]
async fn a_call_without_the_message_is_never_ambiguous() {
    let (address, _seen) = listen(Then::Reset(Vec::new())).await;
    let bench = Bench::open(loopback()).await;
    let origin = format!("http://{address}");
    let auth = json!([{"scheme": "digest", "username": "u", "secret": "s"}]);
    let retry = json!({"retryAmbiguous": false});
    let endpoint =
        json!({"customerId": "c", "endpointId": "e", "url": origin, "auth": auth, "retry": retry});
    put(&bench.app, endpoint).await;
    put_secret(&bench.app, "password", &[&origin]).await;
    deliver(&bench).await;
    assert_eq!(bench.app.tally.counts().retried, 1);
    assert!(bench.dead_letters().await.is_empty());
}

#[tokio::test]
async fn a_challenge_that_cannot_be_answered_is_forgotten() {
    let nonce = Arc::new(Mutex::new("n1"));
    let web = {
        let nonce = Arc::clone(&nonce);
        Web::start(move |request| {
            // Something in between asks for what is not to be had, for a while.
            let nonce = *nonce.lock().unwrap();
            let algorithm = if nonce == "n1" { "MD5" } else { "SHA-256" };
            if nonce != "n1" && request.contains(&format!("nonce=\"{nonce}\"")) {
                return ("204 No Content".to_owned(), String::new());
            }
            let ask = format!(
                "Digest realm=\"r\", qop=\"auth\", algorithm={algorithm}, nonce=\"{nonce}\""
            );
            (format!("401 Unauthorized\r\nwww-authenticate: {ask}"), String::new())
        })
        .await
    };
    let bench = bench(&web).await;
    deliver(&bench).await;
    assert_eq!((bench.app.tally.counts().retried, web.count()), (1, 1));
    *nonce.lock().unwrap() = "n2";
    deliver(&bench).await;
    assert_eq!(bench.app.tally.counts().delivered, 1, "the next job asks anew");
    assert!(bench.dead_letters().await.is_empty());
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
