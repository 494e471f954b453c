use serde_json::{Value, json};

use super::browser::Browser;
use crate::dead_letters::give_up;
use crate::server::Server;

const ENDPOINTS: &str = "/v1/customers/acme/endpoints";
const ACME: &str = "/console/customers/acme";
const VALUE: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn at(rest: &str) -> String {
    format!("{ACME}{rest}")
}

#[tokio::test]
async fn an_endpoint_is_registered_with_its_credential_in_one_form() {
    let server = Server::start().await;
    let browser = Browser::operator(&server, &server.operator).await;
    let fields = [
        ("endpointId", "orders"),
        ("url", "https://acme.example/hook"),
        ("eventTypes", "order.*, paid"),
        ("auth", "standard_webhooks"),
        ("value", VALUE),
        ("limits.concurrency", "7"),
        ("more", r#"{"headers": {"x-a": "1"}}"#),
    ];
    let shown = browser.done(&at("/endpoints/new"), &fields).await;
    assert!(shown.contains("The endpoint is registered") && !shown.contains("MfKQ9r8"), "{shown}");
    let stored = server.call("GET", &format!("{ENDPOINTS}/orders"), Value::Null).await.is(200);
    assert_eq!(stored["auth"], json!([{"scheme": "standard_webhooks", "secret": "signing"}]));
    assert_eq!(
        (&stored["eventTypes"], &stored["headers"]),
        (&json!(["order.*", "paid"]), &json!({"x-a": "1"}))
    );
    assert_eq!(stored["limits"]["concurrency"], 7);
    let secret =
        server.call("GET", "/v1/customers/acme/secrets/signing", Value::Null).await.is(200);
    assert_eq!(secret["origins"], json!(["https://acme.example:443"]));
}

#[tokio::test]
async fn a_value_that_cannot_be_used_leaves_nothing_half_registered() {
    let server = Server::start().await;
    let browser = Browser::operator(&server, &server.operator).await;
    let fields = [
        ("endpointId", "orders"),
        ("url", "https://acme.example/hook"),
        ("auth", "standard_webhooks"),
        ("value", "whsec_not base64, CANARY"),
    ];
    let refused = browser.post(&at("/endpoints/new"), &fields).await;
    assert_eq!(refused.status, 422);
    assert!(refused.text.contains("id=\"e-value\"") || refused.text.contains("role=\"alert\""));
    assert!(refused.text.contains("value=\"https://acme.example/hook\""), "what was entered stays");
    assert!(!refused.text.contains("CANARY"), "{refused:?}");
    let listed = server.call("GET", ENDPOINTS, Value::Null).await.is(200);
    assert_eq!(listed["data"], json!([]));
    let listed = server.call("GET", "/v1/customers/acme/secrets", Value::Null).await.is(200);
    assert_eq!(listed["data"], json!([]));

    // The same for a name that is taken.
    let put = json!({"value": VALUE, "origins": ["https://acme.example"]});
    server.call("PUT", "/v1/customers/acme/secrets/signing", put).await.is(200);
    let fields = [&fields[..3], &[("value", VALUE)]].concat();
    let refused = browser.post(&at("/endpoints/new"), &fields).await;
    assert_eq!(refused.status, 422);
    assert!(refused.text.contains("id=\"e-secretId\""), "{refused:?}");
    let listed = server.call("GET", ENDPOINTS, Value::Null).await.is(200);
    assert_eq!(listed["data"], json!([]));
}

#[tokio::test]
async fn a_signing_secret_is_made_and_shown_once() {
    let server = Server::start().await;
    let browser = Browser::operator(&server, &server.operator).await;
    let fields = [
        ("endpointId", "orders"),
        ("url", "https://acme.example/hook"),
        ("auth", "standard_webhooks"),
        ("generate", "yes"),
    ];
    let shown = browser.post(&at("/endpoints/new"), &fields).await;
    assert_eq!(shown.status, 200, "{shown:?}");
    let made = shown.text.split("whsec_").nth(1).unwrap().split('<').next().unwrap().to_owned();
    assert!(made.len() > 40, "{made}");
    for page in ["", "/endpoints/orders", "/endpoints/orders/edit", "/secrets", "/secrets/signing"]
    {
        assert!(!browser.page(&at(page)).await.contains(&made), "{page}");
    }
}

#[tokio::test]
async fn what_is_wrong_stands_at_its_field_with_what_was_entered() {
    let server = Server::start().await;
    let browser = Browser::operator(&server, &server.operator).await;
    for (field, text, marked) in [
        ("url", "ftp://acme.example", "url"),
        ("url", "http://10.0.0.1/", "url"),
        ("endpointId", "a/b", "endpointId"),
        ("timeout", "soon", "timeout"),
        ("limits.concurrency", "0", "limits.concurrency"),
        ("eventTypes", "a*b", "eventTypes"),
        ("more", "{", "more"),
    ] {
        let mut fields = vec![("url", "https://acme.example/hook"), (field, text)];
        fields.reverse();
        let refused = browser.post(&at("/endpoints/new"), &fields).await;
        assert!([400, 422].contains(&refused.status), "{field}: {refused:?}");
        let error = format!("id=\"e-{marked}\"");
        assert!(refused.text.contains(&error), "{field}={text}: {}", refused.text);
        assert!(refused.text.contains("aria-invalid=\"true\""), "{field}");
        assert!(refused.text.contains(&text.replace('"', "&quot;")), "{field}");
    }
    // What has no field is told above them.
    let fields =
        [("url", "https://acme.example/hook"), ("more", r#"{"tls": {"minVersion": "1.1"}}"#)];
    let refused = browser.post(&at("/endpoints/new"), &fields).await;
    assert!(refused.text.contains("tls.minVersion"), "{}", refused.text);
}

#[tokio::test]
async fn an_endpoint_is_edited_over_the_version_that_was_seen() {
    let server = Server::start().await;
    let browser = Browser::operator(&server, &server.operator).await;
    let new = json!({"endpointId": "orders", "url": "https://acme.example/a",
        "headers": {"x-a": {"secret": "k"}}, "retry": {"preset": "svix", "maxAttempts": 3}});
    server.call("POST", ENDPOINTS, new).await.is(201);
    let form = browser.page(&at("/endpoints/orders/edit")).await;
    assert!(
        form.contains("name=\"version\" value=\"1\"") && form.contains("maxAttempts"),
        "{form}"
    );
    let fields = [
        ("version", "1"),
        ("url", "https://acme.example/b"),
        ("retry.preset", "svix"),
        ("more", r#"{"headers": {"x-a": {"secret": "k"}}, "retry": {"maxAttempts": 3}}"#),
    ];
    assert!(browser.done(&at("/endpoints/orders/edit"), &fields).await.contains("Saved."));
    let stored = server.call("GET", &format!("{ENDPOINTS}/orders"), Value::Null).await.is(200);
    assert_eq!((&stored["url"], &stored["version"]), (&json!("https://acme.example/b"), &json!(2)));
    assert_eq!(stored["retry"], json!({"preset": "svix", "maxAttempts": 3}));
    let late = browser.post(&at("/endpoints/orders/edit"), &fields).await;
    assert_eq!(late.status, 412);
    assert!(late.text.contains("version 2"), "{}", late.text);
}

#[tokio::test]
async fn an_endpoint_is_paused_enabled_disabled_and_removed() {
    let server = Server::start().await;
    let browser = Browser::operator(&server, &server.operator).await;
    let new = json!({"endpointId": "orders", "url": "https://acme.example/a"});
    server.call("POST", ENDPOINTS, new).await.is(201);
    let orders = at("/endpoints/orders");
    let paused = browser.done(&format!("{orders}/pause"), &[("for", "1h")]).await;
    assert!(paused.contains(">paused<") && paused.contains("in 1 h"), "{paused}");
    let enabled = browser.done(&format!("{orders}/enable"), &[]).await;
    assert!(enabled.contains(">active<"), "{enabled}");
    let disabled = browser.done(&format!("{orders}/disable"), &[]).await;
    assert!(disabled.contains(">disabled<"), "{disabled}");
    assert!(browser.done(&format!("{orders}/enable"), &[]).await.contains(">active<"));
    let removed = browser.done(&format!("{orders}/delete"), &[]).await;
    assert!(removed.contains("No endpoint yet"), "{removed}");
    assert_eq!(browser.get(&orders).await.status, 404);
}

#[tokio::test]
async fn a_secret_is_stored_rotated_rolled_back_and_removed_and_never_shown() {
    let server = Server::start().await;
    let browser = Browser::operator(&server, &server.operator).await;
    let fields = [("secretId", "key"), ("value", "CANARY-1"), ("origins", "https://acme.example")];
    assert!(browser.done(&at("/secrets/new"), &fields).await.contains("/secrets/key\""));
    let again = browser.post(&at("/secrets/new"), &fields).await;
    assert!(again.status == 422 && again.text.contains("id=\"e-secretId\""), "{again:?}");
    let key = at("/secrets/key");
    let rotated = browser.done(&format!("{key}/rotate"), &[("value", "CANARY-2")]).await;
    assert!(rotated.contains(">previous<") && rotated.contains(">current<"), "{rotated}");
    let wrong = [("value", "CANARY-3"), ("overlap", "CANARY-4")];
    let refused = browser.post(&format!("{key}/rotate"), &wrong).await;
    assert!(refused.status == 422 && refused.text.contains("id=\"e-overlap\""), "{refused:?}");
    assert!(!refused.text.contains("CANARY-3"), "{refused:?}");
    let back = browser.done(&format!("{key}/rollback"), &[("to", "1")]).await;
    assert!(back.contains("The older value is in use again"), "{back}");
    assert!(!format!("{rotated}{back}").contains("CANARY"));
    assert!(browser.done(&format!("{key}/delete"), &[]).await.contains("No secret yet"));
    let own = browser.get(&at("/secrets/sealpost:tenant-key")).await;
    assert_eq!(own.status, 404, "what the program keeps among them is not there");
}

#[tokio::test]
async fn dead_letters_are_found_planned_and_replayed() {
    let server = Server::start().await;
    let browser = Browser::operator(&server, &server.operator).await;
    for (id, endpoint) in [("dl_1", "orders"), ("dl_2", "invoices"), ("dl_3", "orders")] {
        give_up(&server, id, "acme", endpoint).await;
    }
    let found = browser.page(&at("/dead-letters?endpointId=orders&reason=&phase=")).await;
    assert!(found.contains("dl_1") && found.contains("dl_3") && !found.contains("dl_2"), "{found}");
    assert!(found.contains("/replays/new?endpointId=orders\""), "{found}");
    let none = browser.page(&at("/dead-letters?since=2027-02-01T10:00")).await;
    assert!(none.contains("No dead letter matches"), "{none}");
    let planned = browser.page(&at("/replays/new?endpointId=orders")).await;
    assert!(planned.contains("Send 2 again") && planned.contains("too_old"), "{planned}");
    assert_eq!(server.app.queue.depth().await.unwrap().pending, 0, "looking sends nothing");
    let refused = browser.post(&at("/replays"), &[("endpointId", "orders"), ("rate", "0")]).await;
    assert!(refused.status == 422 && refused.text.contains("id=\"e-rate\""), "{refused:?}");
    let shown = browser.done(&at("/replays"), &[("endpointId", "orders")]).await;
    assert!(shown.contains("0 of 2 sent again") && shown.contains("/pause\""), "{shown}");
    let path = shown.split("action=\"").find(|part| part.contains("/pause\"")).unwrap();
    let path = path.split("/pause\"").next().unwrap().to_owned();
    assert!(browser.done(&format!("{path}/pause"), &[]).await.contains(">paused<"));
    assert!(browser.done(&format!("{path}/resume"), &[]).await.contains(">running<"));
    let cancelled = browser.done(&format!("{path}/cancel"), &[]).await;
    assert!(cancelled.contains(">cancelled<") && !cancelled.contains("/resume\""), "{cancelled}");
    let one = browser.done(&at("/dead-letters/dl_2/replay"), &[]).await;
    assert!(one.contains("Sent again") && !one.contains("dl_2"), "{one}");
    assert_eq!(server.app.queue.depth().await.unwrap().pending, 1);
}

#[tokio::test]
async fn a_key_is_made_shown_once_and_revoked() {
    let server = Server::start().await;
    let browser = Browser::operator(&server, &server.operator).await;
    let fields = [("name", "billing"), ("scope", "read_only"), ("customers", "acme, globex")];
    let made = browser.post("/console/keys", &fields).await;
    let text = made.text.split("<code id=\"made\">").nth(1).unwrap().split('<').next().unwrap();
    server.call_as(text, "GET", ENDPOINTS, Value::Null).await.is(200);
    let listed = browser.page("/console/keys").await;
    assert!(listed.contains("acme, globex") && !listed.contains(&text[24..]), "{listed}");
    let id = format!("key_{}", &text["sp_".len()..][..20]);
    let revoked = browser.done(&format!("/console/keys/{id}/revoke"), &[]).await;
    assert!(revoked.contains(">revoked<"), "{revoked}");
    assert_eq!(server.call_as(text, "GET", ENDPOINTS, Value::Null).await.status, 401);
    let fields = [("name", "x"), ("scope", "operator"), ("expiresIn", "long")];
    let refused = browser.post("/console/keys", &fields).await;
    assert!(refused.status == 422 && refused.text.contains("id=\"e-expiresIn\""), "{refused:?}");
}

#[tokio::test]
async fn a_link_opens_the_customer_s_page_and_is_shown_once() {
    let server = Server::start().await;
    let browser = Browser::operator(&server, &server.operator).await;
    let made = browser.post(&at("/access"), &[("expiresIn", "1h")]).await;
    let link = made.text.split("<code id=\"made\">").nth(1).unwrap().split('<').next().unwrap();
    let (page, token) = link.split_once('#').unwrap();
    assert!(page.ends_with("/customer/enter"), "{page}");
    let customer = Browser::customer(&server, token).await;
    assert!(customer.page("/customer").await.contains("Webhooks of <strong>acme</strong>"));
    let refused = browser.post(&at("/access"), &[("expiresIn", "9days")]).await;
    assert!(refused.status == 422 && refused.text.contains("id=\"e-expiresIn\""), "{refused:?}");
}
