//! Every scheme with the secrets of its own cases, and with secrets of no form at all, at a receiver
//! that sends back whatever it was sent.

use std::sync::Arc;
use std::time::Duration;

use sealpost::auth::REGISTRY;
use sealpost::domain::delivery_record::{DeliveryFilter, Recording};
use sealpost::domain::endpoint::Endpoint;
use sealpost::domain::ids::{CustomerId, SecretId};
use sealpost::domain::secret::SecretBytes;
use sealpost::domain::test_call::TestKind;
use sealpost::monitor::Monitor;
use sealpost::ports::queue::NewMessage;
use sealpost::registration::put_secret;
use sealpost::vault::NewSecret;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::bench::{Bench, loopback};
use crate::canary::{assert_silent, is_looked_for};
use crate::data::own;
use crate::log;
use crate::web::Web;

const TOKEN: &str = "canary-of-the-access-token-5d1e";
/// The receiver asks for credentials, so that every way to answer is gone.
const CHALLENGE: &str = "401 Unauthorized\r\nwww-authenticate: Digest realm=\"r\", qop=\"auth\", \
                         algorithm=SHA-256, nonce=\"n\"";

/// A receiver and token server that sends back all it was sent, in its head and in its body.
async fn echo() -> Web {
    Web::start(|request| {
        let one_line = request.replace(['\r', '\n'], " ");
        if request.starts_with("POST /token") || request.starts_with("GET /token") {
            let answer = json!({"access_token": TOKEN, "expires_in": 600, "echo": request});
            return (format!("200 OK\r\nx-echo: {one_line}"), answer.to_string());
        }
        (format!("{CHALLENGE}\r\nx-echo: {one_line}"), request.to_owned())
    })
    .await
}

/// A case as a customer of its own: its endpoint, and its secrets by name, the newest last.
struct Planted {
    customer: CustomerId,
    auth: Value,
    secrets: Vec<(SecretId, String)>,
}

fn texts(value: &Value) -> Vec<String> {
    let list = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    list.iter().rev().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn planted(scheme: &str, origin: &str, number: usize, case: &Value, formless: bool) -> Planted {
    let settings = case["settings"].clone();
    let mut auth = if settings.is_array() { settings } else { json!([settings]) };
    for step in auth.as_array_mut().unwrap() {
        if step["scheme"].is_null() {
            step["scheme"] = scheme.into();
        }
        if step["token_url"].is_string() {
            step["token_url"] = format!("{origin}/token").into();
        }
    }
    let named = case["secrets"].as_object().into_iter().flatten();
    let named = named.map(|(name, values)| (name.clone(), texts(values)));
    let one = (!case["secret"].is_null()).then(|| ("s".to_owned(), texts(&case["secret"])));
    let value = |text: String| match formless {
        true => format!("canary-{number}-of-no-form-{}", text.len()),
        // Too short to be told from what is there anyway.
        false if !is_looked_for(&text) => format!("{text}-canary-of-{number}"),
        false => text,
    };
    let secrets = named.chain(one).flat_map(|(name, values)| {
        let id: SecretId = name.parse().unwrap();
        values.into_iter().map(move |text| (id.clone(), value(text)))
    });
    let secrets = secrets.filter(|(_, text)| !text.is_empty()).collect();
    Planted { customer: format!("c{number}").parse().unwrap(), auth, secrets }
}

async fn plant(bench: &Bench, origin: &str, planted: &Planted) -> bool {
    for (id, text) in &planted.secrets {
        let new = NewSecret {
            customer: planted.customer.clone(),
            secret: id.clone(),
            value: SecretBytes::new(text.clone().into_bytes()),
            origins: [origin.parse().unwrap()].into(),
            overlap: Some(Duration::from_secs(3600)),
        };
        bench.app.vault.put(new).await.unwrap();
    }
    let endpoint = json!({"customerId": planted.customer, "endpointId": "e",
        "url": format!("{origin}/in"), "auth": planted.auth, "previousSecretOn401": true,
        "retry": {"maxAttempts": 2, "baseDelay": "1s", "maxDelay": "1s"}});
    let mut asking = endpoint.clone();
    (asking["endpointId"], asking["verification"]) =
        ("h".into(), json!({"handshake": "challenge"}));
    for endpoint in [endpoint, asking] {
        let Ok(endpoint) = Endpoint::from_json(&endpoint.to_string()) else { return false };
        bench.app.endpoints.put(endpoint, None, bench.app.clock.now()).await.unwrap();
    }
    true
}

/// Puts the values as their owner would, to be checked with the endpoints that name them; how many were
/// refused.
async fn put_again(bench: &Bench, origin: &str, planted: &Planted, secrets: &[String]) -> usize {
    let mut refused = 0;
    for (id, text) in &planted.secrets {
        let new = NewSecret {
            customer: planted.customer.clone(),
            secret: id.clone(),
            value: SecretBytes::new(text.clone().into_bytes()),
            origins: [origin.parse().unwrap()].into(),
            overlap: None,
        };
        if let Err(why) = put_secret(&bench.app, new).await {
            let said = format!("{why} {why:?}");
            assert_silent("why a value is refused", said.as_bytes(), secrets);
            refused += 1;
        }
    }
    refused
}

/// What is kept of the customers' deliveries and attempts.
async fn records(bench: &Bench, customers: Vec<CustomerId>) -> String {
    bench.pipeline.recorder.as_ref().unwrap().flush().await;
    let (records, now) = (&bench.app.records, bench.app.clock.now());
    let mut kept = String::new();
    for customer in customers {
        let page = records.list(&DeliveryFilter::of(customer), None, 100, now).await.unwrap();
        for record in page.records {
            let found = records.get(&record.id, now).await.unwrap();
            kept += &format!("{found:?}\n{}\n", serde_json::to_string(&found).unwrap());
        }
    }
    kept
}

/// All cases of a scheme, each delivered until it is given up.
async fn deliver_all(scheme: &str, formless: bool) {
    log::keep();
    let web = echo().await;
    let collector = Web::start(|_| ("200 OK".to_owned(), String::new())).await;
    let mut config = loopback();
    config.traces.endpoint = Some(collector.origin.parse().unwrap());
    config.traces.sample = 1.0;
    config.deliveries.record = Recording::All;
    let bench = Bench::open(config).await;
    let file = own(&format!("auth/{scheme}/cases.json"));
    let mut secrets = vec![TOKEN.to_owned()];
    let (mut customers, mut reports, mut refused) = (Vec::new(), String::new(), 0);
    for (number, case) in file["cases"].as_array().unwrap().iter().enumerate() {
        let planted = planted(scheme, &web.origin, number, case, formless);
        // What the settings say is no secret.
        let said = planted.auth.to_string();
        let looked_for = planted.secrets.iter().map(|(_, text)| text.clone());
        secrets.extend(looked_for.filter(|text| is_looked_for(text) && !said.contains(text)));
        if !plant(&bench, &web.origin, &planted).await {
            continue;
        }
        if formless {
            refused += put_again(&bench, &web.origin, &planted, &secrets).await;
        }
        let job = json!({"customerId": planted.customer, "endpointId": "e", "data": number});
        let shown = bench.pipeline.preview(job.to_string().as_bytes(), bench.app.clock.now()).await;
        if let Err(why) = shown {
            assert_silent("why there is no preview", format!("{why} {why:?}").as_bytes(), &secrets);
        }
        for (kind, endpoint) in [(TestKind::Test, "e"), (TestKind::Handshake, "h")] {
            let job =
                json!({"customerId": planted.customer, "endpointId": endpoint, "data": number});
            let (job, stop) = (job.to_string(), CancellationToken::new());
            let tested = bench.pipeline.test_call(kind, job.as_bytes(), &stop).await;
            reports += &format!("{tested}\n{}\n", serde_json::to_string(&tested).unwrap());
        }
        let message = NewMessage { body: job.to_string().into(), ..NewMessage::default() };
        bench.app.queue.send(vec![message]).await.unwrap();
        customers.push(planted.customer);
    }
    // Others send texts as they are, or sign with any.
    let has_form = ["standard_webhooks", "mtls", "jwt", "http_message_signatures"];
    assert!(!formless || !has_form.contains(&scheme) || refused > 0, "{scheme} refuses no value");
    let jobs = customers.len();
    assert!(jobs > 0 && (scheme == "none" || secrets.len() > 1), "{scheme}: {jobs} jobs");
    secrets.sort();
    secrets.dedup();
    for _ in 0..200 {
        bench.deliver_due().await;
        bench.clock.advance(Duration::from_secs(60));
        if bench.some_dead_letters(jobs).await.len() == jobs {
            break;
        }
    }
    let letters = bench.some_dead_letters(jobs + 1).await;
    assert_eq!(letters.len(), jobs, "{scheme}: every job comes to an end");
    assert_silent("a dead letter", serde_json::to_string(&letters).unwrap().as_bytes(), &secrets);
    assert_silent("a dead letter's Debug", format!("{letters:?}").as_bytes(), &secrets);
    assert_silent("the reports of tests", reports.as_bytes(), &secrets);
    let kept = records(&bench, customers).await;
    // No call is made without TLS where a certificate is to be shown, or with what has no form.
    assert!(formless || scheme == "mtls" || !kept.is_empty(), "{scheme}: attempts are recorded");
    assert_silent("a record", kept.as_bytes(), &secrets);
    for (name, bytes) in bench.files() {
        assert_silent(&name, &bytes, &secrets);
    }
    let metrics = Monitor::new(Arc::clone(&bench.app), None).metrics().await;
    assert_silent("the metrics", metrics.as_bytes(), &secrets);
    bench.pipeline.tracer.as_ref().unwrap().flush().await;
    let spans = collector.all().concat();
    assert!(spans.contains(r#""name":"deliver""#), "{scheme}: deliveries are traced");
    assert_silent("the spans", spans.as_bytes(), &secrets);
    let log = log::kept();
    assert!(scheme == "none" || !log.is_empty());
    assert_silent("the log", &log, &secrets);
}

#[tokio::test]
async fn no_scheme_says_its_secrets_to_anybody_but_the_endpoint() {
    for scheme in REGISTRY {
        deliver_all(scheme.name(), false).await;
    }
}

#[tokio::test]
async fn no_scheme_repeats_a_secret_that_it_cannot_use() {
    for scheme in REGISTRY {
        deliver_all(scheme.name(), true).await;
    }
}
