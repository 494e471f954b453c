//! What is asked of the key service for tenant keys, and when.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use futures_util::future::join_all;

use super::super::caching_tests::Counting;
use super::super::tests::{Bench, values};
use super::tests::{id, put, tenants};
use super::*;

const SECRETS: usize = 100;

struct Counted {
    bench: Bench,
    unwraps: Arc<AtomicU32>,
    broken: Arc<AtomicBool>,
}

/// A hundred secrets of one customer, in a worker whose cache lives 30 and 120 seconds.
async fn hundred() -> Counted {
    let (mut bench, unwraps, broken) = (tenants(), Arc::default(), Arc::default());
    for number in 0..SECRETS {
        put(&bench.vault, "acme", &format!("s{number}"), "value").await.unwrap();
    }
    let keys = Arc::clone(&bench.vault.opener.keys);
    let lifetimes = Lifetimes {
        soft: Duration::from_secs(30),
        hard: Duration::from_secs(120),
        capacity: 2 * SECRETS as u64,
    };
    bench.vault.opener.open = Arc::new(SoftCache::new(lifetimes));
    bench.vault.opener.open_keys = Arc::new(OpenKeys::new(lifetimes));
    bench.vault.opener.keys =
        Arc::new(Counting { keys, unwraps: Arc::clone(&unwraps), broken: Arc::clone(&broken) });
    Counted { bench, unwraps, broken }
}

impl Counted {
    async fn open(&self, number: usize) -> Result<Vec<String>, Arc<VaultError>> {
        let secret = format!("s{number}").parse().unwrap();
        let open = self.bench.vault.open(&id("acme"), &secret).await?;
        Ok(values(&open, "https://a.example"))
    }

    async fn open_all(&self) -> usize {
        let all = join_all((0..SECRETS).map(|number| self.open(number))).await;
        all.iter().filter(|open| open.as_ref().is_ok_and(|values| values == &["value"])).count()
    }

    fn unwraps(&self) -> u32 {
        self.unwraps.load(Ordering::SeqCst)
    }

    /// Lets so much time pass, and readings in the background end: the database has a thread of its own.
    async fn pass(&self, seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
        let key = SecretId::tenant_key();
        self.bench.vault.secrets.get(&id("acme"), &key).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_secrets_of_a_customer_cost_one_call_in_the_hard_lifetime() {
    let counted = hundred().await;
    assert_eq!(counted.unwraps(), 0, "writers open nothing");
    assert_eq!(counted.open_all().await, SECRETS);
    assert_eq!(counted.unwraps(), 1);
    let mut seconds = 0;
    while seconds < 600 {
        counted.pass(10).await;
        seconds += 10;
        assert_eq!(counted.open_all().await, SECRETS, "at {seconds} s");
    }
    let unwraps = counted.unwraps();
    assert!((5..=10).contains(&unwraps), "{unwraps} in five lifetimes");
}

#[tokio::test(start_paused = true)]
async fn in_an_outage_the_secrets_serve_until_their_key_s_hard_lifetime_however_late_they_were_opened()
 {
    let counted = hundred().await;
    assert_eq!(counted.open(0).await.unwrap(), ["value"]);
    counted.broken.store(true, Ordering::SeqCst);
    counted.pass(100).await;
    assert_eq!(counted.open(1).await.unwrap(), ["value"], "with the key that is open");
    counted.pass(19).await;
    for number in [0, 1, 2] {
        assert_eq!(counted.open(number).await.unwrap(), ["value"]);
    }
    counted.pass(1).await;
    for number in [0, 1, 2, 3] {
        let refused = counted.open(number).await.unwrap_err();
        assert!(matches!(*refused, VaultError::Ours(_)), "{number}: {refused}");
    }
    counted.broken.store(false, Ordering::SeqCst);
    assert_eq!(counted.open_all().await, SECRETS, "without a restart");
}

#[tokio::test(start_paused = true)]
async fn a_worker_sees_a_shredding_with_the_readings_of_the_store_and_not_only_when_its_cache_ends()
{
    let counted = hundred().await;
    counted.open_all().await;
    counted.bench.elsewhere().vault.shred_tenant_key(&id("acme")).await.unwrap();
    assert_eq!(counted.open_all().await, SECRETS, "nothing has told it");
    let mut seconds = 0;
    while counted.open(0).await.is_ok() {
        counted.pass(10).await;
        seconds += 10;
        assert!(seconds < 100, "it is still opened");
    }
    let refused = counted.open(0).await.unwrap_err();
    assert!(matches!(*refused, VaultError::Shredded { generation: 1, .. }), "{refused}");
}
