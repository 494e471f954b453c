use super::super::tests::{Bench, bench_with, origins, stored, values};
use super::*;
use crate::domain::secret::SealedKind;
use crate::ports::endpoints::PutResult;
use crate::vault::Vault;
use crate::vault::{NewSecret, Policy, Rollback, Sealing, WriteError};

const TENANT: Policy = Policy { sealing: Sealing::TenantKey, accept_unbound: false };
const HOME: &str = "https://a.example";

pub fn id(text: &str) -> CustomerId {
    text.parse().unwrap()
}

/// A store whose writers seal to tenant keys.
pub fn tenants() -> Bench {
    bench_with(TENANT)
}

pub async fn put(
    vault: &Vault,
    customer: &str,
    secret: &str,
    value: &str,
) -> Result<PutResult, WriteError> {
    let (customer, secret) = (id(customer), secret.parse().unwrap());
    let value = SecretBytes::new(value.as_bytes().to_vec());
    let new = NewSecret { customer, secret, value, origins: origins(HOME), overlap: None };
    vault.put(new).await
}

/// What another process opens, which has nothing in its cache.
async fn opened(bench: &Bench, customer: &str, secret: &str) -> Result<Vec<String>, String> {
    let secret = secret.parse().unwrap();
    let open = bench.elsewhere().vault.open(&id(customer), &secret).await;
    open.map(|open| values(&open, HOME)).map_err(|e| e.to_string())
}

async fn key_row(bench: &Bench, customer: &str) -> SealedVersion {
    let record = bench.vault.secrets.record(&id(customer), &SecretId::tenant_key()).await.unwrap();
    record.secret.unwrap().current
}

#[tokio::test]
async fn the_first_value_makes_the_customer_s_key_and_the_next_are_sealed_to_it() {
    let bench = tenants();
    for secret in ["one", "two"] {
        put(&bench.vault, "acme", secret, secret).await.unwrap();
        assert_eq!(opened(&bench, "acme", secret).await.unwrap(), [secret]);
    }
    let keys = bench.vault.tenant_keys(None).await.unwrap();
    assert_eq!((keys.len(), keys[0].generation), (1, 1));
    let again = bench.vault.create_tenant_key(&id("acme")).await.unwrap_err();
    assert!(matches!(again, TenantKeyError::AlreadyThere { generation: 1, .. }), "{again}");
}

#[tokio::test]
async fn of_two_first_writers_both_seal_to_the_one_key() {
    let bench = tenants();
    let (one, two) = (bench.elsewhere(), bench.elsewhere());
    let puts = (put(&one.vault, "acme", "one", "1"), put(&two.vault, "acme", "two", "2"));
    let (one, two) = tokio::join!(puts.0, puts.1);
    assert!(one.is_ok() && two.is_ok());
    assert_eq!(opened(&bench, "acme", "one").await.unwrap(), ["1"]);
    assert_eq!(opened(&bench, "acme", "two").await.unwrap(), ["2"]);
    assert_eq!(key_row(&bench, "acme").await.version, 1);
}

#[tokio::test]
async fn what_is_sealed_to_any_generation_opens_after_the_key_was_rotated_again_and_again() {
    let bench = tenants();
    put(&bench.vault, "acme", "g1", "1").await.unwrap();
    for generation in 2..=4 {
        let rotated = bench.vault.rotate_tenant_key(&id("acme")).await.unwrap();
        assert_eq!(rotated.generation, generation);
        let name = format!("g{generation}");
        put(&bench.vault, "acme", &name, &generation.to_string()).await.unwrap();
    }
    for generation in 1..=4 {
        let found = opened(&bench, "acme", &format!("g{generation}")).await.unwrap();
        assert_eq!(found, [generation.to_string()]);
    }
    let none = bench.vault.rotate_tenant_key(&id("nobody")).await.unwrap_err();
    assert!(none.to_string().contains("`sealpost tenant-key create nobody`"), "{none}");
}

#[tokio::test]
async fn a_shredded_key_opens_nothing_and_nothing_is_sealed_until_a_new_one_is_asked_for() {
    let bench = tenants();
    let customer = id("acme");
    for secret in ["s", "other"] {
        put(&bench.vault, "acme", secret, "lost").await.unwrap();
        bench.vault.rotate_tenant_key(&customer).await.unwrap();
    }
    bench.vault.rotate_tenant_key(&customer).await.unwrap();
    let shredded = bench.vault.shred_tenant_key(&customer).await.unwrap();
    assert_eq!((shredded.generation, shredded.public), (5, None));
    for secret in ["s", "other"] {
        let refused = opened(&bench, "acme", secret).await.unwrap_err();
        assert!(refused.contains("tenant key was shredded"), "{refused}");
    }
    let refused = put(&bench.vault, "acme", "s", "new").await.unwrap_err();
    assert!(refused.to_string().contains("`sealpost tenant-key create acme`"), "{refused}");
    // Of the private halves nothing is left in the store, not even wrapped.
    assert_eq!(key_row(&bench, "acme").await.sealed, StoredKey::Shredded.bytes());
    let past = bench.vault.secrets.history(&customer, &SecretId::tenant_key()).await.unwrap();
    assert_eq!(past, []);
    assert_eq!(bench.vault.shred_tenant_key(&customer).await.unwrap(), shredded, "once is enough");

    assert_eq!(bench.vault.create_tenant_key(&customer).await.unwrap().generation, 6);
    put(&bench.vault, "acme", "s", "new").await.unwrap();
    assert_eq!(opened(&bench, "acme", "s").await.unwrap(), ["new"]);
    for _ in 0..2 {
        let refused = opened(&bench, "acme", "other").await.unwrap_err();
        assert!(refused.contains("generation 2 of the customer's tenant key was shredded"));
        bench.vault.rotate_tenant_key(&customer).await.unwrap();
    }
}

#[tokio::test]
async fn a_shredding_that_was_cut_short_is_brought_to_its_end_by_the_next() {
    let bench = tenants();
    put(&bench.vault, "acme", "s", "lost").await.unwrap();
    for _ in 0..3 {
        bench.vault.rotate_tenant_key(&id("acme")).await.unwrap();
    }
    let key = SecretId::tenant_key();
    let past = async || bench.vault.secrets.history(&id("acme"), &key).await.unwrap().len();
    assert_eq!(past().await, 2);
    bench.tamper("CREATE TABLE kept AS SELECT * FROM secret_versions").await;
    bench.vault.shred_tenant_key(&id("acme")).await.unwrap();
    // As if it had ended before the older generations were removed.
    bench.tamper("INSERT INTO secret_versions SELECT * FROM kept").await;
    assert_eq!(past().await, 2);
    let refused = opened(&bench, "acme", "s").await.unwrap_err();
    assert!(refused.contains("was shredded"), "{refused}");
    bench.vault.shred_tenant_key(&id("acme")).await.unwrap();
    assert_eq!(past().await, 0);
}

/// Stores a tenant key's row as it is.
async fn put_key(bench: &Bench, customer: &str, sealed: Vec<u8>, version: u64) {
    let (customer, key) = (id(customer), SecretId::tenant_key());
    bench.vault.secrets.delete(&customer, &key, None).await.unwrap();
    let record = bench.vault.secrets.record(&customer, &key).await.unwrap();
    let created_at = bench.vault.clock.now();
    let version = SealedVersion { version, sealed, origins: [].into(), created_at, facts: None };
    let change = record.make_current(version, None);
    assert!(matches!(
        bench.vault.secrets.change(&customer, &key, change).await.unwrap(),
        PutResult::Put(_)
    ));
}

#[tokio::test]
async fn any_bit_flipped_anywhere_in_a_stored_key_keeps_what_is_sealed_to_it_from_opening() {
    let bench = tenants();
    put(&bench.vault, "acme", "s", "value").await.unwrap();
    let row = key_row(&bench, "acme").await.sealed;
    for bit in 0..row.len() * 8 {
        let mut flipped = row.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        put_key(&bench, "acme", flipped, 1).await;
        assert!(opened(&bench, "acme", "s").await.is_err(), "bit {bit}");
    }
    put_key(&bench, "acme", row, 1).await;
    assert_eq!(opened(&bench, "acme", "s").await.unwrap(), ["value"]);
}

#[tokio::test]
async fn a_key_copied_to_another_customer_or_generation_opens_nothing() {
    let bench = tenants();
    for customer in ["acme", "evil"] {
        put(&bench.vault, customer, "s", "value").await.unwrap();
    }
    let row = key_row(&bench, "acme").await.sealed;
    put_key(&bench, "evil", row.clone(), 1).await;
    // What is sealed then could be read by whoever has put the row there, and does not open.
    put(&bench.vault, "evil", "new", "value").await.unwrap();
    for secret in ["s", "new"] {
        let refused = opened(&bench, "evil", secret).await.unwrap_err();
        assert!(refused.contains("generation 1 of the key"), "{refused}");
    }
    put_key(&bench, "acme", row, 2).await;
    put(&bench.vault, "acme", "s", "value").await.unwrap();
    assert!(opened(&bench, "acme", "s").await.is_err());
}

#[tokio::test]
async fn a_value_opens_for_no_other_customer_name_version_or_origin() {
    let bench = tenants();
    put(&bench.vault, "acme", "s", "value").await.unwrap();
    put(&bench.vault, "evil", "s", "value").await.unwrap();
    let version = stored(&bench).await;
    let opens = async |customer: &str, secret: &str, version: &SealedVersion| {
        let secret = secret.parse().unwrap();
        bench.vault.opener.open_version(&id(customer), &secret, version).await.is_ok()
    };
    assert!(opens("acme", "s", &version).await);
    assert!(!opens("evil", "s", &version).await);
    assert!(!opens("acme", "other", &version).await);
    assert!(!opens("acme", "s", &SealedVersion { version: 2, ..version.clone() }).await);
    let elsewhere = origins("https://evil.example");
    assert!(!opens("acme", "s", &SealedVersion { origins: elsewhere, ..version.clone() }).await);
    let mut relabelled = version.clone();
    for kind in [SealedKind::Envelope, SealedKind::Direct, SealedKind::Unbound] {
        relabelled.sealed[0] = kind.byte();
        assert!(!opens("acme", "s", &relabelled).await, "{kind:?}");
    }
}

#[tokio::test]
async fn a_tenant_key_is_no_secret_that_could_be_put_rolled_back_purged_or_sent() {
    let bench = tenants();
    put(&bench.vault, "acme", "s", "value").await.unwrap();
    bench.vault.rotate_tenant_key(&id("acme")).await.unwrap();
    let key = SecretId::tenant_key();
    let (vault, reserved) = (&bench.vault, |e: WriteError| matches!(e, WriteError::Reserved(_)));
    assert!(reserved(put(vault, "acme", key.as_str(), "value").await.unwrap_err()));
    let back = Rollback { customer: id("acme"), secret: key.clone(), to: 1, overlap: None };
    assert!(reserved(vault.roll_back(back, None).await.unwrap_err()));
    assert!(reserved(vault.purge(&id("acme"), &key, &[1]).await.unwrap_err()));
    assert!(opened(&bench, "acme", key.as_str()).await.is_err());
}
