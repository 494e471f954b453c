//! Headers, query, path and body as the endpoint sets them: plain, secret, or taken from the event.

use std::io::Read;

use sealpost::domain::reason::Reason;
use sealpost::domain::secret::SecretBytes;
use sealpost::domain::shown_request::ShownRequest;
use sealpost::vault::NewSecret;
use serde_json::{Value, json};

use crate::bench::{Bench, loopback, put};
use crate::web::Web;

pub async fn web() -> Web {
    Web::start(|_| ("204 No Content".to_owned(), String::new())).await
}

/// A form with the endpoint `e`, which calls `web` with these further settings.
pub async fn bench(web: &Web, settings: Value) -> Bench {
    let bench = Bench::open(loopback()).await;
    let mut endpoint = json!({"customerId": "c", "endpointId": "e",
        "url": format!("{}/in", web.origin), "retry": {"maxAttempts": 1}});
    endpoint.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    put(&bench.app, endpoint).await;
    bench
}

pub async fn put_secret(bench: &Bench, web: &Web, id: &str, value: &str) {
    put_secret_of(bench, web, "c", id, value).await;
}

pub async fn put_secret_of(bench: &Bench, web: &Web, customer: &str, id: &str, value: &str) {
    let new = NewSecret {
        customer: customer.parse().unwrap(),
        secret: id.parse().unwrap(),
        value: SecretBytes::new(value.as_bytes().to_vec()),
        origins: [web.origin.parse().unwrap()].into(),
        overlap: None,
    };
    bench.app.vault.put(new).await.unwrap();
}

/// Enqueues a job with these fields and delivers what is due.
pub async fn deliver(bench: &Bench, job: Value) {
    let mut whole = json!({"id": "evt_1", "customerId": "c", "endpointId": "e"});
    whole.as_object_mut().unwrap().extend(job.as_object().unwrap().clone());
    let body = whole.to_string();
    let message = sealpost::ports::queue::NewMessage { body: body.into(), ..Default::default() };
    bench.app.queue.send(vec![message]).await.unwrap();
    bench.deliver_due().await;
}

/// The reason and the message of the only dead letter.
async fn death(bench: &Bench) -> (Reason, String) {
    let letters = bench.dead_letters().await;
    assert_eq!(letters.len(), 1);
    (letters[0].reason, letters[0].message.clone())
}

#[tokio::test]
async fn secrets_and_pieces_of_the_event_stand_where_the_endpoint_puts_them() {
    let web = web().await;
    let settings = json!({
        "url": format!("{}/*/orders/*", web.origin),
        "pathParameters": [{"event": "$.region"}, {"event": "$.order.id"}],
        "headers": {"User-Agent": "acme/1", "X-Token": {"secret": "token", "prefix": "Token "},
                    "x-kind": {"event": "$.order.kind"}},
        "query": {"v": "2", "key": {"secret": "key"}, "n": {"event": "$.order.id"}},
        "bodyParameters": {"source": "sealpost", "password": {"secret": "password"},
                           "copy": {"event": "$.order.price"}},
    });
    let bench = bench(&web, settings).await;
    for (id, value) in [("token", "t0k&n"), ("key", "k y"), ("password", "pa\"ss\\")] {
        put_secret(&bench, &web, id, value).await;
    }
    let data = json!({"region": "eu west", "order": {"id": 42, "kind": "new", "price": 10.5}});
    deliver(&bench, json!({"data": data})).await;
    let call = web.all().pop().expect("a call");
    let (head, body) = call.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /eu%20west/orders/42?n=42&v=2&key=k+y HTTP/1.1\r\n"), "{head}");
    for line in [
        "user-agent: acme/1",
        "x-token: Token t0k&n",
        "x-kind: new",
        "content-type: application/json",
    ] {
        assert!(head.lines().any(|own| own == line), "{line} is not in {head}");
    }
    let sent: Value = serde_json::from_str(body).unwrap();
    let mut expected = data;
    expected["source"] = "sealpost".into();
    expected["password"] = "pa\"ss\\".into();
    expected["copy"] = json!(10.5);
    assert_eq!(sent, expected);
}

#[tokio::test]
async fn a_request_is_shown_with_every_secret_masked() {
    let web = web().await;
    let settings = json!({
        "headers": {"x-token": {"secret": "s"}}, "query": {"key": {"secret": "s"}},
        "bodyParameters": {"password": {"secret": "s"}}, "compression": "gzip",
    });
    let bench = bench(&web, settings).await;
    put_secret(&bench, &web, "s", "hush \"quoted\"").await;
    let job = br#"{"id": "1", "customerId": "c", "endpointId": "e", "data": {"a": 1}}"#;
    let request = bench.pipeline.preview(job, bench.app.clock.now()).await.unwrap();
    let shown = ShownRequest::masked(&request);
    let text = format!("{shown}{}", shown.to_json());
    assert!(!text.contains("hush") && !text.contains("quoted"), "{text}");
    assert_eq!(shown.to_json()["body"], r#"{"a":1,"password":"********"}"#);
    let revealed = ShownRequest::revealed(&request).to_json();
    assert_eq!(revealed["headers"]["x-token"], "hush \"quoted\"");
    assert_eq!(revealed["body"], r#"{"a":1,"password":"hush \"quoted\""}"#);
}

#[tokio::test]
async fn a_compressed_body_is_what_is_signed_and_sent() {
    let web = web().await;
    let settings = json!({"compression": "gzip", "auth": [{"scheme": "hmac", "preset": "github", "secret": "s"}]});
    let bench = bench(&web, settings).await;
    put_secret(&bench, &web, "s", "key").await;
    let data = "sealpost ".repeat(1000);
    deliver(&bench, json!({"data": data})).await;
    let call = web.requests.lock().unwrap().pop().unwrap();
    let end = call.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let (head, body) = (String::from_utf8_lossy(&call[..end]), &call[end..]);
    assert!(head.contains("\r\ncontent-encoding: gzip\r\n") && body.len() < 200);
    let mut plain = String::new();
    flate2::read::GzDecoder::new(body).read_to_string(&mut plain).unwrap();
    assert_eq!(plain, Value::from(data).to_string());
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"key");
    let tag = aws_lc_rs::hmac::sign(&key, body);
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(head.contains(&format!("x-hub-signature-256: sha256={hex}\r\n")), "{head}");
}

#[tokio::test]
async fn a_rotated_secret_in_a_header_is_used_at_once_after_a_refusal() {
    let web = Web::start(|request| {
        let status = if request.contains("x-token: new\r\n") {
            "204 No Content"
        } else {
            "401 Unauthorized"
        };
        (status.to_owned(), String::new())
    })
    .await;
    let settings =
        json!({"headers": {"x-token": {"secret": "s"}}, "bodyParameters": {"p": {"secret": "s"}}});
    let bench = bench(&web, settings).await;
    put_secret(&bench, &web, "s", "old").await;
    deliver(&bench, json!({"data": {}})).await;
    assert_eq!(bench.app.tally.counts().delivered, 0);
    put_secret(&bench, &web, "s", "new").await;
    bench.clock.advance(std::time::Duration::from_secs(31));
    deliver(&bench, json!({"id": "evt_2", "data": {}})).await;
    assert_eq!(bench.app.tally.counts().delivered, 1);
    assert!(web.all().pop().unwrap().ends_with(r#"{"p":"new"}"#));
}

#[tokio::test]
async fn where_the_endpoint_says_so_a_401_is_answered_with_the_previous_secret_of_a_parameter() {
    let web = Web::start(|request| {
        let knows = request.contains("x-token: old\r\n");
        let status = if knows { "204 No Content" } else { "401 Unauthorized" };
        (status.to_owned(), String::new())
    })
    .await;
    for (falls_back, delivered) in [(true, 1), (false, 0)] {
        let settings =
            json!({"headers": {"x-token": {"secret": "s"}}, "previousSecretOn401": falls_back});
        let bench = bench(&web, settings).await;
        put_secret(&bench, &web, "s", "old").await;
        let new = NewSecret {
            customer: "c".parse().unwrap(),
            secret: "s".parse().unwrap(),
            value: SecretBytes::new(b"new".to_vec()),
            origins: [web.origin.parse().unwrap()].into(),
            overlap: Some(std::time::Duration::from_secs(3600)),
        };
        bench.app.vault.put(new).await.unwrap();
        deliver(&bench, json!({"data": {}})).await;
        assert_eq!(bench.app.tally.counts().delivered, delivered);
    }
}

#[tokio::test]
async fn what_cannot_be_made_of_the_event_is_dead_lettered_with_its_field() {
    let cases = [
        (json!({"headers": {"x-a": {"event": "$.none"}}}), "headers.x-a: "),
        (json!({"headers": {"x-a": {"event": "$.list"}}}), "headers.x-a: "),
        (json!({"headers": {"x-a": {"event": "$.lines"}}}), "headers.x-a: "),
        (json!({"query": {"q": {"event": "$.none"}}}), "query.q: "),
        (json!({"bodyParameters": {"p": {"event": "$.none"}}}), "bodyParameters.p: "),
        (json!({"bodyParameters": {"list": "x"}}), "bodyParameters.list: "),
    ];
    for (settings, path) in cases {
        let web = web().await;
        let bench = bench(&web, settings.clone()).await;
        deliver(&bench, json!({"data": {"list": [1], "lines": "a\r\nb"}})).await;
        let (reason, message) = death(&bench).await;
        assert_eq!(reason, Reason::TransformFailed, "{settings}: {message}");
        assert!(message.starts_with(path), "{settings}: {message}");
        assert_eq!(web.count(), 0);
    }
}

#[tokio::test]
async fn what_the_endpoint_and_the_job_both_set_is_refused() {
    let cases = [
        (
            json!({"headers": {"x-a": {"secret": "s"}}}),
            json!({"headers": {"X-A": "1"}}),
            "headers.x-a: ",
        ),
        (json!({"query": {"q": {"secret": "s"}}}), json!({"query": {"q": "1"}}), "query.q: "),
    ];
    for (settings, job, path) in cases {
        let web = web().await;
        let bench = bench(&web, settings).await;
        put_secret(&bench, &web, "s", "value").await;
        deliver(&bench, job).await;
        let (reason, message) = death(&bench).await;
        assert_eq!(reason, Reason::InvalidRequest);
        assert!(message.starts_with(path), "{message}");
        assert_eq!(web.count(), 0);
    }
}

#[tokio::test]
async fn a_parameter_whose_secret_may_not_go_there_stops_the_call() {
    let (web, elsewhere) = (web().await, web().await);
    let bench = bench(&web, json!({"bodyParameters": {"p": {"secret": "s"}}})).await;
    put_secret(&bench, &elsewhere, "s", "value").await;
    deliver(&bench, json!({"data": {}})).await;
    assert_eq!(death(&bench).await.0, Reason::OriginNotAllowed);
    assert_eq!(web.count(), 0);
}
