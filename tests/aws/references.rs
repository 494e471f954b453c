//! Secrets that are kept in AWS Secrets Manager or as parameters of Systems Manager, and are named here.

use std::sync::Arc;
use std::time::Duration;

use sealpost::app::App;
use sealpost::config::Config;
use sealpost::domain::dead_letter::DeadLetterFilter;
use sealpost::domain::endpoint::Endpoint;
use sealpost::domain::ids::{CustomerId, SecretId};
use sealpost::domain::secret::{SealedVersion, SecretBytes};
use sealpost::ports::queue::NewMessage;
use sealpost::ports::{Alarm, Clock};
use sealpost::registration::put_reference;
use sealpost::vault::{NewReference, NewSecret, VaultError, WriteError};
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

use crate::aws::Aws;
use crate::outage::Log;
use crate::receiver::{Call, listen};
use crate::sqs::Sqs;

const RULES: [&str; 2] = ["secretsmanager:webhooks/{customerId}/", "ssm:/webhooks/{customerId}/"];

struct Bench {
    app: App,
    aws: Aws,
    clock: Arc<Sqs>,
    origin: String,
    calls: UnboundedReceiver<Call>,
}

async fn bench() -> Option<Bench> {
    let aws = Aws::start().await;
    let Some(clock) = aws.emulated.clone() else {
        println!("needs the emulator: skipped");
        return None;
    };
    let app = app(&aws, &clock, &RULES).await;
    // Receivers here know one token, and refuse every other.
    let (origin, calls) = listen(|call| match call.header("authorization") {
        "Bearer good" | "Bearer rotated" => (204, String::new()),
        _ => (401, String::new()),
    })
    .await;
    let endpoint = json!({"customerId": "c", "endpointId": "e", "url": origin,
                          "auth": [{"scheme": "bearer", "secret": "s"}]});
    let endpoint = Endpoint::from_json(&endpoint.to_string()).unwrap();
    app.endpoints.put(endpoint, None, app.clock.now()).await.unwrap();
    Some(Bench { app, aws, clock, origin, calls })
}

async fn app(aws: &Aws, clock: &Arc<Sqs>, rules: &[&str]) -> App {
    let mut config = Config::default();
    config.egress.allow_http = true;
    config.egress.allow = vec!["127.0.0.1/32".parse().unwrap()];
    config.egress.ports = vec!["1-65535".parse().unwrap()];
    config.secrets.references = rules.iter().map(|rule| rule.parse().unwrap()).collect();
    config.cache.soft = Some(Duration::from_secs(1000));
    config.cache.hard = Some(Duration::from_secs(3000));
    let shared: Arc<dyn Clock> = Arc::clone(clock) as _;
    App::over_aws(&aws.clients, &aws.config, config, shared).await.unwrap()
}

fn ids() -> (CustomerId, SecretId) {
    ("c".parse().unwrap(), "s".parse().unwrap())
}

impl Bench {
    fn secrets_manager(&self, operation: &str, body: Value) {
        self.clock.emulator.call(&format!("secretsmanager.{operation}"), &body);
    }

    fn create(&self, name: &str, value: &str) {
        self.secrets_manager(
            "CreateSecret",
            json!({"Name": name, "SecretString": value,
                             "ClientRequestToken": "11111111-1111-1111-1111-111111111111"}),
        );
    }

    /// As the rotation of Secrets Manager does: the version before bears `AWSPREVIOUS` then.
    fn rotate(&self, name: &str, value: &str) {
        self.secrets_manager(
            "PutSecretValue",
            json!({"SecretId": name, "SecretString": value,
                             "ClientRequestToken": "22222222-2222-2222-2222-222222222222"}),
        );
    }

    fn parameter(&self, name: &str, value: &str) {
        let body = json!({"Name": name, "Value": value, "Type": "SecureString", "Overwrite": true});
        self.clock.emulator.call("AmazonSSM.PutParameter", &body);
    }

    fn reference(&self, customer: &str, reference: &str) -> NewReference {
        NewReference {
            customer: customer.parse().unwrap(),
            secret: "s".parse().unwrap(),
            reference: reference.parse().unwrap(),
            origins: [self.origin.parse().unwrap()].into(),
            overlap: None,
        }
    }

    async fn put(&self, reference: &str) {
        put_reference(&self.app, self.reference("c", reference), None).await.unwrap();
    }

    async fn values(&self) -> Vec<String> {
        let (customer, secret) = ids();
        let open = self.app.vault.open(&customer, &secret).await.unwrap_or_else(|e| panic!("{e}"));
        let origins = [self.origin.parse().unwrap()];
        let values = open.values_for(&origins, self.app.clock.now());
        let values = values.unwrap();
        values.iter().map(|value| value.expose_str().unwrap().to_owned()).collect()
    }

    async fn send(&self) {
        let body = r#"{"customerId":"c","endpointId":"e","data":1}"#.into();
        self.app.queue.send(vec![NewMessage { body, ..NewMessage::default() }]).await.unwrap();
    }

    async fn deliver_due(&self) -> usize {
        let messages = self.app.queue.receive(10, Duration::ZERO).await.unwrap();
        for message in &messages {
            let pipeline = self.app.pipeline().unwrap();
            pipeline.deliver(message, &CancellationToken::new()).await;
        }
        messages.len()
    }

    fn fetches(&self) -> u64 {
        let calls = self.clock.emulator.calls_of("SecretsManager");
        calls.get("GetSecretValue").map_or(0, |count| count.as_u64().unwrap())
    }
}

#[tokio::test]
async fn a_reference_opens_to_what_is_kept_under_its_name_version_and_pointer() {
    let Some(bench) = bench().await else { return };
    bench.create("webhooks/c/plain", "good");
    bench.create("webhooks/c/json", r#"{"user":"u","keys":[{"pass/word":"good"}]}"#);
    bench.rotate("webhooks/c/plain", "rotated");
    bench.parameter("/webhooks/c/p", "first");
    bench.parameter("/webhooks/c/p", r#"{"k":"second"}"#);
    for (reference, value) in [
        ("secretsmanager:webhooks/c/plain", "rotated"),
        ("secretsmanager:webhooks/c/plain?stage=AWSPREVIOUS", "good"),
        ("secretsmanager:webhooks/c/plain?version=11111111-1111-1111-1111-111111111111", "good"),
        ("secretsmanager:webhooks/c/json#/keys/0/pass~1word", "good"),
        ("ssm:/webhooks/c/p?version=1", "first"),
        ("ssm:/webhooks/c/p#/k", "second"),
    ] {
        bench.put(reference).await;
        assert_eq!(bench.values().await, [value], "{reference}");
    }
    let listed = bench.app.secrets.list(None).await.unwrap();
    assert!(listed[0].2.current.is_reference() && listed[0].2.current.facts.is_none());
}

#[tokio::test]
async fn what_was_rotated_where_it_is_kept_is_used_at_once_when_the_old_value_is_refused() {
    let Some(mut bench) = bench().await else { return };
    bench.create("webhooks/c/s", "old");
    bench.put("secretsmanager:webhooks/c/s").await;
    assert_eq!(bench.values().await, ["old"]);
    assert_eq!(bench.fetches(), 1);
    bench.rotate("webhooks/c/s", "rotated");
    assert_eq!(bench.values().await, ["old"], "it is kept like any other secret");
    assert_eq!(bench.fetches(), 1);
    bench.send().await;
    assert_eq!(bench.deliver_due().await, 1);
    let shown = [bench.calls.recv().await.unwrap(), bench.calls.recv().await.unwrap()];
    assert_eq!(
        shown.map(|call| call.header("authorization").to_owned()),
        ["Bearer old", "Bearer rotated"]
    );
    let counts = bench.app.tally.counts();
    assert_eq!((counts.delivered, counts.retried), (1, 0), "in the same attempt");
    assert_eq!(bench.fetches(), 2);
}

#[tokio::test]
async fn the_version_before_serves_beside_it_where_the_reference_says_so() {
    let Some(bench) = bench().await else { return };
    bench.create("webhooks/c/s", "old");
    bench.put("secretsmanager:webhooks/c/s?previous").await;
    assert_eq!(bench.values().await, ["old"], "nothing was before");
    bench.rotate("webhooks/c/s", "new");
    let (customer, secret) = ids();
    bench.app.vault.reread(&customer, &secret).await.unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(bench.values().await, ["new", "old"]);
    // An overlap of the secret's own versions comes first: no more than two are ever in use.
    let mut new = bench.reference("c", "secretsmanager:webhooks/c/s?previous");
    new.overlap = Some(Duration::from_secs(3600));
    put_reference(&bench.app, new, None).await.unwrap();
    assert_eq!(bench.values().await, ["new", "new"]);
}

#[tokio::test]
async fn a_reference_is_neither_moved_nor_made_of_a_value_nor_taken_for_one() {
    let Some(bench) = bench().await else { return };
    bench.create("webhooks/c/s", "good");
    bench.create("webhooks/evil/s", "theirs");
    bench.put("secretsmanager:webhooks/c/s").await;
    let (customer, secret) = ids();
    let sealed = bench.app.secrets.get(&customer, &secret).await.unwrap().unwrap().current;
    // A customer may put any value, and who writes the table may change its kind.
    let value = SecretBytes::new(b"secretsmanager:webhooks/c/s".to_vec());
    let (customer, secret) = ("c".parse().unwrap(), "value".parse().unwrap());
    let origins = sealed.origins.clone();
    let new = NewSecret { customer, secret, value, origins, overlap: None };
    bench.app.vault.put(new).await.unwrap();
    let (customer, secret) = ("c".parse().unwrap(), "value".parse().unwrap());
    let put = bench.app.secrets.get(&customer, &secret).await.unwrap().unwrap().current;
    let as_reference = SealedVersion { sealed: [&[5][..], &put.sealed].concat(), ..put };
    let forged = [
        (ids(), SealedVersion { version: 2, ..sealed.clone() }),
        (("evil".parse().unwrap(), "s".parse().unwrap()), sealed.clone()),
        (("c".parse().unwrap(), "value".parse().unwrap()), as_reference),
        (ids(), SealedVersion { sealed: sealed.sealed[1..].to_vec(), ..sealed.clone() }),
        (ids(), SealedVersion { sealed: [&[6], &sealed.sealed[1..]].concat(), ..sealed.clone() }),
        (ids(), SealedVersion { sealed: [&[5], &sealed.sealed[..]].concat(), ..sealed.clone() }),
    ];
    for (at, ((customer, secret), version)) in forged.into_iter().enumerate() {
        let secrets = &bench.app.secrets;
        let record = secrets.record(&customer, &secret).await.unwrap();
        secrets.change(&customer, &secret, record.make_current(version, None)).await.unwrap();
        // Another worker, whose cache is empty.
        let other = app(&bench.aws, &bench.clock, &RULES).await;
        let refused = other.vault.open(&customer, &secret).await.err().unwrap();
        assert!(matches!(*refused, VaultError::NotDecrypted { .. }), "{at}: {refused}");
    }
    assert_eq!(bench.fetches(), 0, "nothing was followed");
}

#[tokio::test]
async fn one_customer_cannot_name_what_is_another_s() {
    let Some(bench) = bench().await else { return };
    for (customer, reference) in [
        ("c", "secretsmanager:webhooks/other/s"),
        ("c", "secretsmanager:webhooks/c2/s"),
        ("c", "secretsmanager:prod/database"),
        ("c", "ssm:webhooks/c/s"),
        (
            "c",
            "secretsmanager:arn:aws:secretsmanager:us-east-1:123456789012:secret:webhooks/c/s-AbCdEf",
        ),
        ("other", "secretsmanager:webhooks/c/s"),
    ] {
        let refused =
            bench.app.vault.put_reference(bench.reference(customer, reference), None).await;
        let refused = refused.err().unwrap();
        assert!(matches!(refused, WriteError::ReferenceNotAllowed { .. }), "{refused}");
        assert!(refused.to_string().contains(reference), "{refused}");
    }
    let none = app(&bench.aws, &bench.clock, &[]).await;
    let own = bench.reference("c", "secretsmanager:webhooks/c/s");
    assert!(none.vault.put_reference(own, None).await.is_err(), "nothing is allowed by itself");
}

/// What is wrong, how it is mended, and the alarm that is raised.
type Trouble = (Option<Alarm>, fn(&Bench), fn(&Bench));

const NAME: &str = "webhooks/c/s";
const GOOD: &str = r#"{"token":"good"}"#;

#[tokio::test]
async fn what_is_wrong_with_a_reference_is_our_fault_and_the_same_worker_goes_on_when_it_is_mended()
{
    let troubles: [Trouble; 6] = [
        (Some(Alarm::ReferenceNotFound), |_| {}, |bench| bench.create(NAME, GOOD)),
        (
            Some(Alarm::ReferenceAccessDenied),
            |bench| {
                bench.create(NAME, GOOD);
                bench.clock.emulator.fail("GetSecretValue", 400, "AccessDeniedException", 1);
            },
            |_| {},
        ),
        (
            None,
            |bench| {
                bench.create(NAME, GOOD);
                // As often as one call is made.
                bench.clock.emulator.fail("GetSecretValue", 400, "ThrottlingException", 3);
            },
            |_| {},
        ),
        (
            Some(Alarm::ReferenceDeleted),
            |bench| {
                bench.create(NAME, GOOD);
                bench.secrets_manager("DeleteSecret", json!({"SecretId": NAME}));
            },
            |bench| bench.secrets_manager("RestoreSecret", json!({"SecretId": NAME})),
        ),
        (
            Some(Alarm::ReferenceUnusable),
            |bench| bench.create(NAME, "no JSON"),
            |bench| bench.rotate(NAME, GOOD),
        ),
        (
            None,
            |bench| {
                bench.create(NAME, GOOD);
                bench.clock.emulator.fail("GetSecretValue", 500, "InternalServiceError", 3);
            },
            |_| {},
        ),
    ];
    for (at, (alarm, break_it, mend)) in troubles.into_iter().enumerate() {
        let Some(mut bench) = bench().await else { return };
        bench.put("secretsmanager:webhooks/c/s#/token").await;
        break_it(&bench);
        let log = Log::default();
        let writer = log.clone();
        let lines = tracing_subscriber::fmt().json().flatten_event(true);
        let lines = lines.with_writer(move || writer.clone()).finish();
        let _logging = tracing::subscriber::set_default(lines);
        bench.send().await;
        assert_eq!(bench.deliver_due().await, 1);
        let counts = bench.app.tally.counts();
        assert_eq!((counts.faults, counts.delivered, counts.retried), (1, 0, 0), "{at}");
        assert_eq!(log.alarms(), [alarm.map_or("-", Alarm::name)], "{at}");
        mend(&bench);
        bench.clock.advance(Duration::from_secs(10));
        assert_eq!(bench.deliver_due().await, 1, "{at}");
        let counts = bench.app.tally.counts();
        assert_eq!((counts.faults, counts.delivered), (1, 1), "{at}");
        assert!(bench.calls.try_recv().is_ok() && bench.calls.try_recv().is_err(), "one call");
        let all = DeadLetterFilter::default();
        let dead = bench.app.deliveries.list_dead_letters(&all, None, 9).await;
        assert!(dead.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_reference_that_the_settings_allow_no_more_is_not_followed() {
    let Some(bench) = bench().await else { return };
    bench.create("webhooks/c/s", "good");
    bench.put("secretsmanager:webhooks/c/s").await;
    let narrow = app(&bench.aws, &bench.clock, &["secretsmanager:other/{customerId}/"]).await;
    let (customer, secret) = ids();
    let refused = narrow.vault.open(&customer, &secret).await.err().unwrap();
    let VaultError::Ours(error) = &*refused else { panic!("{refused}") };
    assert_eq!(error.alarm, Some(Alarm::ReferenceNotAllowed));
    assert_eq!(bench.fetches(), 0);
}
