//! Event types, and what becomes of endpoints that subscribe to others.

use std::time::Duration;

use sealpost::domain::event_catalog::UnknownTypes;
use serde_json::{Value, json};

use crate::server::Server;

const ENDPOINT: &str = "/v1/customers/acme/endpoints/orders";

fn wants(patterns: &[&str]) -> Value {
    json!({"url": "https://acme.example/hook", "eventTypes": patterns})
}

#[tokio::test]
async fn the_operator_registers_types_and_customers_look_at_them() {
    let server = Server::start().await;
    let at = |name: &str| format!("/v1/event-types/{name}");
    let new = json!({"description": "an order was placed", "example": {"orderId": 42}});
    let put = server.call("PUT", &at("order.created"), new).await.is(200);
    assert_eq!((&put["name"], &put["example"]["orderId"]), (&json!("order.created"), &json!(42)));
    server.call("PUT", &at("order.deleted"), json!({"archived": true})).await.is(200);
    let customer = server.token("acme").await;
    let page =
        server.call_as(&customer, "GET", "/v1/event-types?limit=1", Value::Null).await.is(200);
    assert_eq!(page["data"][0], put);
    let next = format!("/v1/event-types?cursor={}", page["nextCursor"].as_str().unwrap());
    let next = server.call_as(&customer, "GET", &next, Value::Null).await.is(200);
    assert_eq!(
        (&next["data"][0]["name"], &next["nextCursor"]),
        (&json!("order.deleted"), &Value::Null)
    );
    let refused = server.call_as(&customer, "PUT", &at("mine"), json!({})).await;
    assert_eq!(refused.problem(), "forbidden");
    let bad = server.call("PUT", &at("a*"), json!({})).await;
    assert_eq!(bad.problem(), "invalid_request");
    let large = json!({"example": "x".repeat(65 * 1024)});
    assert_eq!(server.call("PUT", &at("large"), large).await.path(), "example");
    server.call("DELETE", &at("order.created"), Value::Null).await.is(204);
    let gone = server.call("GET", &at("order.created"), Value::Null).await;
    assert_eq!(gone.problem(), "not_found");
}

#[tokio::test]
async fn an_endpoint_that_wants_types_that_are_not_registered_is_taken_warned_of_or_refused() {
    for policy in [UnknownTypes::Accept, UnknownTypes::Warn, UnknownTypes::Refuse] {
        let server = Server::start_with(|config| config.events.unknown_types = policy).await;
        server.call("PUT", "/v1/event-types/order.created", json!({})).await.is(200);
        let good = server.call("PUT", ENDPOINT, wants(&["order.*", "*"])).await.is(200);
        assert_eq!(good["warnings"], Value::Null, "{policy:?}");
        let other = server.call("PUT", ENDPOINT, wants(&["order.created", "invoice.paid"])).await;
        match policy {
            UnknownTypes::Accept => assert_eq!(other.is(200)["warnings"], Value::Null),
            UnknownTypes::Warn => {
                let told = other.is(200);
                assert!(told["warnings"][0].as_str().unwrap().contains("invoice.paid"), "{told}");
                // What was read can be put back.
                server.call("PUT", ENDPOINT, told).await.is(200);
            }
            UnknownTypes::Refuse => {
                let (code, path) = (other.problem(), other.path());
                assert_eq!((code.as_str(), path.as_str()), ("validation_failed", "eventTypes[1]"));
            }
        }
    }
}

#[tokio::test]
async fn a_test_of_a_type_sends_its_example() {
    let server = Server::start().await;
    let example = json!({"example": {"orderId": 42}});
    server.call("PUT", "/v1/event-types/order.created", example).await.is(200);
    server.call("PUT", ENDPOINT, wants(&["*"])).await.is(200);
    let path = format!("{ENDPOINT}/test");
    server.call("POST", &path, json!({"type": "order.created"})).await.is(202);
    let messages = server.app.queue.receive(1, Duration::ZERO).await.unwrap();
    let job: Value = serde_json::from_slice(&messages[0].body).unwrap();
    assert_eq!((&job["type"], &job["data"]), (&json!("order.created"), &json!({"orderId": 42})));
}
