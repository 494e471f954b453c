//! What the operator is told of: durable, signed, and never at a customer's cost.

use std::time::Duration;

use sealpost::config::Config;
use sealpost::domain::secret::SecretBytes;
use sealpost::vault::NewSecret;
use serde_json::{Value, json};

use crate::bench::{Bench, enqueue, loopback, put};
use crate::web::Web;

const HOUR: Duration = Duration::from_secs(3600);

fn config() -> Config {
    let mut config = loopback();
    config.events.customer = Some("operator".parse().unwrap());
    config
}

/// A bench whose operator has a signed webhook at `/ops`.
async fn bench(web: &Web) -> Bench {
    let bench = Bench::open(config()).await;
    let key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let secret = NewSecret {
        customer: "operator".parse().unwrap(),
        secret: "s".parse().unwrap(),
        value: SecretBytes::new(key.as_bytes().to_vec()),
        origins: [web.origin.parse().unwrap()].into(),
        overlap: None,
    };
    bench.app.vault.put(secret).await.unwrap();
    let signed = json!([{"scheme": "standard_webhooks", "secret": "s"}]);
    let url = format!("{}/ops", web.origin);
    let ops = json!({"customerId": "operator", "endpointId": "hook", "url": url, "auth": signed});
    put(&bench.app, ops).await;
    bench
}

async fn customer_endpoint(bench: &Bench, web: &Web, retry: Value) {
    let url = format!("{}/e", web.origin);
    put(&bench.app, json!({"customerId": "c", "endpointId": "e", "url": url, "retry": retry}))
        .await;
}

/// Delivers all that is due, and what the operator is told of it.
async fn settle(bench: &Bench) {
    loop {
        bench.app.events.flush(Duration::from_secs(10)).await;
        if bench.deliver_due().await == 0 {
            return;
        }
    }
}

/// The types and data of what arrived at `/ops`.
fn told(web: &Web) -> Vec<(String, Value)> {
    let all = web.all();
    let requests = all.iter().filter(|request| request.starts_with("POST /ops "));
    let parse = |request: &String| {
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("\r\nwebhook-signature: v1,"), "{head}");
        let id = head.lines().find_map(|line| line.strip_prefix("webhook-id: ")).unwrap();
        (id.to_owned(), serde_json::from_str(body).unwrap())
    };
    requests.map(parse).collect()
}

/// `/ops` works, everything else is `status`.
async fn server(status: &'static str) -> Web {
    let answer = move |request: &str| {
        let status = if request.starts_with("POST /ops ") { "204 No Content" } else { status };
        (status.to_owned(), String::new())
    };
    Web::start(answer).await
}

#[tokio::test]
async fn the_operator_s_webhook_is_told_signed_that_an_endpoint_was_disabled_and_enabled() {
    let gone = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let is_gone = std::sync::Arc::clone(&gone);
    let answer = move |request: &str| {
        let gone =
            is_gone.load(std::sync::atomic::Ordering::SeqCst) && request.contains("POST /e ");
        (if gone { "410 Gone" } else { "204 No Content" }.to_owned(), String::new())
    };
    let web = Web::start(answer).await;
    let bench = bench(&web).await;
    let url = format!("{}/e", web.origin);
    let endpoint =
        json!({"customerId": "c", "endpointId": "e", "url": url, "healthPolicy": {"probe": "1h"}});
    put(&bench.app, endpoint).await;
    // All at once: of many calls that learn the same, one tells.
    enqueue(&bench.app, 10).await;
    settle(&bench).await;
    let [(id, data)] = &told(&web)[..] else { panic!("{:?}", told(&web)) };
    assert!(id.starts_with("op_") && id.ends_with("/hook"), "{id}");
    let at = data["at"].as_str().unwrap();
    let why = "the endpoint answered 410 Gone";
    let expected = json!({"type": "endpoint.disabled", "at": at, "customerId": "c", "endpointId": "e", "why": why});
    assert_eq!(data, &expected);

    gone.store(false, std::sync::atomic::Ordering::SeqCst);
    bench.clock.advance(HOUR);
    enqueue(&bench.app, 1).await;
    settle(&bench).await;
    assert_eq!(told(&web).len(), 2);
    assert!(told(&web)[1].1.get("why").is_none(), "{:?}", told(&web)[1]);
}

#[tokio::test]
async fn the_operator_is_told_of_a_delivery_whose_attempts_are_over_and_where_to_find_it() {
    let web = server("500 Oh").await;
    let bench = bench(&web).await;
    customer_endpoint(&bench, &web, json!({"maxAttempts": 2})).await;
    enqueue(&bench.app, 1).await;
    settle(&bench).await;
    assert!(told(&web).is_empty(), "a failure that is tried again is no event");
    bench.clock.advance(HOUR);
    settle(&bench).await;
    let [(_, data)] = &told(&web)[..] else { panic!("{:?}", told(&web)) };
    let letter = &bench.dead_letters().await[0];
    assert_eq!((&data["reason"], &data["attempts"]), (&json!("attempts_exhausted"), &json!(2)));
    assert_eq!(data["deadLetterId"], json!(letter.id));
    assert_eq!(data["jobId"], json!(letter.job_id));
}

#[tokio::test]
async fn an_event_about_the_operator_s_own_endpoint_makes_no_other_event() {
    let web = Web::start(|_| ("500 Oh".to_owned(), String::new())).await;
    let bench = bench(&web).await;
    customer_endpoint(&bench, &web, json!({"maxAttempts": 1})).await;
    enqueue(&bench.app, 1).await;
    for _ in 0..200 {
        settle(&bench).await;
        bench.clock.advance(12 * HOUR);
    }
    assert_eq!(bench.app.queue.depth().await.unwrap().pending, 0);
    let letters = bench.dead_letters().await;
    let of = |customer: &str| {
        let is_his = |id: &sealpost::domain::ids::CustomerId| id.as_str() == customer;
        letters.iter().filter(|letter| letter.customer_id.as_ref().is_some_and(is_his)).count()
    };
    assert_eq!((of("c"), of("operator")), (1, 1), "one event, given up and told of no further");
}

#[tokio::test]
async fn without_the_setting_nothing_is_enqueued() {
    let web = server("410 Gone").await;
    let bench = Bench::open(loopback()).await;
    customer_endpoint(&bench, &web, json!({})).await;
    enqueue(&bench.app, 1).await;
    settle(&bench).await;
    assert_eq!(bench.app.queue.depth().await.unwrap().pending, 0);
    assert_eq!((told(&web).len(), bench.app.events.dropped()), (0, 0));
}

/// The examples of docs/OPERATIONS.md, with other credentials and at another place.
fn documented(web: &Web) -> Vec<Value> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/OPERATIONS.md");
    let text = std::fs::read_to_string(path).unwrap();
    let blocks = text.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let mut endpoints: Vec<Value> =
        blocks.map(|block| serde_json::from_str(block).unwrap()).collect();
    for endpoint in &mut endpoints {
        endpoint["url"] =
            json!(format!("{}/{}", web.origin, endpoint["endpointId"].as_str().unwrap()));
        let step = endpoint["auth"][0].as_object_mut().unwrap();
        step.remove("role").unwrap();
        step.insert("access_key_id".to_owned(), json!("AKIDEXAMPLE"));
        step.insert("secret".to_owned(), json!("s"));
    }
    endpoints
}

#[tokio::test]
async fn a_bus_and_a_topic_are_told_by_calls_as_aws_documents_them() {
    let web = server("410 Gone").await;
    let bench = bench(&web).await;
    for endpoint in documented(&web) {
        put(&bench.app, endpoint).await;
    }
    customer_endpoint(&bench, &web, json!({})).await;
    enqueue(&bench.app, 1).await;
    settle(&bench).await;
    let all = web.all();
    let call = |path: &str| {
        let call = all.iter().find(|call| call.starts_with(&format!("POST {path} "))).unwrap();
        call.split_once("\r\n\r\n").unwrap()
    };
    // "PutEvents", Amazon EventBridge API Reference.
    let (head, body) = call("/bus");
    assert!(head.contains("\r\nx-amz-target: AWSEvents.PutEvents"), "{head}");
    assert!(head.contains("\r\ncontent-type: application/x-amz-json-1.1"), "{head}");
    assert!(head.contains("/eu-west-1/events/aws4_request, SignedHeaders="), "{head}");
    let body: Value = serde_json::from_str(body).unwrap();
    let entry = &body["Entries"][0];
    assert_eq!(entry["DetailType"], json!("endpoint.disabled"));
    let detail: Value = serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
    assert_eq!(detail, told(&web)[0].1);
    // "Publish", Amazon Simple Notification Service API Reference.
    let (head, body) = call("/topic");
    assert!(head.contains("\r\ncontent-type: application/x-www-form-urlencoded"), "{head}");
    assert!(head.contains("/eu-west-1/sns/aws4_request, SignedHeaders="), "{head}");
    let form: std::collections::HashMap<String, String> =
        url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    assert_eq!((form["Action"].as_str(), form["Version"].as_str()), ("Publish", "2010-03-31"));
    assert_eq!(serde_json::from_str::<Value>(&form["Message"]).unwrap(), told(&web)[0].1);
}

#[tokio::test]
async fn the_operator_is_told_once_a_day_that_a_certificate_ends() {
    let web = server("204 No Content").await;
    let bench = bench(&web).await;
    let mut params = rcgen::CertificateParams::new(["a.example".to_owned()]).unwrap();
    // The bench's time is in January 2027.
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2027, 1, 25);
    let key = rcgen::KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem() + &key.serialize_pem();
    let secret = NewSecret {
        customer: "c".parse().unwrap(),
        secret: "client".parse().unwrap(),
        value: SecretBytes::new(pem.into_bytes()),
        origins: ["https://a.example".parse().unwrap()].into(),
        overlap: None,
    };
    bench.app.vault.put(secret).await.unwrap();
    let open = async || {
        // Past the cache, as after its hard lifetime.
        let since = Some(tokio::time::Instant::now());
        let (customer, id) = ("c".parse().unwrap(), "client".parse().unwrap());
        let elsewhere = bench.app.vault.open_since(&customer, &id, since);
        elsewhere.await.unwrap();
        settle(&bench).await;
    };
    open().await;
    open().await;
    let [(_, data)] = &told(&web)[..] else { panic!("{:?}", told(&web)) };
    assert_eq!((&data["secretId"], &data["version"]), (&json!("client"), &json!(1)));
    assert!(data["why"].as_str().unwrap().starts_with("ends at 2027-01-2"), "{data}");
}
