//! What customers and receivers write is shown as they wrote it, and does nothing.

use std::time::Duration;

use sealpost::access::issue_key;
use sealpost::domain::access::{Grant, Scope};
use sealpost::domain::dead_letter::DeadLetter;
use sealpost::domain::decide::Disposition;
use sealpost::domain::delivery::DeliveryKey;
use sealpost::domain::delivery_record::{AttemptRow, DeliveryRecord, RecordedAttempt};
use sealpost::domain::endpoint::{Health, Method};
use sealpost::domain::outcome::{Attempt, AttemptOutcome};
use sealpost::domain::reason::Reason;
use sealpost::domain::request::OutboundRequest;
use sealpost::domain::shown_request::ShownRequest;
use sealpost::ports::queue::NewMessage;
use serde_json::json;

use super::browser::Browser;
use super::routes;
use crate::letter::letter;
use crate::server::Server;

/// It would run in text, out of an attribute, out of a script and as a link.
const HOSTILE: &str =
    "\"'><script>alert(1)</script><img src=x onerror=alert(2)>javascript:alert(3)&lt;";

/// A server where everything that somebody else can write is hostile.
async fn server() -> Server {
    let server = Server::start().await;
    let path = "/v1/customers/acme/endpoints";
    let endpoint = json!({
        "endpointId": "orders", "url": "https://acme.example/'\"><script>alert(1)</script>",
        "eventTypes": [HOSTILE], "headers": {"x-a": HOSTILE}, "query": {HOSTILE: HOSTILE},
        "auth": [{"scheme": "basic", "username": HOSTILE.replace(':', ""), "secret": "orders"}],
    });
    server.call("POST", path, endpoint).await.is(201);
    let secret = json!({"value": "CANARY-value", "origins": ["https://acme.example"]});
    server.call("PUT", "/v1/customers/acme/secrets/orders", secret).await.is(200);
    let (customer, id) = ("acme".parse().unwrap(), "orders".parse().unwrap());
    let health = Health::Disabled { why: HOSTILE.to_owned() };
    assert!(server.app.health.set(&customer, &id, 1, &health).await.unwrap());
    let operator = Grant::Operator { scope: Scope::Operator, customers: None, endpoints: None };
    issue_key(&server.app, HOSTILE.to_owned(), operator, None).await.unwrap();
    give_up(&server).await;
    keep(&server).await;
    let job = json!({"endpointId": "orders", "eventType": HOSTILE});
    server.call("POST", "/v1/customers/acme/replays", job).await.is(202);
    server
}

fn attempt(server: &Server) -> Attempt {
    Attempt {
        number: 1,
        at: server.app.clock.now(),
        duration_ms: 7,
        address: Some(HOSTILE.to_owned()),
        outcome: AttemptOutcome::Answered { status: 500, retry_after_ms: None, never_again: false },
        detail: HOSTILE.to_owned(),
    }
}

async fn give_up(server: &Server) {
    let message = NewMessage { body: "{}".into(), ..NewMessage::default() };
    server.app.queue.send(vec![message]).await.unwrap();
    let received = server.app.queue.receive(1, Duration::ZERO).await.unwrap().remove(0);
    let letter = DeadLetter {
        customer_id: Some("acme".parse().unwrap()),
        endpoint_id: Some("orders".parse().unwrap()),
        job_id: Some("\"><script>alert(1)</script>".parse().unwrap()),
        event_type: Some(HOSTILE.to_owned()),
        message: HOSTILE.to_owned(),
        history: vec![attempt(server)],
        ..letter("orders", &received)
    };
    server.app.queue.dead_letter(&received.handle, &letter, None).await.unwrap();
    server.app.deliveries.put_dead_letter(&letter).await.unwrap();
}

async fn keep(server: &Server) {
    let at = server.app.clock.now();
    let key = DeliveryKey {
        customer_id: "acme".parse().unwrap(),
        endpoint_id: "orders".parse().unwrap(),
        job_id: "\"><script>alert(1)</script>".parse().unwrap(),
        round: 1,
        message_id: HOSTILE.to_owned(),
    };
    let then = Disposition::DeadLetter(Reason::Rejected);
    let attempt = attempt(server);
    let header = DeliveryRecord::after(&key, Some(HOSTILE.to_owned()), at, &attempt, then);
    let url = "https://acme.example/".parse().unwrap();
    let request = OutboundRequest::new(Method::Post, url, HOSTILE.as_bytes().to_vec().into());
    let mut attempt = AttemptRow::new(attempt, &ShownRequest::without_body(&request));
    // Cut off in the middle, it is shown as it is.
    attempt.request += HOSTILE;
    let until = at.plus(Duration::from_secs(3600));
    server.app.tally.attempted(&key, &attempt.attempt, then, Duration::ZERO);
    server.app.records.put(&[RecordedAttempt { header, attempt, until }]).await.unwrap();
}

/// Nothing of what was written is more than text.
fn is_harmless(page: &str, what: &str) {
    for bad in ["<script>", "<img", "onerror=alert(2)>", "'><", "\"'><", "&lt;script>"] {
        assert!(!page.contains(bad), "{what} has {bad}: {page}");
    }
    for attribute in ["href=\"", "action=\"", "src=\""] {
        for target in page.split(attribute).skip(1) {
            assert!(
                target.starts_with("/c") || target.starts_with("#main"),
                "{what}: {target:.80}"
            );
        }
    }
    assert!(!page.contains("CANARY"), "{what} shows a secret");
}

#[tokio::test]
async fn what_others_wrote_is_shown_and_does_nothing() {
    let server = server().await;
    let operator = Browser::operator(&server, &server.operator).await;
    let customer = Browser::customer(&server, &server.token("acme").await).await;
    let mut shown = 0;
    for (browser, routes) in
        [(&operator, routes::of_operator()), (&customer, routes::of_customer())]
    {
        for route in routes.into_iter().filter(|route| route.method == "GET") {
            let reply = browser.get(&route.path).await;
            is_harmless(&reply.text, &route.path);
            shown += usize::from(reply.text.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
        }
    }
    assert!(shown > 10, "{shown} pages show what was written");
    // The pages whose names are made by the program.
    let list = customer.page("/customer/deliveries").await;
    let delivery = list.split("href=\"").find(|part| part.starts_with("/customer/deliveries/dv_"));
    let delivery = delivery.unwrap_or_else(|| panic!("{list}")).split('"').next().unwrap();
    is_harmless(&customer.page(delivery).await, delivery);
    let list = customer.page("/customer/replays").await;
    let replay = list.split("href=\"").find(|part| part.starts_with("/customer/replays/rp_"));
    let replay = replay.unwrap().split('"').next().unwrap();
    is_harmless(&customer.page(replay).await, replay);
}

#[tokio::test]
async fn what_a_query_or_a_form_says_is_shown_and_does_nothing() {
    let server = server().await;
    let operator = Browser::operator(&server, &server.operator).await;
    let query: String = url::form_urlencoded::byte_serialize(HOSTILE.as_bytes()).collect();
    for route in routes::of_operator() {
        if route.method == "GET" {
            for name in
                ["q", "go", "cursor", "endpointId", "eventType", "since", "done", "next", "after"]
            {
                let path = format!("{}?{name}={query}", route.path);
                is_harmless(&operator.get(&path).await.text, &path);
            }
            continue;
        }
        let names = [
            "url",
            "endpointId",
            "eventTypes",
            "auth",
            "steps",
            "secretId",
            "value",
            "timeout",
            "more",
            "name",
            "scope",
            "customers",
            "expiresIn",
            "for",
            "to",
            "rate",
            "overlap",
            "origins",
            "type",
            "data",
            "version",
            "endpointId",
            "reason",
            "since",
            "limits.rate",
            "retry.preset",
        ];
        if ["/logout", "/test"].iter().any(|end| route.path.ends_with(end)) {
            continue;
        }
        for name in names {
            let reply = operator.post(&route.path, &[(name, HOSTILE)]).await;
            is_harmless(&reply.text, &format!("{} with {name}", route.path));
        }
    }
    let forms = ["/console/login", "/customer/session"];
    for path in forms {
        let fields = [("key", HOSTILE), ("token", HOSTILE), ("next", HOSTILE)];
        let reply = super::browser::post(&server, path, &[], &fields).await;
        is_harmless(&reply.text, path);
    }
}
