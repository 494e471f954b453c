//! Every route, as the OpenAPI document lists them, with every key that is not good for it. The
//! customer in question is `acme`.

use std::time::Duration;

use bytes::Bytes;
use sealpost::access::{issue_key, issue_token};
use sealpost::api::{PUBLIC, openapi};
use sealpost::domain::access::{Grant, Scope};
use serde_json::json;

use crate::server::{Reply, Server};

/// One operation of the document, ready to be called.
struct Route {
    method: String,
    path: String,
    body: String,
    /// The scopes that it is for.
    scopes: &'static [Scope],
    /// Whether a customer's own token may call it.
    is_customers: bool,
    /// Whether it is of no customer, and every key that may look may look at it.
    is_everybodys: bool,
}

const ALL: [Scope; 3] = [Scope::ReadOnly, Scope::Producer, Scope::Operator];

/// Every route that needs a key.
fn routes() -> Vec<Route> {
    let document = openapi::document();
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        if PUBLIC.contains(&path.as_str()) {
            continue;
        }
        for method in item.as_object().unwrap().keys() {
            routes.push(route(method, path));
        }
    }
    assert!(routes.len() >= 20, "{} routes", routes.len());
    routes
}

fn route(method: &str, described: &str) -> Route {
    let sends = described.starts_with("/v1/jobs");
    let scopes: &[Scope] = match method {
        _ if sends => &[Scope::Producer, Scope::Operator],
        "get" if described != "/v1/api-keys" => &[Scope::ReadOnly, Scope::Operator],
        _ => &[Scope::Operator],
    };
    let is_types = described.starts_with("/v1/event-types");
    // Of all customers, or no customer's to do.
    let is_operators = described == "/v1/customers"
        || (method == "delete" && described == "/v1/customers/{customerId}");
    let is_keys = described.starts_with("/v1/api-keys")
        || described.ends_with("/tokens")
        || (described.contains("/tenant-key") && method != "get");
    let mut path = described.replace("{customerId}", "acme").replace(['{', '}'], "");
    if described == "/v1/dead-letters" {
        path += "?customerId=acme";
    }
    if method == "delete" && described.ends_with("/tenant-key") {
        path += "?confirm=acme";
    }
    let job = json!({"customerId": "acme", "endpointId": "orders", "data": 1});
    Route {
        method: method.to_uppercase(),
        path,
        body: if sends { job.to_string() } else { String::new() },
        scopes,
        is_customers: !sends
            && !is_keys
            && !is_operators
            && described != "/metrics"
            && (!is_types || method == "get"),
        is_everybodys: is_types && method == "get",
    }
}

async fn call(server: &Server, route: &Route, authorization: Option<&str>) -> Reply {
    let mut headers = Vec::new();
    if let Some(authorization) = authorization {
        headers.push(("authorization", authorization));
    }
    if route.path.ends_with("/bulk") {
        headers.push(("content-type", "application/x-ndjson"));
    }
    let body = Bytes::from(route.body.clone());
    server.send(&route.method, &route.path, &headers, body).await
}

/// Whether the key was refused, and nothing was done or told.
fn is_refused(route: &Route, reply: &Reply) -> bool {
    if route.path.ends_with("/bulk") && reply.status == 200 {
        let told = reply.json();
        return told["accepted"] == 0 && told["errors"][0]["problem"]["code"] == "forbidden";
    }
    // Of others' dead letters it is not told whether they are there.
    let hides = route.path.starts_with("/v1/dead-letters/");
    reply.problem() == "forbidden" || hides && reply.problem() == "not_found"
}

#[tokio::test]
async fn no_route_takes_a_key_that_is_none_or_no_longer_good() {
    let server = Server::start().await;
    let all = Grant::Operator { scope: Scope::Operator, customers: None, endpoints: None };
    let now = server.app.clock.now();
    let text = |issued: &sealpost::access::Issued| issued.text.expose_str().unwrap().to_owned();
    let make = async |end| issue_key(&server.app, "k".to_owned(), all.clone(), end).await.unwrap();
    let (good, expired, revoked) = (make(None).await, make(Some(now)).await, make(None).await);
    let mint = async |key, lifetime: u64| {
        let customer = "acme".parse().unwrap();
        issue_token(&server.app, customer, Duration::from_secs(lifetime), key).await.unwrap()
    };
    let short = mint(&good.key, 0).await;
    let (orphan, withdrawn) = (mint(&revoked.key, 3600).await, mint(&good.key, 3600).await);
    for id in [&revoked.key.id, &withdrawn.key.id] {
        assert!(server.app.control.revoke_key(id, now).await.unwrap());
    }
    let unknown = format!("sp_{}_{}", "0".repeat(20), "A".repeat(43));
    let forged = format!("{}{}", &text(&good)[..24], "A".repeat(43));
    let as_token = text(&good).replacen("sp_", "spt_", 1);
    let bearer = |text: &str| Some(format!("Bearer {text}"));
    let wrong = [
        ("none", None),
        ("an empty one", bearer("")),
        ("a word", bearer("nonsense")),
        ("another scheme", Some(format!("Basic {}", text(&good)))),
        ("no scheme", Some(text(&good))),
        ("an unknown one", bearer(&unknown)),
        ("a known id with another secret", bearer(&forged)),
        ("a key as a token", bearer(&as_token)),
        ("its hash", bearer(&good.key.hash)),
        ("an expired one", bearer(&text(&expired))),
        ("a revoked one", bearer(&text(&revoked))),
        ("an expired token", bearer(&text(&short))),
        ("a revoked token", bearer(&text(&withdrawn))),
        ("a token of a revoked key", bearer(&text(&orphan))),
    ];
    for route in routes() {
        for (what, authorization) in &wrong {
            let reply = call(&server, &route, authorization.as_deref()).await;
            let Route { method, path, .. } = &route;
            assert_eq!(reply.status, 401, "{method} {path} with {what}: {reply:?}");
            assert_eq!(reply.problem(), "unauthenticated");
        }
    }
    assert_eq!(server.app.queue.depth().await.unwrap().pending, 0);
}

#[tokio::test]
async fn every_route_takes_the_scopes_that_it_is_for_and_no_other() {
    let server = Server::start().await;
    for scope in ALL {
        let key = format!("Bearer {}", server.key(scope, &[], &[]).await);
        for route in routes() {
            let reply = call(&server, &route, Some(&key)).await;
            let Route { method, path, .. } = &route;
            let said = format!("{method} {path} as {scope:?}: {reply:?}");
            if route.scopes.contains(&scope) {
                assert!(reply.status != 401 && reply.status != 403, "{said}");
            } else {
                assert_eq!((reply.status, reply.problem().as_str()), (403, "forbidden"), "{said}");
            }
        }
    }
}

#[tokio::test]
async fn no_route_lets_a_key_or_token_of_another_customer_or_endpoint_in() {
    let server = Server::start().await;
    let keys = [
        ("another customer's token", server.token("other").await),
        ("a key of another customer", server.key(Scope::Operator, &["other"], &[]).await),
        ("a key of two others", server.key(Scope::Operator, &["other", "third"], &[]).await),
    ];
    let before = server.app.control.list_keys(None, 100).await.unwrap().len();
    for route in routes().into_iter().filter(|route| !route.is_everybodys) {
        for (what, key) in &keys {
            let reply = call(&server, &route, Some(&format!("Bearer {key}"))).await;
            let Route { method, path, .. } = &route;
            assert!(is_refused(&route, &reply), "{method} {path} with {what}: {reply:?}");
        }
    }
    assert_eq!(server.app.queue.depth().await.unwrap().pending, 0);
    assert_eq!(server.app.control.list_keys(None, 100).await.unwrap().len(), before);
}

#[tokio::test]
async fn a_customer_s_own_token_is_good_for_its_things_and_for_nothing_else() {
    let server = Server::start().await;
    let token = format!("Bearer {}", server.token("acme").await);
    for route in routes() {
        let reply = call(&server, &route, Some(&token)).await;
        let said = format!("{} {}: {reply:?}", route.method, route.path);
        if route.is_customers {
            assert!(reply.status != 401 && reply.status != 403, "{said}");
        } else {
            assert_eq!((reply.status, reply.problem().as_str()), (403, "forbidden"), "{said}");
        }
    }
}
