//! What is asked of the key service, and when; and what happens while it is out of order.

use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::tests::{Bench, bench, origins, values};
use super::*;
use crate::ports::keys::{Context, Unwrapped};

/// Counts what is unwrapped, and fails when it is told to.
pub struct Counting {
    pub keys: Arc<dyn OpenKeys>,
    pub unwraps: Arc<AtomicU32>,
    pub broken: Arc<AtomicBool>,
}

#[async_trait::async_trait]
impl OpenKeys for Counting {
    async fn unwrap(&self, wrapped: &[u8], context: &Context) -> crate::ports::Result<Unwrapped> {
        self.unwraps.fetch_add(1, Ordering::SeqCst);
        if self.broken.load(Ordering::SeqCst) {
            return Err(crate::ports::Error::new("keys.unwrap", "out of order"));
        }
        self.keys.unwrap(wrapped, context).await
    }
}

async fn pass(time: Duration) {
    tokio::time::advance(time).await;
}

/// Lets a reading in the background end: the database has a thread of its own.
async fn read_anew(bench: &Bench, is_seen: impl Fn(&OpenSecret) -> bool) {
    while !is_seen(&bench.open("c").await.unwrap()) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_key_service_is_asked_for_what_changed_and_once_in_the_hard_lifetime() {
    let (mut bench, unwraps) = (bench(), Arc::default());
    let keys = Arc::clone(&bench.vault.opener.keys);
    bench.vault.opener.keys =
        Arc::new(Counting { keys, unwraps: Arc::clone(&unwraps), broken: Arc::default() });
    let count = || unwraps.load(Ordering::SeqCst);
    bench.put("c", "old", None).await;
    bench.open("c").await.unwrap();
    assert_eq!(count(), 1);
    let (customer, secret) = ("c".parse().unwrap(), "s".parse().unwrap());
    bench.vault.reread(&customer, &secret).await.unwrap();
    assert_eq!(count(), 1, "read anew, and not opened anew");
    // Another process puts a version, which the cache does not know of.
    let elsewhere = bench.elsewhere();
    elsewhere.put("c", "new", Some(Duration::from_secs(3600))).await;
    pass(Duration::from_secs(61)).await;
    read_anew(&bench, |open| open.version() == 2).await;
    assert_eq!(count(), 2, "the old version was open already");
    pass(Duration::from_secs(121)).await;
    bench.open("c").await.unwrap();
    assert_eq!(count(), 4, "both, after the hard lifetime");
}

#[tokio::test(start_paused = true)]
async fn a_refused_secret_is_reread_at_once_and_then_not_for_half_a_minute() {
    let bench = bench();
    bench.put("c", "old", None).await;
    bench.open("c").await.unwrap();
    let (customer, secret) = ("c".parse().unwrap(), "s".parse().unwrap());
    let elsewhere = bench.elsewhere();
    let reread = async || {
        bench.vault.reread(&customer, &secret).await.unwrap();
        bench.open("c").await.unwrap().version()
    };
    elsewhere.put("c", "new", None).await;
    assert_eq!(reread().await, 2, "just opened, and rotated since");
    elsewhere.put("c", "newer", None).await;
    assert_eq!(reread().await, 2, "a moment ago");
    pass(Duration::from_secs(31)).await;
    assert_eq!(reread().await, 3);
}

#[tokio::test]
async fn a_thousand_callers_at_once_cost_one_reading_of_the_key_service() {
    let (mut bench, unwraps) = (bench(), Arc::default());
    bench.put("c", "value", None).await;
    let keys = Arc::clone(&bench.vault.opener.keys);
    bench.vault.opener.keys =
        Arc::new(Counting { keys, unwraps: Arc::clone(&unwraps), broken: Arc::default() });
    let all = futures_util::future::join_all((0..1000).map(|_| bench.open("c"))).await;
    assert!(
        all.iter().all(|open| values(open.as_ref().unwrap(), "https://a.example") == ["value"])
    );
    assert_eq!(unwraps.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn during_an_outage_opened_values_serve_until_their_hard_lifetime_and_not_longer() {
    let (mut bench, unwraps, broken) = (bench(), Arc::default(), Arc::default());
    let keys = Arc::clone(&bench.vault.opener.keys);
    bench.vault.opener.keys =
        Arc::new(Counting { keys, unwraps: Arc::clone(&unwraps), broken: Arc::clone(&broken) });
    bench.put("c", "value", None).await;
    bench.open("c").await.unwrap();
    broken.store(true, Ordering::SeqCst);
    // The store is read anew all the while; the key service is asked, and fails, from 90 s on.
    for _ in 0..119 {
        pass(Duration::from_secs(1)).await;
        let open = bench.open("c").await.unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(values(&open, "https://a.example"), ["value"]);
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }
    pass(Duration::from_secs(1)).await;
    let refused = bench.open("c").await.err().unwrap();
    assert!(matches!(*refused, VaultError::Ours(_)), "{refused}");
    assert!(unwraps.load(Ordering::SeqCst) > 2, "it was asked before the end");
    broken.store(false, Ordering::SeqCst);
    assert!(bench.open("c").await.is_ok(), "without a restart");
}

/// What is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_certificate_that_ends_soon_is_warned_about_once_when_it_is_opened() {
    let log = Log::default();
    let writer = log.clone();
    let lines = tracing_subscriber::fmt().json().flatten_event(true);
    let lines = lines.with_writer(move || writer.clone()).finish();
    let _logging = tracing::subscriber::set_default(lines);
    let bench = bench();
    for (id, days) in [("long", 40), ("short", 20), ("over", -1)] {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        let now = time::OffsetDateTime::from_unix_timestamp(bench.vault.clock.now().as_secs());
        params.not_after = now.unwrap() + time::Duration::days(days);
        let pem = params.self_signed(&key).unwrap().pem() + &key.serialize_pem();
        let (customer, secret) = ("c".parse().unwrap(), id.parse().unwrap());
        let (value, origins) = (SecretBytes::new(pem.into()), origins("https://a.example"));
        let new = NewSecret { customer, secret, value, origins, overlap: None };
        bench.vault.put(new).await.unwrap();
        for _ in 0..2 {
            assert!(bench.vault.open(&"c".parse().unwrap(), &id.parse().unwrap()).await.is_ok());
        }
    }
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let events: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |id: &str| {
        let found = events.iter().filter(|event| event["secret_id"] == id);
        found.map(|event| event["message"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(of("long"), [""; 0]);
    assert!(of("short").len() == 1 && of("short")[0].starts_with("the certificate ends at"));
    assert!(of("over").len() == 1 && of("over")[0].starts_with("the certificate ended at"));
}
