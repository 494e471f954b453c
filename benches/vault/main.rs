//! `cargo bench --bench vault`: what a cached secret costs, in time, calls and memory.
//!
//! `--many` is the process whose memory is measured: it holds 50,000 secrets of 200 bytes, of as many
//! customers. A worker's key of a secret shares its ids with the endpoint that names them.

#![allow(missing_docs, reason = "a program")]

#[path = "../support/processor.rs"]
mod processor;

use std::hint::black_box;
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use async_trait::async_trait;
use sealpost::adapters::system::SystemClock;
use sealpost::cache::Lifetimes;
use sealpost::domain::ids::{CustomerId, SecretId};
use sealpost::domain::secret::{SealedKind, SealedSecret, SealedVersion, SecretBytes};
use sealpost::domain::secret_record::SecretRecord;
use sealpost::ports::keys::{Context as Bound, Unwrapped};
use sealpost::ports::{Clock, Error, OpenKeys, ReadSecrets, Result as PortResult};
use sealpost::vault::{Opener, Policy};
use serde_json::json;
use tokio::runtime::Runtime;

use processor::micros;

/// Most microseconds of processor time for a secret in the cache.
const MARK_MICROS: f64 = 1.0;
/// How many secrets are held, of how many bytes, and the most megabytes for them and everything else.
const MANY: usize = 50_000;
const BYTES: usize = 200;
const MARK_MB: f64 = 40.0;
/// Openings between two looks at the clock.
const CALLS: u32 = 1000;

/// Every secret there could be, each as its store would give it; counts the calls.
struct Store(AtomicU64);

#[async_trait]
impl ReadSecrets for Store {
    async fn get(&self, _: &CustomerId, _: &SecretId) -> PortResult<Option<SealedSecret>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let sealed = [&[SealedKind::Direct.byte()][..], &[7; BYTES + 150]].concat();
        let origins = "https://api.customer.example".parse().into_iter().collect();
        let created_at = SystemClock.now();
        let current = SealedVersion { version: 1, sealed, origins, created_at, facts: None };
        Ok(Some(SealedSecret { current, previous: None, previous_until: None }))
    }

    async fn record(&self, _: &CustomerId, _: &SecretId) -> PortResult<SecretRecord> {
        Err(Error::new("bench", "not written to"))
    }

    async fn history(&self, _: &CustomerId, _: &SecretId) -> PortResult<Vec<SealedVersion>> {
        Ok(Vec::new())
    }

    async fn list(
        &self,
        _: Option<&CustomerId>,
    ) -> PortResult<Vec<(CustomerId, SecretId, SealedSecret)>> {
        Ok(Vec::new())
    }
}

/// Opens whatever it is given; counts the calls.
struct Keyring(AtomicU64);

#[async_trait]
impl OpenKeys for Keyring {
    async fn unwrap(&self, _: &[u8], _: &Bound) -> PortResult<Unwrapped> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(Unwrapped::Opened(SecretBytes::new(vec![7; BYTES])))
    }
}

struct Bench {
    vault: Opener,
    store: Arc<Store>,
    keys: Arc<Keyring>,
}

fn bench() -> anyhow::Result<Bench> {
    let (store, keys) = (Arc::new(Store(AtomicU64::new(0))), Arc::new(Keyring(AtomicU64::new(0))));
    let hour = Duration::from_secs(3600);
    let lifetimes = Lifetimes { soft: hour, hard: hour, capacity: u64::try_from(MANY)? * 2 };
    let (secrets, opener) = (Arc::clone(&store) as _, Arc::clone(&keys) as _);
    let vault = Opener::new(secrets, opener, Arc::new(SystemClock), Policy::default(), lifetimes);
    Ok(Bench { vault, store, keys })
}

impl Bench {
    async fn open(&self, customer: &CustomerId, secret: &SecretId) -> anyhow::Result<usize> {
        let open = self.vault.open(customer, secret).await.map_err(|e| anyhow::anyhow!("{e}"))?;
        let origins = ["https://api.customer.example".parse()?];
        let values = open.values_for(&origins, SystemClock.now());
        Ok(values.map_err(|origin| anyhow::anyhow!("not to {origin}"))?.len())
    }
}

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if std::env::args().any(|argument| argument == "--many") {
        return runtime.block_on(hold_many());
    }
    let (micros, store, keys) = hot(&runtime)?;
    println!("a secret in the cache            {micros:>8.3} µs   at most {MARK_MICROS:.1} µs");
    println!("calls of the store and the keys  {store:>4}, {keys}      at most 1, 1");
    let (idle, held) = (resident(&["--many", "--none"])?, resident(&["--many"])?);
    println!("{MANY} secrets of {BYTES} bytes    {held:>8.1} MB   at most {MARK_MB:.1} MB");
    println!("the same process without them    {idle:>8.1} MB");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/target/bench");
    std::fs::create_dir_all(folder)?;
    let summary = json!({"hot_cpu_micros": micros, "store_calls": store, "key_calls": keys,
                         "resident_mb": held, "resident_mb_without": idle});
    std::fs::write(format!("{folder}/vault.json"), serde_json::to_string_pretty(&summary)?)?;
    let is_held = micros <= MARK_MICROS && (store, keys) == (1, 1) && held <= MARK_MB;
    println!("{}", if is_held { "every mark is held" } else { "a mark is not held" });
    Ok(())
}

/// Processor time of opening a secret that is in the cache, in microseconds; and how often the store
/// and the key service were asked in all.
fn hot(runtime: &Runtime) -> anyhow::Result<(f64, u64, u64)> {
    let bench = bench()?;
    let (customer, secret) = ("acme".parse()?, "signing".parse()?);
    let origins = ["https://api.customer.example".parse()?];
    let now = SystemClock.now();
    let open_all = async || {
        for _ in 0..CALLS {
            let open = bench.vault.open(&customer, &secret).await;
            let open = open.map_err(|e| anyhow::anyhow!("{e}"))?;
            black_box(open.values_for(&origins, now).map_err(|o| anyhow::anyhow!("{o}"))?);
        }
        Ok(())
    };
    let least = micros(CALLS, || runtime.block_on(open_all()))?;
    let count = |calls: &AtomicU64| calls.load(Ordering::Relaxed);
    Ok((least, count(&bench.store.0), count(&bench.keys.0)))
}

/// Holds many secrets, says so, and waits to be measured.
async fn hold_many() -> anyhow::Result<()> {
    let bench = bench()?;
    let many = if std::env::args().any(|argument| argument == "--none") { 1 } else { MANY };
    let customers = (0..many).map(|number| format!("customer-{number:06}").parse());
    let customers: Vec<CustomerId> = customers.collect::<Result<_, _>>()?;
    let secret = "signing".parse()?;
    for customer in &customers {
        bench.open(customer, &secret).await?;
    }
    drop(customers);
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let before = bench.store.0.load(Ordering::Relaxed);
    // All are still there: none is read again.
    for number in 0..many {
        bench.open(&format!("customer-{number:06}").parse()?, &secret).await?;
    }
    if bench.store.0.load(Ordering::Relaxed) != before {
        bail!("not all secrets were held");
    }
    println!("{}", line.trim().trim_end_matches(" kB"));
    Ok(())
}

/// The resident memory of this program with these arguments, in MB.
fn resident(arguments: &[&str]) -> anyhow::Result<f64> {
    let mut command = Command::new(std::env::current_exe()?);
    let mut child = command.args(arguments).stdout(Stdio::piped()).spawn()?;
    let mut printed = String::new();
    child.stdout.take().context("no output")?.read_to_string(&mut printed)?;
    if !child.wait()?.success() {
        bail!("the measured process failed");
    }
    let kib: f64 = printed.trim().parse()?;
    Ok(kib * 1024.0 / 1e6)
}
