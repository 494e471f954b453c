//! Customers as a whole.

use sealpost::domain::access::Scope;
use serde_json::{Value, json};

use crate::dead_letters::give_up;
use crate::server::Server;

const CUSTOMERS: &str = "/v1/customers";
const ACME: &str = "/v1/customers/acme";

async fn furnish(server: &Server, customer: &str) {
    let secret = json!({"value": "canary-value", "origins": ["https://acme.example"]});
    server.call("PUT", &format!("{CUSTOMERS}/{customer}/secrets/s"), secret).await.is(200);
    let endpoint = json!({"url": "https://acme.example/hook",
                          "auth": [{"scheme": "bearer", "secret": "s"}]});
    server.call("PUT", &format!("{CUSTOMERS}/{customer}/endpoints/e"), endpoint).await.is(200);
}

#[tokio::test]
async fn customers_come_in_pages_to_keys_that_may_see_all_of_them() {
    let server = Server::start().await;
    for customer in ["acme", "globex", "initech"] {
        furnish(&server, customer).await;
    }
    let first = server.call("GET", &format!("{CUSTOMERS}?limit=2"), Value::Null).await.is(200);
    assert_eq!(first["data"], json!([{"customerId": "acme"}, {"customerId": "globex"}]));
    let next = format!("{CUSTOMERS}?limit=2&cursor={}", first["nextCursor"].as_str().unwrap());
    let last = server.call("GET", &next, Value::Null).await.is(200);
    assert_eq!(last, json!({"data": [{"customerId": "initech"}]}));
    for limited in [
        server.key(Scope::Operator, &["acme"], &[]).await,
        server.key(Scope::ReadOnly, &[], &["e"]).await,
        server.token("acme").await,
    ] {
        let refused = server.call_as(&limited, "GET", CUSTOMERS, Value::Null).await;
        assert_eq!(refused.problem(), "forbidden");
    }
    let reader = server.key(Scope::ReadOnly, &[], &[]).await;
    server.call_as(&reader, "GET", CUSTOMERS, Value::Null).await.is(200);
}

#[tokio::test]
async fn a_customer_is_shown_with_the_names_of_what_it_has_to_itself_too() {
    let server = Server::start().await;
    assert_eq!(server.call("GET", ACME, Value::Null).await.problem(), "not_found");
    furnish(&server, "acme").await;
    server.app.vault.create_tenant_key(&"acme".parse().unwrap()).await.unwrap();
    let token = server.token("acme").await;
    let shown = server.call_as(&token, "GET", ACME, Value::Null).await.is(200);
    let endpoint = json!({"endpointId": "e", "enabled": true, "health": {"state": "active"}});
    assert_eq!((&shown["endpoints"], &shown["endpointCount"]), (&json!([endpoint]), &json!(1)));
    assert_eq!((&shown["secrets"], &shown["secretCount"]), (&json!(["s"]), &json!(1)));
    assert_eq!(shown["tenantKey"]["state"], "usable");
    assert!(!shown.to_string().contains("canary"), "{shown}");
}

const TENANT_KEY: &str = "/v1/customers/acme/tenant-key";

#[tokio::test]
async fn a_tenant_key_is_made_once_rotated_and_shown_without_its_private_half() {
    let server = Server::start().await;
    assert_eq!(server.call("GET", TENANT_KEY, Value::Null).await.problem(), "not_found");
    let rotate = format!("{TENANT_KEY}/rotate");
    assert_eq!(server.call("POST", &rotate, Value::Null).await.problem(), "conflict");
    let made = server.call("POST", TENANT_KEY, Value::Null).await.is(201);
    assert_eq!((&made["state"], &made["generation"]), (&json!("usable"), &json!(1)));
    assert_eq!(server.call("POST", TENANT_KEY, Value::Null).await.problem(), "conflict");
    let rotated = server.call("POST", &rotate, Value::Null).await.is(200);
    assert_eq!(rotated["generation"], 2);
    assert_ne!(rotated["publicKey"], made["publicKey"]);
    let token = server.token("acme").await;
    let shown = server.call_as(&token, "GET", TENANT_KEY, Value::Null).await.is(200);
    assert_eq!(shown, rotated);
    let members: Vec<&String> = shown.as_object().unwrap().keys().collect();
    assert_eq!(members, ["at", "generation", "publicKey", "state"]);
}

#[tokio::test]
async fn a_tenant_key_is_shredded_only_when_the_customer_is_named_again() {
    let server = Server::start().await;
    let shred = |confirm: &str| format!("{TENANT_KEY}?confirm={confirm}");
    assert_eq!(server.call("DELETE", &shred("acme"), Value::Null).await.problem(), "conflict");
    server.call("POST", TENANT_KEY, Value::Null).await.is(201);
    for (wrong, code) in [
        (TENANT_KEY.to_owned(), "invalid_request"),
        (shred("globex"), "validation_failed"),
        (shred(""), "validation_failed"),
    ] {
        assert_eq!(server.call("DELETE", &wrong, Value::Null).await.problem(), code, "{wrong}");
    }
    let token = server.token("acme").await;
    let refused = server.call_as(&token, "DELETE", &shred("acme"), Value::Null).await;
    assert_eq!(refused.problem(), "forbidden");
    let there = server.call("GET", TENANT_KEY, Value::Null).await.is(200);
    assert_eq!(there["state"], "usable");
    let shredded = server.call("DELETE", &shred("acme"), Value::Null).await.is(200);
    assert_eq!((&shredded["state"], &shredded["publicKey"]), (&json!("shredded"), &Value::Null));
    let anew = server.call("POST", TENANT_KEY, Value::Null).await.is(201);
    assert_eq!(anew["state"], "usable");
    assert_ne!(anew["publicKey"], there["publicKey"]);
}

#[tokio::test]
async fn an_erased_customer_s_keys_and_tokens_are_refused_at_once_and_what_stays_is_told() {
    let server = Server::start().await;
    furnish(&server, "acme").await;
    furnish(&server, "globex").await;
    let token = server.token("acme").await;
    let (own, own_key) = server.full_key(Scope::Operator, &["acme"], &[]).await;
    let (shared, both) = server.full_key(Scope::Operator, &["acme", "globex"], &[]).await;
    for key in [&token, &own_key, &both] {
        server.call_as(key, "GET", ACME, Value::Null).await.is(200);
        let refused = server.call_as(key, "DELETE", ACME, Value::Null).await;
        assert_eq!(refused.problem(), "forbidden");
    }
    let erased = server.call("DELETE", ACME, Value::Null).await.is(200);
    assert_eq!((&erased["complete"], &erased["removed"]["keys"]), (&json!(true), &json!(1)));
    for key in [&token, &own_key] {
        assert_eq!(server.call_as(key, "GET", ACME, Value::Null).await.status, 401);
    }
    assert_eq!(server.call("GET", ACME, Value::Null).await.problem(), "not_found");
    let left = erased["left"].as_array().unwrap();
    let of = |what: &str| left.iter().find(|left| left["what"] == what).unwrap().clone();
    assert!(of("keys")["detail"].as_str().unwrap().contains(&shared.id), "{erased}");
    assert!(!of("keys")["detail"].as_str().unwrap().contains(&own.id));
    assert!(of("caches")["until"].is_string() && of("jobs")["until"].is_null(), "{erased}");
    server.call_as(&both, "GET", &format!("{CUSTOMERS}/globex"), Value::Null).await.is(200);
    let again = server.call("DELETE", ACME, Value::Null).await.is(200);
    assert!(again["removed"].as_object().unwrap().values().all(|count| count == 0), "{again}");
}

#[tokio::test]
async fn a_customer_with_dead_letters_is_erased_when_their_number_is_named() {
    let server = Server::start().await;
    furnish(&server, "acme").await;
    give_up(&server, "dl_1", "acme", "e").await;
    let refused = server.call("DELETE", ACME, Value::Null).await;
    assert_eq!((refused.status, refused.problem().as_str()), (409, "conflict"));
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("1 dead letters") && detail.contains("?purge=1"), "{detail}");
    server.call("GET", ACME, Value::Null).await.is(200);
    let bad = server.call("DELETE", &format!("{ACME}?purge=all"), Value::Null).await;
    assert_eq!(bad.problem(), "invalid_request");
    let erased = server.call("DELETE", &format!("{ACME}?purge=1"), Value::Null).await.is(200);
    assert_eq!(erased["removed"]["deadLetters"], 1);
    assert_eq!(server.app.queue.depth().await.unwrap().dead, 0);
}
