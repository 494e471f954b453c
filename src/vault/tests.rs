use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::adapters::embedded::{Database, KeyFile, SqliteSecrets};
use crate::adapters::system::{SystemChance, SystemClock};
use crate::domain::origin::Origin;
use crate::domain::secret::MAX_VALUE;
use crate::domain::secret::SealedKind;
use crate::ports::endpoints::PutResult;
use crate::ports::keys::{DataKey, MAX_WRAPPED};

pub fn origins(text: &str) -> BTreeSet<Origin> {
    [text.parse().unwrap()].into()
}

pub struct Bench {
    pub vault: Vault,
    database: Database,
    _dir: tempfile::TempDir,
}

pub fn bench() -> Bench {
    bench_with(Policy::default())
}

pub fn bench_with(policy: Policy) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::open(&dir.path().join("t.db")).unwrap();
    let keys = KeyFile::open_or_create(&dir.path().join("key")).unwrap();
    let lifetimes =
        Lifetimes { soft: Duration::from_secs(30), hard: Duration::from_secs(120), capacity: 10 };
    let secrets = Arc::new(SqliteSecrets(database.clone()));
    Bench {
        vault: Vault::new(
            secrets,
            Arc::new(keys),
            Arc::new(SystemClock),
            Arc::new(SystemChance),
            policy,
            lifetimes,
        ),
        database,
        _dir: dir,
    }
}

impl Bench {
    pub async fn put(&self, customer: &str, value: &str, overlap: Option<Duration>) -> PutResult {
        let new = NewSecret {
            customer: customer.parse().unwrap(),
            secret: "s".parse().unwrap(),
            value: SecretBytes::new(value.as_bytes().to_vec()),
            origins: origins("https://a.example"),
            overlap,
        };
        self.vault.put(new).await.unwrap()
    }

    /// Another process on the same store: the cache knows nothing of what it puts.
    pub fn elsewhere(&self) -> Self {
        let none = Lifetimes { soft: Duration::ZERO, hard: Duration::ZERO, capacity: 1 };
        let (open, keys) = (SoftCache::new(none), tenant::OpenKeys::new(none));
        let (open, open_keys) = (Arc::new(open), Arc::new(keys));
        let mut vault = self.vault.clone();
        (vault.opener.open, vault.opener.open_keys) = (Arc::clone(&open), Arc::clone(&open_keys));
        vault.opener.public_halves = Arc::new(SoftCache::new(none));
        (vault.sealer.open, vault.sealer.open_keys) = (open, open_keys);
        let database = self.database.clone();
        Self { vault, database, _dir: tempfile::tempdir().unwrap() }
    }

    pub async fn open(&self, customer: &str) -> Result<Arc<OpenSecret>, Arc<VaultError>> {
        self.vault.open(&customer.parse().unwrap(), &"s".parse().unwrap()).await
    }

    pub async fn tamper(&self, sql: &'static str) {
        self.database.write("tamper", move |c| c.execute_batch(sql)).await.unwrap();
    }
}

pub fn values(open: &OpenSecret, origin: &str) -> Vec<String> {
    let now = SystemClock.now();
    let origins = [origin.parse().unwrap()];
    let values = open.values_for(&origins, now).unwrap_or_default();
    values.iter().map(|v| v.expose_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_value_opens_for_its_origin_and_no_other() {
    let bench = bench();
    assert_eq!(bench.put("a", "one", None).await, PutResult::Put(1));
    let open = bench.open("a").await.unwrap();
    assert_eq!(values(&open, "https://a.example"), ["one"]);
    assert!(values(&open, "https://b.example").is_empty());
    assert!(values(&open, "http://a.example").is_empty());
}

#[tokio::test]
async fn during_an_overlap_both_values_are_in_use_the_new_one_first() {
    let bench = bench();
    bench.put("a", "one", None).await;
    bench.put("a", "two", Some(Duration::from_secs(60))).await;
    assert_eq!(values(&bench.open("a").await.unwrap(), "https://a.example"), ["two", "one"]);
    bench.put("a", "three", None).await;
    assert_eq!(values(&bench.open("a").await.unwrap(), "https://a.example"), ["three"]);
}

#[tokio::test]
async fn a_row_copied_to_another_customer_does_not_open() {
    let bench = bench();
    bench.put("a", "one", None).await;
    bench.tamper("INSERT INTO secrets SELECT 'b', secret_id, version, record FROM secrets").await;
    let refused = bench.open("b").await.err().unwrap();
    assert!(matches!(*refused, VaultError::NotDecrypted { .. }), "{refused}");
}

#[tokio::test]
async fn an_old_version_served_as_new_and_changed_origins_do_not_open() {
    for change in [
        r#"UPDATE secrets SET record = replace(record, '"version":1', '"version":2')"#,
        "UPDATE secrets SET record = replace(record, 'a.example', 'b.example')",
    ] {
        let bench = bench();
        bench.put("a", "one", None).await;
        bench.tamper(change).await;
        let refused = bench.open("a").await.err().unwrap();
        assert!(matches!(*refused, VaultError::NotDecrypted { .. }), "{change}: {refused}");
    }
}

#[tokio::test]
async fn a_deleted_secret_is_unknown_and_its_version_numbers_are_not_given_again() {
    let bench = bench();
    bench.put("a", "one", None).await;
    let (customer, secret) = ("a".parse().unwrap(), "s".parse().unwrap());
    assert!(bench.vault.secrets.delete(&customer, &secret, None).await.unwrap());
    bench.vault.open.forget(&(customer, secret)).await;
    assert!(matches!(*bench.open("a").await.err().unwrap(), VaultError::Unknown { .. }));
    assert_eq!(bench.put("a", "two", None).await, PutResult::Put(2));
}

#[test]
fn an_envelope_cut_anywhere_or_changed_anywhere_does_not_open() {
    let key = || SecretBytes::new(vec![7; 32]);
    let data_key = DataKey { plain: key(), wrapped: vec![1, 2, 3] };
    let context = [("customerId", "c".to_owned())];
    let sealed =
        envelope::seal(&data_key, &SecretBytes::new(b"value".to_vec()), &context, &SystemChance)
            .unwrap();
    let opens =
        |bytes: &[u8]| envelope::parse(bytes).and_then(|e| e.open(&key(), &context)).is_ok();
    assert!(opens(&sealed));
    for end in 0..sealed.len() {
        assert!(!opens(&sealed[..end]), "cut at {end}");
    }
    // The wrapped key is the key service's to check.
    for at in (0..sealed.len()).filter(|at| !(35..38).contains(at)) {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert!(!opens(&changed), "changed at {at}");
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_bytes_up_to_a_kind_s_limit_open_as_they_were_put(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 1..300),
            (prop::sample::select(vec![1, MAX_WRAPPED, MAX_WRAPPED + 1, MAX_VALUE - 1, MAX_VALUE]),
             any::<u8>()).prop_map(|(length, byte)| vec![byte; length]),
            prop::collection::vec(any::<u8>(), 1..MAX_VALUE),
        ],
        sealing in prop::sample::select(vec![
            Sealing::Envelope,
            Sealing::Direct,
            Sealing::TenantKey,
        ]),
    ) {
        runtime().block_on(async {
            let bench = bench_with(Policy { sealing, accept_unbound: false });
            let (customer, secret) = ("acme".parse().unwrap(), "s".parse().unwrap());
            let value = SecretBytes::new(bytes.clone());
            let origins = origins("https://a.example");
            bench.vault.put(NewSecret { customer, secret, value, origins, overlap: None })
                .await
                .unwrap();
            let kind = SealedKind::split(&stored(&bench).await.sealed).unwrap().0;
            let expected = match sealing {
                Sealing::TenantKey => SealedKind::TenantKey,
                Sealing::Direct if bytes.len() <= MAX_WRAPPED => SealedKind::Direct,
                Sealing::Direct | Sealing::Envelope => SealedKind::Envelope,
            };
            assert_eq!(kind, expected);
            let open = bench.open("acme").await.unwrap();
            let at = ["https://a.example".parse().unwrap()];
            let values = open.values_for(&at, SystemClock.now()).unwrap();
            assert!(values[0].expose() == bytes);
        });
    }
}

#[tokio::test]
async fn any_bit_flipped_anywhere_in_a_sealed_value_keeps_it_from_opening() {
    for sealing in [Sealing::Envelope, Sealing::Direct, Sealing::TenantKey] {
        let bench = bench_with(Policy { sealing, accept_unbound: true });
        bench.put("acme", "value", None).await;
        let (customer, secret) = ("acme".parse().unwrap(), "s".parse().unwrap());
        let version = stored(&bench).await;
        let opens = async |version: &SealedVersion| {
            bench.vault.opener.open_version(&customer, &secret, version).await.is_ok()
        };
        assert!(opens(&version).await);
        for bit in 0..version.sealed.len() * 8 {
            let mut flipped = version.clone();
            flipped.sealed[bit / 8] ^= 1 << (bit % 8);
            assert!(!opens(&flipped).await, "{sealing:?}: bit {bit}");
        }
    }
}

const DIRECT: Policy = Policy { sealing: Sealing::Direct, accept_unbound: false };

pub async fn stored(bench: &Bench) -> SealedVersion {
    let (customer, secret) = ("acme".parse().unwrap(), "s".parse().unwrap());
    bench.vault.secrets.get(&customer, &secret).await.unwrap().unwrap().current
}

#[tokio::test]
async fn a_value_too_large_for_the_key_service_takes_the_envelope_by_itself() {
    let bench = bench_with(DIRECT);
    for (size, kind) in [(MAX_WRAPPED, SealedKind::Direct), (MAX_WRAPPED + 1, SealedKind::Envelope)]
    {
        let value = "v".repeat(size);
        bench.put("acme", &value, None).await;
        assert_eq!(SealedKind::split(&stored(&bench).await.sealed).unwrap().0, kind);
        assert_eq!(values(&bench.open("acme").await.unwrap(), "https://a.example"), [value]);
    }
}

#[tokio::test]
async fn a_directly_sealed_value_does_not_open_for_another_customer() {
    let bench = bench_with(DIRECT);
    bench.put("acme", "value", None).await;
    bench.tamper("UPDATE secrets SET customer_id = 'evil'").await;
    let refused = bench.open("evil").await.err().unwrap();
    assert!(matches!(*refused, VaultError::NotDecrypted { .. }), "{refused}");
}

/// Stores a version as it is.
async fn put_sealed(bench: &Bench, version: SealedVersion) {
    let (customer, secret) = ("acme".parse().unwrap(), "s".parse().unwrap());
    let record = bench.vault.secrets.record(&customer, &secret).await.unwrap();
    let change = record.make_current(version, None);
    bench.vault.secrets.change(&customer, &secret, change).await.unwrap();
}

async fn put_unbound(bench: &Bench) {
    let value = SecretBytes::new(b"foreign".to_vec());
    let ciphertext = bench.vault.keys.wrap(&value, &[]).await.unwrap();
    let version = SealedVersion::unbound(&ciphertext, SystemClock.now());
    put_sealed(bench, version).await;
}

#[tokio::test]
async fn an_unbound_value_is_refused_with_the_setting_s_name_and_opens_anywhere_where_it_is_accepted()
 {
    let bench = bench();
    put_unbound(&bench).await;
    let refused = bench.open("acme").await.err().unwrap();
    assert!(matches!(*refused, VaultError::Unbound { .. }));
    assert!(refused.to_string().contains("accept_unbound_secrets"), "{refused}");
    let bench = bench_with(Policy { accept_unbound: true, ..Policy::default() });
    put_unbound(&bench).await;
    let open = bench.open("acme").await.unwrap();
    assert_eq!(values(&open, "https://b.example"), ["foreign"]);
}

#[tokio::test]
async fn a_bound_value_relabelled_as_unbound_does_not_open() {
    let bench = bench_with(Policy { sealing: Sealing::Direct, accept_unbound: true });
    bench.put("acme", "value", None).await;
    let mut version = stored(&bench).await;
    version.sealed[0] = SealedKind::Unbound.byte();
    version.version = 2;
    put_sealed(&bench, version).await;
    let refused = bench.open("acme").await.err().unwrap();
    assert!(matches!(*refused, VaultError::NotDecrypted { .. }), "{refused}");
}
