//! Secrets that other programs sealed with KMS alone, without an encryption context.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_kms::primitives::Blob;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use sealpost::adapters::aws::KmsOpener;
use sealpost::app::App;
use sealpost::config::Config;
use sealpost::domain::ids::{CustomerId, SecretId};
use sealpost::domain::origin::Origin;
use sealpost::domain::secret::SecretBytes;
use sealpost::ports::keys::Unwrapped;
use sealpost::ports::{Clock, OpenKeys};
use sealpost::vault::{NewSecret, Vault, VaultError};

use crate::aws::Aws;
use crate::producers::producer;
use crate::sqs::Sqs;

const VALUE: &str = "super-secret-api-key-xyz";

struct Bench {
    app: App,
    clock: Arc<Sqs>,
    aws: Aws,
    /// The key of those who wrote the rows.
    legacy: String,
}

async fn bench(accept: bool) -> Option<Bench> {
    let mut aws = Aws::start().await;
    let Some(clock) = aws.emulated.clone() else {
        println!("needs the emulator: skipped");
        return None;
    };
    let legacy = aws.add_legacy_key().await;
    // Although the program's own is named, too: what was sealed for a context opens without one nowhere.
    aws.config.legacy_kms_key_ids.insert(0, aws.config.kms_key_id.clone());
    let mut config = Config::default();
    config.secrets.accept_unbound_secrets = accept;
    let shared: Arc<dyn Clock> = Arc::clone(&clock) as _;
    let app = App::over_aws(&aws.clients, &aws.config, config, shared).await.unwrap();
    Some(Bench { app, clock, aws, legacy })
}

fn ids() -> (CustomerId, SecretId) {
    ("customer-123".parse().unwrap(), "api-key".parse().unwrap())
}

fn origin(text: &str) -> Origin {
    text.parse().unwrap()
}

impl Bench {
    /// Writes the row as a program in JavaScript does.
    fn write_from_node(&self) {
        let (customer, secret) = ids();
        let table = format!("{}secrets", self.aws.config.table_prefix);
        let output = producer("node", "unbound-secret.mjs")
            .args([&table, &self.legacy])
            .args([customer.as_str(), secret.as_str(), VALUE])
            .env("AWS_ENDPOINT_URL", self.clock.emulator.url())
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Writes the row with the Rust SDK, as the clients in other languages do.
    async fn write(&self, value: &str) {
        self.write_under(&self.legacy, value).await;
    }

    async fn write_under(&self, key: &str, value: &str) {
        let plaintext = Blob::new(value.as_bytes());
        let sealed = self.aws.clients.kms.encrypt().key_id(key).plaintext(plaintext).send().await;
        self.write_row(&BASE64_STANDARD.encode(sealed.unwrap().ciphertext_blob.unwrap())).await;
    }

    async fn write_row(&self, encrypted: &str) {
        let (customer, secret) = ids();
        let text = |text: &str| AttributeValue::S(text.to_owned());
        (self.aws.clients.dynamodb.put_item())
            .table_name(format!("{}secrets", self.aws.config.table_prefix))
            .item("customerId", text(customer.as_str()))
            .item("secretId", text(secret.as_str()))
            .item("encryptedValue", text(encrypted))
            .item("createdAt", text("2025-12-01T10:00:00.000Z"))
            .send()
            .await
            .unwrap();
    }

    async fn values(&self, vault: &Vault, at: &str) -> Vec<String> {
        let (customer, secret) = ids();
        let open = vault.open(&customer, &secret).await.unwrap_or_else(|e| panic!("{e}"));
        let origins = [origin(at)];
        let values = open.values_for(&origins, self.clock.now()).unwrap_or_default();
        values.iter().map(|value| value.expose_str().unwrap().to_owned()).collect()
    }

    async fn put(&self, value: &str, overlap: Option<Duration>) {
        let (customer, secret) = ids();
        let value = SecretBytes::new(value.as_bytes().to_vec());
        let origins = [origin("https://a.example")].into();
        let new = NewSecret { customer, secret, value, origins, overlap };
        self.app.vault.put(new).await.unwrap();
    }
}

#[tokio::test]
async fn a_row_written_from_javascript_is_read_where_unbound_secrets_are_accepted() {
    let Some(bench) = bench(true).await else { return };
    bench.write_from_node();
    assert_eq!(bench.values(&bench.app.vault, "https://anywhere.example").await, [VALUE]);
    let (customer, _) = ids();
    let listed = bench.app.secrets.list(Some(&customer)).await.unwrap();
    assert!(listed.len() == 1 && listed[0].2.current.is_unbound());
}

#[tokio::test]
async fn otherwise_it_is_refused_with_an_error_that_names_the_setting() {
    let Some(bench) = bench(false).await else { return };
    bench.write(VALUE).await;
    let (customer, secret) = ids();
    let refused = bench.app.vault.open(&customer, &secret).await.err().unwrap();
    assert!(matches!(*refused, VaultError::Unbound { .. }), "{refused}");
    assert!(refused.to_string().contains("accept_unbound_secrets"), "{refused}");
    let decrypts = bench.clock.emulator.calls_of("KMS").contains_key("Decrypt");
    assert!(!decrypts, "what is refused is not even opened");
}

#[tokio::test]
async fn a_row_opens_with_the_keys_that_are_named_for_such_values_and_with_no_other() {
    let Some(bench) = bench(true).await else { return };
    let stranger = bench.aws.clients.kms.create_key().send().await.unwrap();
    bench.write_under(&stranger.key_metadata.unwrap().key_id, VALUE).await;
    let (customer, secret) = ids();
    let refused = bench.app.vault.open(&customer, &secret).await.err().unwrap();
    assert!(matches!(*refused, VaultError::NotDecrypted { .. }), "{refused}");
    // Where none is named, not even the program's own key opens what has no context.
    let key = bench.aws.config.kms_key_id.as_str();
    let unnamed = KmsOpener::new(&bench.aws.clients.kms, key);
    let sealed = bench.aws.clients.kms.encrypt().key_id(key).plaintext(Blob::new(b"v".as_slice()));
    let sealed = sealed.send().await.unwrap().ciphertext_blob.unwrap();
    let decrypts = bench.clock.emulator.calls_of("KMS")["Decrypt"].clone();
    match unnamed.unwrap(sealed.as_ref(), &[]).await.unwrap() {
        Unwrapped::Opened(_) => panic!("it opened"),
        Unwrapped::Refused(why) => assert!(why.contains("`aws.legacy_kms_key_ids`"), "{why}"),
    }
    assert_eq!(bench.clock.emulator.calls_of("KMS")["Decrypt"], decrypts, "KMS is not asked");
}

#[tokio::test]
async fn a_row_that_holds_no_ciphertext_is_the_secret_s_fault_and_not_ours() {
    let Some(bench) = bench(true).await else { return };
    let (customer, secret) = ids();
    let long = "A".repeat(8196);
    for nonsense in ["?not base64?", "bm8gY2lwaGVydGV4dA==", "", &long] {
        bench.write_row(nonsense).await;
        let refused = bench.app.vault.open(&customer, &secret).await.err().unwrap();
        assert!(matches!(*refused, VaultError::NotDecrypted { .. }), "{refused}");
    }
}

#[tokio::test]
async fn putting_the_secret_again_binds_it_and_the_unbound_value_serves_until_the_overlap_ends() {
    let Some(bench) = bench(true).await else { return };
    bench.write(VALUE).await;
    bench.put("bound", Some(Duration::from_secs(60))).await;
    let vault = &bench.app.vault;
    assert_eq!(bench.values(vault, "https://a.example").await, ["bound", VALUE]);
    assert!(bench.values(vault, "https://b.example").await.is_empty(), "the new value is bound");
    bench.put("later", Some(Duration::from_secs(60))).await;
    assert_eq!(bench.values(vault, "https://a.example").await, ["later", "bound"]);
    bench.put("last", None).await;
    assert_eq!(bench.values(vault, "https://a.example").await, ["last"]);
}

#[tokio::test]
async fn a_bound_row_rewritten_without_its_binding_does_not_open() {
    let Some(bench) = bench(true).await else { return };
    bench.put("bound", None).await;
    let (customer, secret) = ids();
    let current = bench.app.secrets.get(&customer, &secret).await.unwrap().unwrap().current;
    // The wrapped data key of the envelope, passed off as a value that nobody bound.
    let length = usize::from(u16::from_be_bytes([current.sealed[33], current.sealed[34]]));
    let forged = BASE64_STANDARD.encode(&current.sealed[35..35 + length]);
    (bench.aws.clients.dynamodb.put_item())
        .table_name(format!("{}secrets", bench.aws.config.table_prefix))
        .item("customerId", AttributeValue::S(customer.to_string()))
        .item("secretId", AttributeValue::S("other".to_owned()))
        .item("encryptedValue", AttributeValue::S(forged))
        .send()
        .await
        .unwrap();
    let refused = bench.app.vault.open(&customer, &"other".parse().unwrap()).await.err().unwrap();
    assert!(matches!(*refused, VaultError::NotDecrypted { .. }), "{refused}");
}
