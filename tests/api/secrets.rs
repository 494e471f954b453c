use sealpost::domain::endpoint::Endpoint;
use sealpost::registration::put_endpoint;
use serde_json::{Value, json};

use crate::server::Server;

const SIGNING: &str = "/v1/customers/acme/secrets/signing";
const CANARY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn signing() -> Value {
    json!({"value": CANARY, "origins": ["https://acme.example"]})
}

#[tokio::test]
async fn a_secret_is_put_rotated_rolled_back_and_removed_and_its_value_never_comes_back() {
    let server = Server::start().await;
    let mut said = Vec::new();
    let mut note = |reply: crate::server::Reply, status| {
        said.push(format!("{:?}", reply.headers));
        said.push(reply.text.clone());
        reply.is(status)
    };
    let put = note(server.call("PUT", SIGNING, signing()).await, 200);
    assert_eq!((&put["version"], &put["sealing"]), (&json!(1), &json!("envelope")));
    assert_eq!(put["origins"], json!(["https://acme.example:443"]));
    let rotate = format!("{SIGNING}/rotate");
    let value = json!({"value": format!("{CANARY}2")});
    let rotated = note(server.call("POST", &rotate, value).await, 200);
    assert_eq!((&rotated["version"], &rotated["previousVersion"]), (&json!(2), &json!(1)));
    let standings: Vec<&Value> =
        rotated["versions"].as_array().unwrap().iter().map(|v| &v["standing"]).collect();
    assert_eq!(standings, ["current", "previous"]);
    let back = json!({"to": 1});
    let back = note(server.call("POST", &format!("{SIGNING}/rollback"), back).await, 200);
    assert_eq!(back["version"], 1);
    note(server.call("GET", SIGNING, Value::Null).await, 200);
    let listed = note(server.call("GET", "/v1/customers/acme/secrets", Value::Null).await, 200);
    assert_eq!(listed["data"][0]["secretId"], "signing");
    assert_eq!(server.call("DELETE", SIGNING, Value::Null).await.status, 204);
    assert_eq!(server.call("GET", SIGNING, Value::Null).await.problem(), "not_found");
    for text in said {
        assert!(!text.contains(&CANARY[6..]), "{text}");
    }
}

#[tokio::test]
async fn the_api_looks_at_no_value_that_is_sealed() {
    let server = Server::start().await;
    let put = json!({"value": "no key of the scheme", "origins": ["https://acme.example"]});
    server.call("PUT", SIGNING, put).await.is(200);
    let endpoint = json!({"customerId": "acme", "endpointId": "orders",
                          "url": "https://acme.example/hook",
                          "auth": [{"scheme": "standard_webhooks", "secret": "signing"}]});
    // Whoever can open it says so.
    let opening = Endpoint::from_json(&endpoint.to_string()).unwrap();
    assert!(put_endpoint(&server.app, opening, None).await.is_err());
    server.call("POST", "/v1/customers/acme/endpoints", endpoint).await.is(201);
}

#[tokio::test]
async fn what_was_put_opens_in_the_vault_of_the_worker() {
    let server = Server::start().await;
    server.call("PUT", SIGNING, signing()).await.is(200);
    let (customer, id) = ("acme".parse().unwrap(), "signing".parse().unwrap());
    let open = server.app.vault.open(&customer, &id).await.unwrap();
    let origins = ["https://acme.example".parse().unwrap()];
    let values = open.values_for(&origins, server.app.clock.now()).unwrap();
    assert_eq!(values[0].expose(), CANARY.as_bytes());
}

#[tokio::test]
async fn a_value_is_checked_with_the_endpoints_that_name_it_and_no_problem_repeats_it() {
    let server = Server::start().await;
    let endpoint = json!({"endpointId": "orders", "url": "https://acme.example/hook",
                          "auth": [{"scheme": "standard_webhooks", "secret": "signing"}]});
    server.call("POST", "/v1/customers/acme/endpoints", endpoint).await.is(201);
    let bad = "CANARY is no key of this scheme";
    let put = json!({"value": bad, "origins": ["https://acme.example"]});
    let refused = server.call("PUT", SIGNING, put).await;
    assert_eq!((refused.status, refused.problem().as_str()), (422, "validation_failed"));
    assert!(refused.path().starts_with("endpoint orders.auth[0]"), "{refused:?}");
    assert!(!refused.text.contains("CANARY"), "{refused:?}");
    for body in
        ["\"CANARY\"", "{\"value\": CANARY}", "{\"CANARY\": 1}", "{\"value\": [\"CANARY\"]}"]
    {
        let authorization = format!("Bearer {}", server.operator);
        let headers = [("authorization", authorization.as_str())];
        let refused = server.send("PUT", SIGNING, &headers, body.into()).await;
        assert!(!refused.text.contains("CANARY"), "{refused:?}");
        refused.problem();
    }
}

#[tokio::test]
async fn an_endpoint_is_refused_a_stored_key_that_its_scheme_cannot_use_without_opening_it() {
    let server = Server::start().await;
    let key = |name: &str| {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(root.join("fixtures/keys").join(name)).unwrap()
    };
    let put = json!({"value": key("p256.pem"), "origins": ["https://acme.example"]});
    server.call("PUT", SIGNING, put).await.is(200);
    let endpoint = |auth: Value| json!({"url": "https://acme.example/hook", "auth": [auth]});
    let path = "/v1/customers/acme/endpoints/orders";
    for (auth, says) in [
        (json!({"scheme": "jwt", "algorithm": "RS256", "secret": "signing"}), "needs an RSA key"),
        (json!({"scheme": "standard_webhooks", "secret": "signing"}), "EC P-256"),
        (json!({"scheme": "mtls", "secret": "signing"}), "without a certificate"),
    ] {
        let refused = server.call("PUT", path, endpoint(auth)).await;
        let (code, at) = (refused.problem(), refused.path());
        assert_eq!((code.as_str(), at.as_str()), ("validation_failed", "auth[0]"), "{refused:?}");
        assert!(refused.text.contains(says), "{refused:?}");
    }
    let fits = json!({"scheme": "jwt", "algorithm": "ES256", "secret": "signing"});
    server.call("PUT", path, endpoint(fits)).await.is(200);
}

#[tokio::test]
async fn an_endpoint_elsewhere_is_refused_a_secret_that_may_not_go_there() {
    let server = Server::start().await;
    server.call("PUT", SIGNING, signing()).await.is(200);
    let endpoint = json!({"endpointId": "orders", "url": "https://other.example/hook",
                          "auth": [{"scheme": "standard_webhooks", "secret": "signing"}]});
    let refused = server.call("POST", "/v1/customers/acme/endpoints", endpoint).await;
    assert_eq!((refused.problem().as_str(), refused.path().as_str()), ("validation_failed", "url"));
}

#[tokio::test]
async fn of_two_who_change_the_same_secret_the_second_is_told() {
    let server = Server::start().await;
    let if_none = ("if-none-match", "*");
    server.call_with(if_none, "PUT", SIGNING, signing()).await.is(200);
    let again = server.call_with(if_none, "PUT", SIGNING, signing()).await;
    assert_eq!((again.status, again.problem().as_str()), (412, "precondition_failed"));
    let rotate = format!("{SIGNING}/rotate");
    let value = json!({"value": CANARY, "overlap": "0s"});
    let over_one = ("if-match", "\"1\"");
    let rotated = server.call_with(over_one, "POST", &rotate, value.clone()).await;
    assert_eq!(rotated.is(200)["previousVersion"], Value::Null);
    assert_eq!(rotated.header("etag"), "\"2\"");
    assert_eq!(server.call_with(over_one, "POST", &rotate, value).await.status, 412);
    for (to, code) in [(2, "conflict"), (7, "not_found")] {
        let back = server.call("POST", &format!("{SIGNING}/rollback"), json!({"to": to})).await;
        assert_eq!(back.problem(), code);
    }
    let missing = "/v1/customers/acme/secrets/missing/rotate";
    let rotated = server.call("POST", missing, json!({"value": "k"})).await;
    assert_eq!(rotated.problem(), "not_found");
}

/// Removing its tenant key would lose everything that was sealed to it.
#[tokio::test]
async fn what_the_program_keeps_among_a_customer_s_secrets_is_not_there_for_anybody() {
    let server = Server::start().await;
    let customer = "acme".parse().unwrap();
    server.app.vault.create_tenant_key(&customer).await.unwrap();
    let kept = server.app.secrets.list(Some(&customer)).await.unwrap();
    let secret = format!("/v1/customers/acme/secrets/{}", kept[0].1);
    for (method, path, body) in [
        ("GET", secret.clone(), Value::Null),
        ("PUT", secret.clone(), signing()),
        ("POST", format!("{secret}/rotate"), json!({"value": "k"})),
        ("POST", format!("{secret}/rollback"), json!({"to": 1})),
        ("DELETE", secret, Value::Null),
    ] {
        let refused = server.call(method, &path, body).await;
        assert_eq!(refused.problem(), "invalid_request", "{method} {path}");
    }
    let listed = server.call("GET", "/v1/customers/acme/secrets", Value::Null).await.is(200);
    assert_eq!(listed["data"], json!([]));
    assert_eq!(server.app.secrets.list(Some(&customer)).await.unwrap(), kept);
}
