//! Who needs which rights, counted on the wire: a worker seals nothing and writes neither secrets nor
//! endpoints; whoever administers opens nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use sealpost::adapters::aws::dynamodb::DynamoSecrets;
use sealpost::adapters::aws::{KmsOpener, KmsSealer};
use sealpost::adapters::system::SystemChance;
use sealpost::app::App;
use sealpost::cache::Lifetimes;
use sealpost::config::Config;
use sealpost::customer::{Asked, erase};
use sealpost::domain::dead_letter::DeadLetterFilter;
use sealpost::domain::endpoint::Endpoint;
use sealpost::domain::ids::{CustomerId, SecretId};
use sealpost::domain::secret::SecretBytes;
use sealpost::ports::Clock;
use sealpost::ports::queue::NewMessage;
use sealpost::registration::{put_endpoint, put_reference, put_secret, roll_back_secret};
use sealpost::vault::{NewReference, NewSecret, Opener, Policy, Rollback, Sealer, Sealing};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::aws::Aws;
use crate::receiver::listen;
use crate::sqs::Sqs;

const DENIED: [&str; 6] = [
    "Encrypt",
    "GenerateDataKey",
    "ReEncrypt",
    "TransactWriteItems",
    "BatchWriteItem",
    "CreateGrant",
];

fn id(text: &str) -> SecretId {
    text.parse().unwrap()
}

fn customer() -> CustomerId {
    "c".parse().unwrap()
}

async fn app(aws: &Aws, clock: &Arc<Sqs>, sealing: Sealing) -> App {
    let mut config = Config::default();
    config.egress.allow_http = true;
    config.egress.allow = vec!["127.0.0.1/32".parse().unwrap()];
    config.egress.ports = vec!["1-65535".parse().unwrap()];
    config.secrets.references = vec!["ssm:/w/{customerId}/".parse().unwrap()];
    config.secrets.sealing = sealing;
    config.aws = Some(aws.config.clone());
    let shared: Arc<dyn Clock> = Arc::clone(clock) as _;
    App::over_aws(&aws.clients, &aws.config, config, shared).await.unwrap()
}

fn new(secret: &str, value: &str, origin: &str) -> NewSecret {
    NewSecret {
        customer: customer(),
        secret: id(secret),
        value: SecretBytes::new(value.into()),
        origins: [origin.parse().unwrap()].into(),
        overlap: Some(Duration::from_secs(3600)),
    }
}

/// All that is in the tables which a worker may not write.
async fn tables(aws: &Aws) -> Vec<HashMap<String, AttributeValue>> {
    let mut items = Vec::new();
    for table in ["secrets", "endpoints"] {
        let name = format!("{}{table}", aws.config.table_prefix);
        let scanned = aws.clients.dynamodb.scan().table_name(&name).send().await.unwrap();
        items.extend(scanned.items.unwrap());
    }
    let text = |item: &HashMap<String, AttributeValue>, name: &str| {
        item.get(name).map(|value| value.as_s().unwrap().clone())
    };
    items.sort_by_key(|item| ["secretId", "endpointId"].map(|name| text(item, name)));
    items
}

/// The operations of KMS that were called.
fn called(clock: &Sqs) -> Vec<String> {
    clock.emulator.calls_of("KMS").into_iter().map(|(operation, _)| operation).collect()
}

#[tokio::test]
async fn a_worker_needs_no_right_to_seal_and_none_to_write_secrets_or_endpoints() {
    let aws = Aws::start().await;
    let Some(clock) = aws.emulated.clone() else { return println!("needs the emulator: skipped") };
    let (origin, mut calls) = listen(|call| match call.target.as_str() {
        "/refuses" => (401, String::new()),
        "/fails" => (500, String::new()),
        "/gone" => (410, String::new()),
        _ => (204, String::new()),
    })
    .await;
    let administrator = app(&aws, &clock, Sealing::Envelope).await;
    administrator.vault.put(new("s", "old", &origin)).await.unwrap();
    administrator.vault.put(new("s", "new", &origin)).await.unwrap();
    let sealer = app(&aws, &clock, Sealing::TenantKey).await;
    sealer.vault.put(new("t", "tenant", &origin)).await.unwrap();
    for (name, secret) in [("takes", "s"), ("refuses", "t"), ("fails", "s"), ("gone", "s")] {
        let endpoint = json!({"customerId": "c", "endpointId": name, "eventTypes": ["x"],
                              "url": format!("{origin}/{name}"), "previousSecretOn401": true,
                              "auth": [{"scheme": "bearer", "secret": secret}]});
        let endpoint = Endpoint::from_json(&endpoint.to_string()).unwrap();
        put_endpoint(&administrator, endpoint, None).await.unwrap();
    }
    let (before, known) = (tables(&aws).await, called(&clock));
    assert!(!known.contains(&"Decrypt".to_owned()), "{known:?}");
    for operation in DENIED {
        clock.emulator.fail(operation, 400, "AccessDeniedException", 1_000_000);
    }

    // A job of each fate, one that fans out, and one that names nobody.
    let worker = app(&aws, &clock, Sealing::Envelope).await;
    let pipeline = worker.pipeline().unwrap();
    let job = |endpoint: &str| json!({"customerId": "c", "endpointId": endpoint, "data": 1});
    let mut jobs = ["takes", "refuses", "fails", "gone", "unknown"].map(job).to_vec();
    jobs.push(json!({"customerId": "c", "type": "x", "data": 1}));
    for job in jobs {
        let body = job.to_string().into();
        worker.queue.send(vec![NewMessage { body, ..NewMessage::default() }]).await.unwrap();
    }
    for _ in 0..4 {
        for message in worker.queue.receive(10, Duration::ZERO).await.unwrap() {
            pipeline.deliver(&message, &CancellationToken::new()).await;
        }
        clock.advance(Duration::from_secs(60));
    }
    let counts = worker.tally.counts();
    assert_eq!(counts.faults, 0, "nothing was missing");
    assert!(counts.delivered >= 2 && counts.retried >= 2, "{counts:?}");
    assert!(std::iter::from_fn(|| calls.try_recv().ok()).count() >= 8);
    let dead = worker.deliveries.list_dead_letters(&DeadLetterFilter::default(), None, 9).await;
    assert!(dead.unwrap().len() >= 2, "of the unknown and of the one that is gone");
    assert_eq!(tables(&aws).await, before);
    let mut now = called(&clock);
    now.retain(|operation| !known.contains(operation));
    assert_eq!(now, ["Decrypt"]);
}

#[tokio::test]
async fn whoever_administers_needs_no_right_to_open_and_reads_no_value_back() {
    let aws = Aws::start().await;
    let Some(clock) = aws.emulated.clone() else { return println!("needs the emulator: skipped") };
    for operation in ["Decrypt", "GetSecretValue", "GetParameter"] {
        clock.emulator.fail(operation, 400, "AccessDeniedException", 1_000_000);
    }
    let origin = "https://a.example";
    for sealing in [Sealing::Envelope, Sealing::Direct, Sealing::TenantKey] {
        let api = app(&aws, &clock, sealing).await;
        let (customer, secret) = (customer(), id("s"));
        for value in ["one", "two", "three"] {
            put_secret(&api, new("s", value, origin)).await.unwrap();
            let endpoint = json!({"customerId": "c", "endpointId": "e", "url": origin,
                                  "auth": [{"scheme": "bearer", "secret": "s"}]});
            let endpoint = Endpoint::from_json(&endpoint.to_string()).unwrap();
            put_endpoint(&api, endpoint, None).await.unwrap();
        }
        let past = api.secrets.history(&customer, &secret).await.unwrap();
        let to = past.first().unwrap().version;
        let rollback =
            Rollback { customer: customer.clone(), secret: secret.clone(), to, overlap: None };
        roll_back_secret(&api, rollback, None).await.unwrap();
        let past = api.secrets.history(&customer, &secret).await.unwrap();
        let past: Vec<u64> = past.iter().map(|v| v.version).filter(|v| *v != to).collect();
        assert!(api.vault.purge(&customer, &secret, &past).await.unwrap() > 0);
        let reference = NewReference {
            customer: customer.clone(),
            secret: secret.clone(),
            reference: "ssm:/w/c/s".parse().unwrap(),
            origins: [origin.parse().unwrap()].into(),
            overlap: None,
        };
        put_reference(&api, reference, None).await.unwrap();
        assert_eq!(
            api.secrets.list(None).await.unwrap().iter().filter(|s| s.1 == secret).count(),
            1
        );
        assert!(api.secrets.delete(&customer, &secret, None).await.unwrap());
    }
    let api = app(&aws, &clock, Sealing::TenantKey).await;
    api.vault.rotate_tenant_key(&customer()).await.unwrap();
    api.vault.shred_tenant_key(&customer()).await.unwrap();
    let asked = Asked { who: "ops-1".to_owned(), ..Asked::default() };
    assert!(erase(&api, &customer(), &asked).await.unwrap_or_else(|e| panic!("{e}")).complete);
    let known = called(&clock);
    assert!(!known.contains(&"Decrypt".to_owned()), "{known:?}");
    assert!(["Encrypt", "GenerateDataKey"].iter().all(|used| known.contains(&(*used).to_owned())));
    for keeper in ["SecretsManager", "SSM"] {
        assert!(clock.emulator.calls_of(keeper).is_empty(), "{keeper}");
    }
}

/// The two halves as two processes have them: neither is given what it must not do.
#[tokio::test]
async fn what_one_half_sealed_the_other_opens() {
    let aws = Aws::start().await;
    let Some(clock) = aws.emulated.clone() else { return println!("needs the emulator: skipped") };
    let clock: Arc<dyn Clock> = clock;
    let key = aws.config.kms_key_id.as_str();
    let prefix = aws.config.table_prefix.as_str();
    let secrets = || Arc::new(DynamoSecrets::new(&aws.clients.dynamodb, prefix));
    let keys = Arc::new(KmsSealer::new(&aws.clients.kms, key));
    let chance = Arc::new(SystemChance);
    let sealer = Sealer::new(secrets(), keys, Arc::clone(&clock), chance, Policy::default());
    sealer.put(new("s", "value", "https://a.example")).await.unwrap();
    let minute = Duration::from_secs(60);
    let lifetimes = Lifetimes { soft: minute, hard: minute * 2, capacity: 9 };
    let keys = Arc::new(KmsOpener::new(&aws.clients.kms, key));
    let opener = Opener::new(secrets(), keys, Arc::clone(&clock), Policy::default(), lifetimes);
    let open = opener.open(&customer(), &id("s")).await.unwrap_or_else(|e| panic!("{e}"));
    let origins = ["https://a.example".parse().unwrap()];
    assert_eq!(open.values_for(&origins, clock.now()).unwrap()[0].expose(), b"value");
}
