//! Test calls over the API: asked by one process, answered by a worker.

use std::time::Duration;

use sealpost::domain::access::Scope;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::server::Server;

const ENDPOINT: &str = "/v1/customers/acme/endpoints/orders";

async fn register(server: &Server) {
    // Nobody listens there: the guard lets nothing else through either.
    let endpoint = json!({"url": "https://acme.example/hook"});
    server.call("PUT", ENDPOINT, endpoint).await.is(200);
}

/// A worker takes what is in the queue.
pub async fn work(server: &Server) -> usize {
    let pipeline = server.app.pipeline().unwrap();
    let messages = server.app.queue.receive(10, Duration::ZERO).await.unwrap();
    for message in &messages {
        pipeline.deliver(message, &CancellationToken::new()).await;
    }
    messages.len()
}

#[tokio::test]
async fn a_test_is_pending_until_a_worker_has_answered() {
    let server = Server::start().await;
    register(&server).await;
    let secret = json!({"scheme": "bearer", "secret": "missing"});
    let endpoint = json!({"url": "https://acme.example/hook", "auth": [secret]});
    server.call("PUT", ENDPOINT, endpoint).await.is(200);
    let asked = server.call("POST", &format!("{ENDPOINT}/test"), Value::Null).await;
    let test = asked.is(202);
    assert_eq!(test["state"], "pending");
    let location = asked.header("location").to_owned();
    assert_eq!(location, format!("{ENDPOINT}/tests/{}", test["id"].as_str().unwrap()));
    assert_eq!(server.call("GET", &location, Value::Null).await.is(200), test);
    assert_eq!(work(&server).await, 1);
    let told = server.call("GET", &location, Value::Null).await.is(200);
    assert_eq!((&told["state"], &told["id"]), (&json!("failed"), &test["id"]));
    let secrets = &told["report"]["steps"][1];
    assert_eq!((&secrets["step"], &secrets["result"]), (&json!("secrets"), &json!("failed")));
    assert!(secrets["advice"].as_str().unwrap().contains("secret put"), "{secrets}");
    // The answer is read from beside, and is gone after an hour.
    server.clock.advance(Duration::from_secs(3600));
    assert_eq!(server.call("GET", &location, Value::Null).await.problem(), "not_found");
}

#[tokio::test]
async fn a_request_can_wait_for_the_answer() {
    let server = Server::start().await;
    register(&server).await;
    let path = format!("{ENDPOINT}/test");
    let asking = server.call("POST", &path, json!({"wait": "20s", "data": {"x": 1}}));
    let working = async {
        while work(&server).await == 0 {
            tokio::task::yield_now().await;
        }
    };
    let (told, ()) = tokio::join!(asking, working);
    let told = told.is(200);
    assert_eq!(told["state"], "failed", "there is no way to acme.example");
    assert_eq!(told["report"]["steps"][2]["says"], "POST https://acme.example/hook");
}

#[tokio::test]
async fn customers_test_their_own_endpoints_and_see_no_other_s_tests() {
    let server = Server::start().await;
    register(&server).await;
    let (own, other) = (server.token("acme").await, server.token("other").await);
    let looks = server.key(Scope::ReadOnly, &[], &[]).await;
    let path = format!("{ENDPOINT}/test");
    for key in [&other, &looks] {
        assert_eq!(server.call_as(key, "POST", &path, Value::Null).await.problem(), "forbidden");
    }
    assert_eq!(server.app.queue.depth().await.unwrap().pending, 0);
    let asked = server.call_as(&own, "POST", &path, Value::Null).await;
    let id = asked.is(202)["id"].as_str().unwrap().to_owned();
    let at = asked.header("location").to_owned();
    for key in [&own, &looks] {
        server.call_as(key, "GET", &at, Value::Null).await.is(200);
    }
    assert_eq!(server.call_as(&other, "GET", &at, Value::Null).await.problem(), "forbidden");
    // Whoever knows its id finds it under no other customer or endpoint.
    for elsewhere in ["other/endpoints/orders", "acme/endpoints/invoices"] {
        let path = format!("/v1/customers/{elsewhere}/tests/{id}");
        assert_eq!(server.call("GET", &path, Value::Null).await.problem(), "not_found");
    }
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_with_its_path_and_who_tests_too_often_waits() {
    let server = Server::start().await;
    register(&server).await;
    let path = format!("{ENDPOINT}/test");
    for (body, at) in [
        (json!({"wait": "1h"}), "wait"),
        (json!({"headers": {"a b": "c"}}), "headers.a b"),
        (json!({"data": "x".repeat(65 * 1024)}), "data"),
        (json!({"body": "x"}), "body"),
    ] {
        let reply = server.call("POST", &path, body).await;
        assert_eq!((reply.problem().as_str(), reply.path().as_str()), ("validation_failed", at));
    }
    let nobody = server.call("POST", "/v1/customers/acme/endpoints/none/test", Value::Null).await;
    assert_eq!(nobody.problem(), "not_found");
    for _ in 0..10 {
        server.call("POST", &path, Value::Null).await.is(202);
    }
    let refused = server.call("POST", &path, Value::Null).await;
    assert_eq!((refused.problem().as_str(), refused.header("retry-after")), ("rate_limited", "2"));
    let depth = server.app.queue.depth().await.unwrap();
    assert_eq!(depth.pending, 10, "what is refused is not sent");
}
