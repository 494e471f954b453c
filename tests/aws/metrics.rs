//! What AWS is asked is counted by what came of it, and a key that cannot be used shows in the health.

use std::sync::Arc;
use std::time::Duration;

use sealpost::app::App;
use sealpost::config::Config;
use sealpost::domain::endpoint::Endpoint;
use sealpost::domain::secret::SecretBytes;
use sealpost::monitor::Monitor;
use sealpost::ports::Clock;
use sealpost::ports::queue::NewMessage;
use sealpost::telemetry::WorkerState;
use sealpost::vault::NewSecret;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::aws::Aws;
use crate::exposition::read;
use crate::receiver::listen;

fn calls(service: &str, operation: &str, result: &str) -> String {
    format!(
        r#"sealpost_aws_calls_total{{service="{service}",operation="{operation}",result="{result}"}}"#
    )
}

#[tokio::test]
async fn operations_of_aws_are_counted_by_their_results_and_a_key_that_fails_shows() {
    let aws = Aws::start().await;
    let Some(clock) = aws.emulated.clone() else {
        println!("needs the emulator: skipped");
        return;
    };
    let mut config = Config::default();
    config.egress.allow_http = true;
    config.egress.allow = vec!["127.0.0.1/32".parse().unwrap()];
    config.egress.ports = vec!["1-65535".parse().unwrap()];
    let shared: Arc<dyn Clock> = Arc::clone(&clock) as _;
    let app = App::over_aws(&aws.clients, &aws.config, config, shared).await.unwrap();
    let app = Arc::new(app);
    let worker = Arc::new(app.pipeline().unwrap());
    let monitor = Monitor::new(Arc::clone(&app), Some(Arc::clone(&worker)));
    let (origin, _calls) = listen(|_| (204, String::new())).await;
    let endpoint = json!({"customerId": "c", "endpointId": "e", "url": origin,
                          "auth": [{"scheme": "bearer", "secret": "s"}]});
    let endpoint = Endpoint::from_json(&endpoint.to_string()).unwrap();
    app.endpoints.put(endpoint, None, app.clock.now()).await.unwrap();
    let secret = || NewSecret {
        customer: "c".parse().unwrap(),
        secret: "s".parse().unwrap(),
        value: SecretBytes::new(b"v".to_vec()),
        origins: [origin.parse().unwrap()].into(),
        overlap: None,
    };
    app.vault.put(secret()).await.unwrap();
    let body = r#"{"customerId":"c","endpointId":"e","data":1}"#.into();
    app.queue.send(vec![NewMessage { body, ..NewMessage::default() }]).await.unwrap();
    let messages = app.queue.receive(10, Duration::ZERO).await.unwrap();
    worker.deliver(&messages[0], &CancellationToken::new()).await;
    app.tally.worker_is(WorkerState::Receiving);

    let samples = read(&monitor.metrics().await);
    assert_eq!(samples.of(r#"sealpost_deliveries_total{outcome="delivered"}"#), 1.0);
    for (service, operation) in [
        ("sqs", "SendMessageBatch"),
        ("sqs", "ReceiveMessage"),
        ("sqs", "GetQueueAttributes"),
        ("dynamodb", "GetItem"),
        ("kms", "GenerateDataKey"),
        ("kms", "Decrypt"),
    ] {
        assert!(samples.of(&calls(service, operation, "ok")) >= 1.0, "{service} {operation}");
    }
    assert!(monitor.ready().await.is_ready());

    let kms = &aws.clients.kms;
    kms.disable_key().key_id(aws.config.kms_key_id.as_str()).send().await.unwrap();
    assert!(app.vault.put(secret()).await.is_err());
    clock.emulator.fail("GetItem", 400, "ThrottlingException", 3);
    let id = "other".parse().unwrap();
    assert!(app.endpoints.get(&"c".parse().unwrap(), &id).await.is_err());
    let samples = read(&monitor.metrics().await);
    assert_eq!(samples.of(&calls("kms", "GenerateDataKey", "key_unusable")), 1.0);
    assert_eq!(samples.of(&calls("dynamodb", "GetItem", "throttled")), 1.0);
    assert_eq!(
        samples.of(r#"sealpost_key_calls_total{operation="generate",result="failed"}"#),
        1.0
    );
    let ready = monitor.ready().await;
    assert!(!ready.is_ready() && format!("{ready:?}").contains(r#"keys: "failing""#), "{ready:?}");
}
