//! Upgrading secrets that other programs sealed with KMS alone: they are bound where they lie, inside KMS.

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_kms::primitives::Blob;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use sealpost::adapters::aws::KmsRebind;
use sealpost::app::App;
use sealpost::config::Config;
use sealpost::domain::ids::{CustomerId, SecretId};
use sealpost::domain::secret::{SealedKind, SealedVersion};
use sealpost::ports::keys::Context;
use sealpost::ports::rebind::{Rebind, Rebound};
use sealpost::ports::{Clock, Result};
use sealpost::vault::{Upgraded, VaultError, upgrade};

use crate::aws::Aws;

const VALUE: &str = "super-secret-api-key-xyz";

struct Bench {
    app: App,
    aws: Aws,
    /// The key of those who wrote the rows.
    legacy: String,
}

async fn bench() -> Option<Bench> {
    let mut aws = Aws::start().await;
    let Some(clock) = aws.emulated.clone() else {
        println!("needs the emulator: skipped");
        return None;
    };
    let legacy = aws.add_legacy_key().await;
    let app = App::over_aws(&aws.clients, &aws.config, Config::default(), clock as Arc<dyn Clock>);
    Some(Bench { app: app.await.unwrap(), aws, legacy })
}

fn ids() -> (CustomerId, SecretId) {
    ("customer-123".parse().unwrap(), "api-key".parse().unwrap())
}

impl Bench {
    async fn sealed(&self) -> String {
        let plaintext = Blob::new(VALUE.as_bytes());
        let sealed =
            self.aws.clients.kms.encrypt().key_id(&self.legacy).plaintext(plaintext).send().await;
        BASE64_STANDARD.encode(sealed.unwrap().ciphertext_blob.unwrap())
    }

    /// Writes the row as programs in other languages do: over whatever is there.
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

    async fn current(&self) -> SealedVersion {
        let (customer, secret) = ids();
        self.app.secrets.get(&customer, &secret).await.unwrap().unwrap().current
    }

    async fn upgrade(&self, rebind: &dyn Rebind, from: &SealedVersion) -> Result<Upgraded> {
        let (customer, secret) = ids();
        let origins = ["https://a.example".parse().unwrap()].into();
        upgrade((&*self.app.secrets, rebind), (&customer, &secret), from, origins).await
    }

    fn kms(&self) -> KmsRebind {
        let (config, kms) = (&self.aws.config, &self.aws.clients.kms);
        KmsRebind::new(kms, config.kms_key_id.as_str(), config.legacy_keys())
    }

    fn calls(&self, operation: &str) -> u64 {
        let calls = self.aws.emulated.as_ref().unwrap().emulator.calls_of("KMS");
        calls.get(operation).map_or(0, |count| count.as_u64().unwrap())
    }
}

#[tokio::test]
async fn a_row_is_bound_where_it_lies_and_its_value_stays_within_kms() {
    let Some(bench) = bench().await else { return };
    bench.write_row(&bench.sealed().await).await;
    let unbound = bench.current().await;
    let encrypts = bench.calls("Encrypt");
    assert_eq!(bench.upgrade(&bench.kms(), &unbound).await.unwrap(), Upgraded::Done(1));
    let operations = ["ReEncrypt", "Decrypt", "GenerateDataKey"].map(|name| bench.calls(name));
    assert_eq!((operations, bench.calls("Encrypt")), ([1, 0, 0], encrypts));

    let bound = bench.current().await;
    assert_eq!((bound.version, bound.created_at), (1, unbound.created_at));
    assert_eq!(bound.origins, ["https://a.example".parse().unwrap()].into());
    assert_eq!(SealedKind::split(&bound.sealed).unwrap().0, SealedKind::Direct);
    // No setting allows unbound secrets here.
    let (customer, secret) = ids();
    let open = bench.app.vault.open(&customer, &secret).await.unwrap_or_else(|e| panic!("{e}"));
    let (home, elsewhere) =
        (["https://a.example".parse().unwrap()], ["https://b.example".parse().unwrap()]);
    let now = bench.app.clock.now();
    assert_eq!(open.values_for(&home, now).unwrap()[0].expose(), VALUE.as_bytes());
    assert!(open.values_for(&elsewhere, now).is_err());
    // It opens in no other row.
    let other: CustomerId = "evil".parse().unwrap();
    let record = bench.app.secrets.record(&other, &secret).await.unwrap();
    bench.app.secrets.change(&other, &secret, record.make_current(bound, None)).await.unwrap();
    let refused = bench.app.vault.open(&other, &secret).await.err().unwrap();
    assert!(matches!(*refused, VaultError::NotDecrypted { .. }), "{refused}");
    let record = bench.app.secrets.record(&customer, &secret).await.unwrap();
    assert_eq!(record.last_version, 1, "the next put is version 2");
}

/// Binds as KMS does, while another program writes the row anew.
struct Meanwhile<'b>(&'b Bench);

#[async_trait]
impl Rebind for Meanwhile<'_> {
    async fn bind(&self, wrapped: &[u8], context: &Context) -> Result<Rebound> {
        self.0.write_row(&self.0.sealed().await).await;
        self.0.kms().bind(wrapped, context).await
    }
}

#[tokio::test]
async fn a_row_that_was_written_in_between_stays_as_its_writer_left_it() {
    let Some(bench) = bench().await else { return };
    bench.write_row(&bench.sealed().await).await;
    let seen = bench.current().await;
    assert_eq!(bench.upgrade(&Meanwhile(&bench), &seen).await.unwrap(), Upgraded::Changed);
    let now = bench.current().await;
    assert!(now.is_unbound() && now != seen);
    assert_eq!(bench.upgrade(&bench.kms(), &seen).await.unwrap(), Upgraded::Changed);
    assert_eq!(bench.upgrade(&bench.kms(), &now).await.unwrap(), Upgraded::Done(1));
    assert_eq!(bench.upgrade(&bench.kms(), &now).await.unwrap(), Upgraded::Changed);
}

#[tokio::test]
async fn an_upgrade_whose_answer_was_lost_is_no_conflict() {
    let Some(bench) = bench().await else { return };
    bench.write_row(&bench.sealed().await).await;
    let seen = bench.current().await;
    bench.aws.emulated.as_ref().unwrap().emulator.lose_answer("UpdateItem");
    assert_eq!(bench.upgrade(&bench.kms(), &seen).await.unwrap(), Upgraded::Done(1));
}

#[tokio::test]
async fn what_is_no_ciphertext_of_the_key_is_refused_and_trouble_of_kms_is_not() {
    let Some(bench) = bench().await else { return };
    for nonsense in ["bm8gY2lwaGVydGV4dA==", "", &"A".repeat(8196)] {
        bench.write_row(nonsense).await;
        let seen = bench.current().await;
        let refused = bench.upgrade(&bench.kms(), &seen).await.unwrap();
        assert!(matches!(refused, Upgraded::Refused(_)), "{refused:?}");
        assert_eq!(bench.current().await, seen);
    }
    let bound = bench
        .aws
        .clients
        .kms
        .encrypt()
        .key_id(&bench.legacy)
        .plaintext(Blob::new(VALUE.as_bytes()));
    let bound = bound.encryption_context("customerId", "evil").send().await.unwrap();
    bench.write_row(&BASE64_STANDARD.encode(bound.ciphertext_blob.unwrap())).await;
    let seen = bench.current().await;
    let refused = bench.upgrade(&bench.kms(), &seen).await.unwrap();
    assert!(
        matches!(refused, Upgraded::Refused(_)),
        "what is bound is not bound anew: {refused:?}"
    );
    bench.write_row(&bench.sealed().await).await;
    let emulator = &bench.aws.emulated.as_ref().unwrap().emulator;
    emulator.fail("ReEncrypt", 400, "AccessDeniedException", 100);
    let seen = bench.current().await;
    let denied = bench.upgrade(&bench.kms(), &seen).await.unwrap_err();
    assert!(denied.to_string().contains("access denied"), "{denied}");
}
