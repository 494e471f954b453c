//! A worker answers what a job would send, and sends nothing.

use std::time::Duration;

use sealpost::app::{App, Role};
use sealpost::config::Config;
use sealpost::domain::dry_run::{DryRun, DryRunAnswer};
use sealpost::domain::endpoint::Endpoint;
use sealpost::domain::secret::SecretBytes;
use sealpost::ports::queue::{Depth, NewMessage};
use sealpost::vault::NewSecret;
use serde_json::json;
use tokio_util::sync::CancellationToken;

async fn app(directory: &std::path::Path) -> App {
    let app = App::embedded(directory, Config::default(), Role::Worker).await.unwrap();
    let new = NewSecret {
        customer: "c".parse().unwrap(),
        secret: "s".parse().unwrap(),
        value: SecretBytes::new(b"canary-token".to_vec()),
        origins: ["https://a.example".parse().unwrap()].into(),
        overlap: None,
    };
    app.vault.put(new).await.unwrap();
    let endpoint = json!({"customerId": "c", "endpointId": "e", "url": "https://a.example/in",
                          "auth": [{"scheme": "bearer", "secret": "s"}]});
    let endpoint = Endpoint::from_json(&endpoint.to_string()).unwrap();
    app.endpoints.put(endpoint, None, app.clock.now()).await.unwrap();
    app
}

/// Has the worker answer; returns what stands where the asker looks.
async fn ask(app: &App, job: &str, wait: Duration) -> Option<String> {
    let now = app.clock.now();
    let dry_run = DryRun { id: app.chance.token(), at: Some(now), until: now.plus(wait) };
    let state = Some(dry_run.to_state().unwrap().into());
    let message = NewMessage { body: job.to_owned().into(), state, ..NewMessage::default() };
    app.queue.send(vec![message]).await.unwrap();
    let messages = app.queue.receive(1, Duration::ZERO).await.unwrap();
    app.pipeline().unwrap().deliver(&messages[0], &CancellationToken::new()).await;
    assert_eq!(app.queue.depth().await.unwrap(), Depth::default());
    app.deliveries.take_dry_run(&dry_run.id, now).await.unwrap()
}

#[tokio::test]
async fn a_dry_run_is_answered_with_the_request_and_its_secrets_masked() {
    let directory = tempfile::tempdir().unwrap();
    let app = app(directory.path()).await;
    let minute = Duration::from_secs(60);
    let good = ask(&app, r#"{"customerId":"c","endpointId":"e","data":1}"#, minute).await.unwrap();
    assert!(!good.contains("canary"), "{good}");
    let DryRunAnswer::Request(shown) = serde_json::from_str(&good).unwrap() else { panic!() };
    let shown = shown.to_json();
    assert_eq!((&shown["url"], &shown["body"]), (&json!("https://a.example/in"), &json!("1")));
    assert_eq!(shown["headers"]["authorization"], "********");
    let bad = ask(&app, r#"{"customerId":"c","endpointId":"nope"}"#, minute).await.unwrap();
    assert!(bad.contains("unknown_endpoint") && bad.contains("problem"), "{bad}");
    assert_eq!(ask(&app, "{", Duration::ZERO).await, None, "nobody waits for it");
    let dead = app.deliveries.list_dead_letters(&Default::default(), None, 9).await.unwrap();
    assert!(dead.is_empty());
}
