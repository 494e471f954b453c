use sealpost::domain::access::Scope;
use serde_json::{Value, json};

use super::browser::Browser;
use super::routes;
use crate::dead_letters::give_up;
use crate::server::Server;

async fn server() -> Server {
    let server = Server::start().await;
    for (customer, endpoint) in [("acme", "orders"), ("acme", "invoices"), ("globex", "orders")] {
        let path = format!("/v1/customers/{customer}/endpoints");
        let url = format!("https://{customer}-own.example/{endpoint}");
        server.call("POST", &path, json!({"endpointId": endpoint, "url": url})).await.is(201);
    }
    for (id, customer) in [("orders", "acme"), ("dl_2", "globex")] {
        give_up(&server, id, customer, "orders").await;
    }
    let put = json!({"value": "k", "origins": ["https://acme.example"]});
    for (customer, secret) in [("acme", "orders"), ("globex", "globex-secret")] {
        let path = format!("/v1/customers/{customer}/secrets/{secret}");
        server.call("PUT", &path, put.clone()).await.is(200);
    }
    server
}

/// The forms of a page that do more than to sign out or to search.
fn forms(page: &str) -> usize {
    page.matches("method=\"post\"").count() - page.matches("/logout\"").count()
}

#[tokio::test]
async fn who_may_only_look_sees_no_buttons_and_is_refused() {
    let server = server().await;
    let looker = server.key(Scope::ReadOnly, &[], &[]).await;
    let browser = Browser::operator(&server, &looker).await;
    for route in routes::of_operator() {
        if route.path == "/console/logout" {
            continue;
        }
        if route.method == "POST" {
            let reply = browser.post(&route.path, &[]).await;
            assert_eq!(reply.status, 403, "{route:?}: {reply:?}");
            continue;
        }
        let reply = browser.get(&route.path).await;
        assert!([200, 303, 403, 404].contains(&reply.status), "{route:?}: {reply:?}");
        assert_eq!(forms(&reply.text), 0, "{route:?}: {reply:?}");
        for word in ["Add endpoint", "Plan a replay", "Make a key", "Make a link"] {
            assert!(!reply.text.contains(&format!(">{word}<")), "{route:?} has {word}");
        }
    }
    assert!(
        browser.page("/console/customers/acme/endpoints/orders").await.contains("acme-own.example")
    );
}

#[tokio::test]
async fn a_key_of_one_customer_comes_to_no_other_and_to_no_keys() {
    let server = server().await;
    let key = server.key(Scope::Operator, &["globex"], &[]).await;
    let browser = Browser::operator(&server, &key).await;
    for route in routes::of_operator().into_iter().filter(|r| r.path.contains("/acme")) {
        let reply = match route.method {
            "GET" => browser.get(&route.path).await,
            _ => browser.post(&route.path, &[]).await,
        };
        // Of others' dead letters, deliveries and replays it is not told whether they are there.
        assert!([403, 404].contains(&reply.status), "{route:?}: {reply:?}");
        assert!(!reply.text.contains("acme-own.example"), "{route:?}: {reply:?}");
    }
    for path in ["/console/keys", "/console/keys/key_1/revoke"] {
        let reply = browser.post(path, &[("name", "k"), ("scope", "operator")]).await;
        assert_eq!(reply.status, 403, "{path}");
    }
    let customers = browser.page("/console/customers").await;
    assert!(customers.contains("/globex\"") && !customers.contains("acme"), "{customers}");
    assert!(!customers.contains("/console/keys"), "what one may not see is not offered");
    assert_eq!(browser.get("/console").await.header("location"), "/console/customers");
    let letters = browser.page("/console/dead-letters").await;
    assert!(letters.contains("dl_2") && !letters.contains("acme"), "{letters}");
    let others = browser.get("/console/dead-letters?customerId=acme").await;
    assert_eq!(others.status, 403);
}

#[tokio::test]
async fn a_key_of_one_endpoint_comes_to_no_other_and_to_no_secrets() {
    let server = server().await;
    let key = server.key(Scope::Operator, &["acme"], &["invoices"]).await;
    let browser = Browser::operator(&server, &key).await;
    let acme = |rest: &str| format!("/console/customers/acme{rest}");
    let listed = browser.page(&acme("")).await;
    assert!(listed.contains("invoices") && !listed.contains("/orders\""), "{listed}");
    assert!(!listed.contains("/secrets\""), "{listed}");
    for refused in
        ["/endpoints/orders", "/endpoints/orders/edit", "/secrets", "/secrets/new", "/access"]
    {
        assert_eq!(browser.get(&acme(refused)).await.status, 403, "{refused}");
    }
    browser.page(&acme("/endpoints/invoices/edit")).await;
    assert!(browser.page(&acme("/deliveries")).await.contains("Which endpoint?"));
    assert!(browser.page(&acme("/dead-letters")).await.contains("Which endpoint?"));
    browser.page(&acme("/deliveries?endpointId=invoices")).await;
    assert_eq!(browser.get(&acme("/deliveries?endpointId=orders")).await.status, 403);
    let begun = browser.post(&acme("/replays"), &[]).await;
    assert_eq!(begun.status, 403, "all of the customer's are not its own: {begun:?}");
}

#[tokio::test]
async fn a_customer_sees_its_own_and_nothing_of_others() {
    let server = server().await;
    let browser = Browser::customer(&server, &server.token("globex").await).await;
    for route in routes::of_customer() {
        if route.path == "/customer/logout" {
            continue;
        }
        let reply = match route.method {
            "GET" => browser.get(&route.path).await,
            _ => browser.post(&route.path, &[]).await,
        };
        assert!(reply.status != 401 && reply.status != 500, "{route:?}: {reply:?}");
        assert!(!reply.text.contains("acme-own.example"), "{route:?}: {reply:?}");
        assert!(!reply.text.contains("/console/c"), "{route:?} leads to the console: {reply:?}");
    }
    // Endpoint and secret of the others, whose names are the same or are known.
    let kept = server.call("GET", "/v1/customers/acme/endpoints/orders", Value::Null).await.is(200);
    assert_eq!(kept["url"], "https://acme.example/orders");
    assert!(browser.get("/customer/dead-letters/orders").await.status == 404);
    assert!(browser.post("/customer/dead-letters/orders/replay", &[]).await.status == 404);
    assert!(browser.page("/customer/dead-letters/dl_2").await.contains("Send again"));
}
