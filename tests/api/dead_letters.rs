use std::time::Duration;

use sealpost::domain::dead_letter::DeadLetter;
use sealpost::ports::queue::NewMessage;
use serde_json::{Value, json};

use crate::letter::letter;
use crate::server::Server;

/// A job that was given up, in the queue and in the index.
pub async fn give_up(server: &Server, id: &str, customer: &str, endpoint: &str) {
    let body = format!(r#"{{"customerId":"{customer}","endpointId":"{endpoint}","data":1}}"#);
    let message = NewMessage { body: body.into(), ..NewMessage::default() };
    server.app.queue.send(vec![message]).await.unwrap();
    let received = server.app.queue.receive(1, Duration::ZERO).await.unwrap().remove(0);
    let letter = DeadLetter {
        customer_id: Some(customer.parse().unwrap()),
        endpoint_id: Some(endpoint.parse().unwrap()),
        job_id: Some("evt_1".parse().unwrap()),
        ..letter(id, &received)
    };
    server.app.queue.dead_letter(&received.handle, &letter, None).await.unwrap();
    server.app.deliveries.put_dead_letter(&letter).await.unwrap();
    server.clock.advance(Duration::from_secs(1));
}

async fn ids(server: &Server, key: &str, query: &str) -> Vec<String> {
    let listed = server.call_as(key, "GET", &format!("/v1/dead-letters{query}"), Value::Null).await;
    let listed = listed.is(200);
    let id = |letter: &Value| letter["id"].as_str().unwrap().to_owned();
    listed["data"].as_array().unwrap().iter().map(id).collect()
}

#[tokio::test]
async fn dead_letters_are_listed_shown_and_replayed() {
    let server = Server::start().await;
    for (id, customer, endpoint) in
        [("dl_1", "acme", "orders"), ("dl_2", "other", "orders"), ("dl_3", "acme", "invoices")]
    {
        give_up(&server, id, customer, endpoint).await;
    }
    let operator = server.operator.clone();
    assert_eq!(ids(&server, &operator, "").await, ["dl_1", "dl_2", "dl_3"]);
    assert_eq!(ids(&server, &operator, "?customerId=acme").await, ["dl_1", "dl_3"]);
    assert_eq!(ids(&server, &operator, "?endpointId=invoices&reason=too_old").await, ["dl_3"]);
    for none in ["reason=expired", "eventType=paid", "phase=tls", "minAttempts=99"] {
        assert!(ids(&server, &operator, &format!("?{none}")).await.is_empty(), "{none}");
    }
    let times = ["?until=2020-01-01T00:00:00Z", "?since=2020-01-01T00:00:00Z&maxAttempts=9"];
    assert!(ids(&server, &operator, times[0]).await.is_empty());
    assert_eq!(ids(&server, &operator, times[1]).await.len(), 3);
    let shown = server.call("GET", "/v1/dead-letters/dl_1", Value::Null).await.is(200);
    assert_eq!((&shown["reason"], &shown["customerId"]), (&json!("too_old"), &json!("acme")));

    let replay = "/v1/dead-letters/dl_1/replay";
    let replayed = server.call("POST", replay, Value::Null).await.is(202);
    assert_eq!(replayed, json!({"id": "dl_1", "round": 2}));
    assert_eq!(server.app.queue.depth().await.unwrap().pending, 1);
    assert_eq!(server.call("POST", replay, Value::Null).await.problem(), "not_found");
    assert_eq!(ids(&server, &operator, "").await, ["dl_2", "dl_3"]);
}

#[tokio::test]
async fn pages_of_dead_letters_go_on_from_the_last_although_that_is_gone() {
    let server = Server::start().await;
    for id in ["dl_1", "dl_2", "dl_3"] {
        give_up(&server, id, "acme", "orders").await;
    }
    let first = server.call("GET", "/v1/dead-letters?limit=2", Value::Null).await.is(200);
    let cursor = first["nextCursor"].as_str().unwrap();
    let next = format!("?limit=2&cursor={cursor}");
    assert_eq!(ids(&server, &server.operator, &next).await, ["dl_3"]);
    server.call("POST", "/v1/dead-letters/dl_2/replay", Value::Null).await.is(202);
    assert_eq!(ids(&server, &server.operator, &next).await, ["dl_3"]);
    // The id of a letter, which is no place in a list.
    let other = server.call("GET", "/v1/dead-letters?cursor=ZGxfMQ", Value::Null).await;
    assert_eq!(other.problem(), "invalid_request");
}

#[tokio::test]
async fn a_customer_sees_and_replays_its_own_and_is_not_told_of_others() {
    let server = Server::start().await;
    give_up(&server, "dl_1", "acme", "orders").await;
    give_up(&server, "dl_2", "other", "orders").await;
    let token = server.token("acme").await;
    assert_eq!(ids(&server, &token, "").await, ["dl_1"]);
    for (method, path) in [("GET", ""), ("POST", "/replay")] {
        let path = format!("/v1/dead-letters/dl_2{path}");
        let others = server.call_as(&token, method, &path, Value::Null).await;
        assert_eq!((others.status, others.problem().as_str()), (404, "not_found"));
    }
    let asked =
        server.call_as(&token, "GET", "/v1/dead-letters?customerId=other", Value::Null).await;
    assert_eq!(asked.problem(), "forbidden");
    let replay = "/v1/dead-letters/dl_1/replay";
    server.call_as(&token, "POST", replay, Value::Null).await.is(202);
}
