use sealpost::domain::replay::Standing;
use sealpost::replay;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::dead_letters::give_up;
use crate::server::Server;

const REPLAYS: &str = "/v1/customers/acme/replays";

/// Lets a replay go on until it is finished.
async fn work_off(server: &Server, id: &str) {
    let stop = CancellationToken::new();
    let work = tokio::spawn(replay::keep_running(server.app.replayer(), stop.clone()));
    while server.app.replayer().get(id).await.unwrap().state == Standing::Running {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    work.await.unwrap();
}

async fn server() -> Server {
    let server = Server::start().await;
    for (id, customer, endpoint) in [
        ("dl_1", "acme", "orders"),
        ("dl_2", "other", "orders"),
        ("dl_3", "acme", "invoices"),
        ("dl_4", "acme", "orders"),
    ] {
        give_up(&server, id, customer, endpoint).await;
    }
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_is_planned_begun_and_watched_and_sends_the_customer_s_own_letters_alone() {
    let server = server().await;
    let asked = json!({"endpointId": "orders"});
    let mut plan = asked.clone();
    plan["dryRun"] = true.into();
    let planned = server.call("POST", REPLAYS, plan).await.is(200);
    assert_eq!((&planned["count"], &planned["reasons"]), (&json!(2), &json!({"too_old": 2})));
    assert_eq!(server.app.queue.depth().await.unwrap().pending, 0, "nothing was sent");

    let begun = server.call("POST", REPLAYS, asked).await.is(202);
    assert_eq!((&begun["state"], &begun["planned"]["count"]), (&json!("running"), &json!(2)));
    let id = begun["id"].as_str().unwrap();
    work_off(&server, id).await;
    let path = format!("{REPLAYS}/{id}");
    let shown = server.call("GET", &path, Value::Null).await.is(200);
    assert_eq!((&shown["state"], &shown["done"]["replayed"]), (&json!("finished"), &json!(2)));
    assert_eq!(shown["audit"][0]["who"], begun["who"]);
    assert!(begun["who"].as_str().unwrap().starts_with("key_"), "{begun}");
    assert_eq!(server.app.queue.depth().await.unwrap().pending, 2);
    let left = server.call("GET", "/v1/dead-letters", Value::Null).await.is(200);
    let left: Vec<_> = left["data"].as_array().unwrap().iter().map(|l| &l["id"]).collect();
    assert_eq!(left, ["dl_2", "dl_3"]);
    assert_eq!(
        server.call("POST", &format!("{path}/pause"), Value::Null).await.problem(),
        "conflict"
    );
}

#[tokio::test]
async fn a_replay_is_paused_resumed_and_cancelled_by_whoever_may() {
    let server = server().await;
    let token = server.token("acme").await;
    let begun = server.call_as(&token, "POST", REPLAYS, json!({})).await.is(202);
    let path = format!("{REPLAYS}/{}", begun["id"].as_str().unwrap());
    for (verb, state) in [("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")] {
        let now = server.call_as(&token, "POST", &format!("{path}/{verb}"), Value::Null).await;
        assert_eq!(now.is(200)["state"], state);
    }
    let listed = server.call_as(&token, "GET", REPLAYS, Value::Null).await.is(200);
    assert_eq!(listed["data"][0]["id"], begun["id"]);
    assert_eq!(server.app.queue.depth().await.unwrap().pending, 0, "nobody worked on it");

    // Of another customer's it is not told that it is there.
    let other = server.token("other").await;
    let theirs = path.replace("/acme/", "/other/");
    assert_eq!(server.call_as(&other, "GET", &theirs, Value::Null).await.problem(), "not_found");
    let cancel = format!("{theirs}/cancel");
    assert_eq!(server.call_as(&other, "POST", &cancel, Value::Null).await.problem(), "not_found");
    let listed = server.call_as(&other, "GET", "/v1/customers/other/replays", Value::Null).await;
    assert_eq!(listed.is(200)["data"], json!([]));
}

#[tokio::test]
async fn a_key_for_one_endpoint_replays_that_one_and_to_no_other() {
    use sealpost::domain::access::Scope;
    let server = server().await;
    let key = server.key(Scope::Operator, &["acme"], &["orders"]).await;
    for refused in [
        json!({}),
        json!({"endpointId": "invoices"}),
        json!({"endpointId": "orders", "to": "invoices"}),
    ] {
        assert_eq!(server.call_as(&key, "POST", REPLAYS, refused).await.problem(), "forbidden");
    }
    server.call_as(&key, "POST", REPLAYS, json!({"endpointId": "orders"})).await.is(202);
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_with_its_field() {
    let server = server().await;
    for (body, path) in [
        (json!({"rate": 0}), "rate"),
        (json!({"rate": 100_001}), "rate"),
        (json!({"since": "yesterday"}), "since"),
        (json!({"reason": "bored"}), "reason"),
    ] {
        let reply = server.call("POST", REPLAYS, body).await;
        assert_eq!((reply.problem().as_str(), reply.path().as_str()), ("validation_failed", path));
    }
    let nothing = server.call("POST", REPLAYS, Value::Null).await;
    assert_eq!(nothing.problem(), "invalid_request", "all are sent again only on request");
    let unknown = server.call("POST", REPLAYS, json!({"customerId": "other"})).await;
    assert_eq!(unknown.problem(), "validation_failed");
    let elsewhere = server.call("POST", REPLAYS, json!({"to": "nowhere"})).await;
    assert_eq!(elsewhere.problem(), "conflict");
}
