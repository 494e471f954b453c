use sealpost::domain::access::Scope;
use sealpost::domain::endpoint::Health;
use serde_json::{Value, json};

use crate::server::Server;

const ACME: &str = "/v1/customers/acme/endpoints";

fn orders() -> Value {
    json!({"endpointId": "orders", "url": "https://acme.example/hook",
           "auth": [{"scheme": "standard_webhooks", "secret": "signing"}],
           "retry": {"maxAttempts": 3}})
}

#[tokio::test]
async fn an_endpoint_is_registered_read_changed_and_removed() {
    let server = Server::start().await;
    let created = server.call("POST", ACME, orders()).await;
    let shown = created.is(201);
    assert_eq!(created.header("location"), format!("{ACME}/orders"));
    assert_eq!((created.header("etag"), &shown["version"]), ("\"1\"", &json!(1)));
    assert_eq!(
        (&shown["customerId"], &shown["health"]["state"]),
        (&json!("acme"), &json!("active"))
    );

    let orders = format!("{ACME}/orders");
    let read = server.call("GET", &orders, Value::Null).await;
    assert_eq!((read.is(200), read.header("etag")), (shown.clone(), "\"1\""));
    // What was read can be put back as it is.
    let mut changed = shown.clone();
    changed["url"] = "https://acme.example/other".into();
    let put = server.call("PUT", &orders, changed).await.is(200);
    assert_eq!((&put["version"], &put["url"]), (&json!(2), &json!("https://acme.example/other")));
    assert_eq!(put["retry"]["maxAttempts"], 3);

    assert_eq!(server.call("DELETE", &orders, Value::Null).await.status, 204);
    for method in ["GET", "DELETE"] {
        assert_eq!(server.call(method, &orders, Value::Null).await.problem(), "not_found");
    }
}

#[tokio::test]
async fn an_endpoint_without_an_id_gets_one_and_an_id_is_given_once() {
    let server = Server::start().await;
    let url = json!({"url": "https://acme.example/hook"});
    let one = server.call("POST", ACME, url.clone()).await.is(201);
    let two = server.call("POST", ACME, url).await.is(201);
    assert!(one["endpointId"].as_str().unwrap().starts_with("ep_"));
    assert_ne!(one["endpointId"], two["endpointId"]);
    server.call("POST", ACME, orders()).await.is(201);
    let again = server.call("POST", ACME, orders()).await;
    assert_eq!((again.status, again.problem().as_str()), (409, "conflict"));
}

#[tokio::test]
async fn of_two_who_change_the_same_version_the_second_is_told() {
    let server = Server::start().await;
    let path = format!("{ACME}/orders");
    let if_none = ("if-none-match", "*");
    server.call_with(if_none, "PUT", &path, orders()).await.is(200);
    assert_eq!(
        server.call_with(if_none, "PUT", &path, orders()).await.problem(),
        "precondition_failed"
    );
    let over_one = ("if-match", "\"1\"");
    assert_eq!(server.call_with(over_one, "PUT", &path, orders()).await.is(200)["version"], 2);
    let late = server.call_with(over_one, "PUT", &path, orders()).await;
    assert_eq!((late.status, late.problem().as_str()), (412, "precondition_failed"));
    assert!(late.text.contains("version 2"), "{late:?}");
    let removed = server.call_with(over_one, "DELETE", &path, Value::Null).await;
    assert_eq!(removed.problem(), "precondition_failed");
    server.call_with(("if-match", "*"), "PUT", &path, orders()).await.is(200);
    let gone = format!("{ACME}/gone");
    let put = server.call_with(("if-match", "*"), "PUT", &gone, orders()).await;
    assert_eq!(put.problem(), "validation_failed", "the ids differ");
    let url = json!({"url": "https://acme.example/"});
    let put = server.call_with(("if-match", "*"), "PUT", &gone, url).await;
    assert_eq!(put.problem(), "precondition_failed");
    let put = server.call_with(("if-match", "3"), "PUT", &path, orders()).await;
    assert_eq!((put.status, put.path().as_str()), (400, "if-match"));
}

#[tokio::test]
async fn a_field_that_is_wrong_is_named_by_its_path() {
    let server = Server::start().await;
    for (change, path) in [
        (json!({"url": "http://acme.example/"}), "url"),
        (json!({"url": "https://127.0.0.1/"}), "url"),
        (json!({"retry": {"maxAttempts": 0}}), "retry.maxAttempts"),
        (json!({"retry": {"retryOn": ["oops"]}}), "retry.retryOn[0]"),
        (json!({"headers": {"host": "x"}}), "headers.host"),
        (json!({"timeout": "16m"}), "timeout"),
        (json!({"customerId": "other"}), "customerId"),
        (json!({"endpointId": "a/b"}), "endpointId"),
        (json!({"auth": [{"scheme": "nonsense"}]}), "auth[0].scheme"),
        (json!({"nonsense": 1}), "nonsense"),
    ] {
        let mut endpoint = orders();
        endpoint.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let refused = server.call("POST", ACME, endpoint).await;
        assert_eq!(
            (refused.status, refused.problem().as_str()),
            (422, "validation_failed"),
            "{change}"
        );
        assert_eq!(refused.path(), path, "{refused:?}");
    }
}

#[tokio::test]
async fn a_list_comes_in_pages_with_the_health_of_each() {
    let server = Server::start().await;
    for id in ["b", "a", "d", "c", "e"] {
        let endpoint = json!({"endpointId": id, "url": "https://acme.example/"});
        server.call("POST", ACME, endpoint).await.is(201);
    }
    let (customer, c) = ("acme".parse().unwrap(), "c".parse().unwrap());
    let gone = Health::Disabled { why: "410".to_owned() };
    server.app.health.set(&customer, &c, 1, &gone).await.unwrap();
    let (mut seen, mut next) = (Vec::new(), String::new());
    loop {
        let page = server.call("GET", &format!("{ACME}?limit=2{next}"), Value::Null).await.is(200);
        seen.extend(page["data"].as_array().unwrap().clone());
        let Some(cursor) = page["nextCursor"].as_str() else { break };
        assert_eq!(page["data"].as_array().unwrap().len(), 2);
        next = format!("&cursor={cursor}");
    }
    let ids: Vec<&str> = seen.iter().map(|e| e["endpointId"].as_str().unwrap()).collect();
    assert_eq!(ids, ["a", "b", "c", "d", "e"]);
    let states: Vec<&str> = seen.iter().map(|e| e["health"]["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["active", "active", "disabled", "active", "active"]);
}

#[tokio::test]
async fn a_key_of_one_endpoint_lists_and_changes_that_one_alone() {
    let server = Server::start().await;
    for id in ["a", "b"] {
        let endpoint = json!({"endpointId": id, "url": "https://acme.example/"});
        server.call("POST", ACME, endpoint).await.is(201);
    }
    let key = server.key(Scope::Operator, &[], &["b"]).await;
    let listed = server.call_as(&key, "GET", ACME, Value::Null).await.is(200);
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
    let url = json!({"url": "https://acme.example/new"});
    server.call_as(&key, "PUT", &format!("{ACME}/b"), url.clone()).await.is(200);
    for (method, path) in [("PUT", format!("{ACME}/a")), ("POST", ACME.to_owned())] {
        let refused = server.call_as(&key, method, &path, url.clone()).await;
        assert_eq!(refused.problem(), "forbidden", "{method} {path}");
    }
}

#[tokio::test]
async fn deliveries_are_paused_and_go_on_and_a_disabled_endpoint_is_enabled_anew() {
    let server = Server::start().await;
    server.call("POST", ACME, orders()).await.is(201);
    let act =
        async |what: &str, body| server.call("POST", &format!("{ACME}/orders/{what}"), body).await;
    let until = json!({"until": "2027-01-16T00:00:00Z"});
    let paused = act("pause", until.clone()).await.is(200);
    assert_eq!(paused["health"], json!({"state": "paused", "until": "2027-01-16T00:00:00Z"}));
    assert_eq!(act("enable", Value::Null).await.is(200)["health"]["state"], "active");
    for bad in ["2020-01-01T00:00:00Z", "2030-01-01T00:00:00Z", "tomorrow"] {
        let refused = act("pause", json!({"until": bad})).await;
        assert_eq!(
            (refused.problem().as_str(), refused.path().as_str()),
            ("validation_failed", "until")
        );
    }
    let (customer, id) = ("acme".parse().unwrap(), "orders".parse().unwrap());
    let gone = Health::Disabled { why: "410".to_owned() };
    server.app.health.set(&customer, &id, 1, &gone).await.unwrap();
    assert_eq!(act("pause", until).await.problem(), "conflict");
    let enabled = act("enable", Value::Null).await.is(200);
    assert_eq!((&enabled["health"]["state"], &enabled["version"]), (&json!("active"), &json!(2)));
    // And one that was switched off.
    let mut off = orders();
    off["enabled"] = false.into();
    server.call("PUT", &format!("{ACME}/orders"), off).await.is(200);
    let enabled = act("enable", Value::Null).await.is(200);
    assert_eq!((&enabled["enabled"], &enabled["version"]), (&Value::Null, &json!(4)));
}
