//! Secrets that a program in another language seals: fixtures/writers/write-secret.ts, which shares no
//! code with this one.

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use sealpost::app::App;
use sealpost::config::Config;
use sealpost::domain::ids::{CustomerId, SecretId};
use sealpost::domain::secret::{MAX_VALUE, SealedKind};
use sealpost::ports::Clock;
use sealpost::ports::keys::MAX_WRAPPED;

use crate::aws::Aws;
use crate::producers::folder;
use crate::sqs::Sqs;

const KINDS: [(&str, SealedKind, usize); 3] = [
    ("envelope", SealedKind::Envelope, MAX_VALUE),
    ("direct", SealedKind::Direct, MAX_WRAPPED),
    ("tenant_key", SealedKind::TenantKey, MAX_VALUE),
];
const HOME: &str = "https://API.example.com";

struct Bench {
    app: App,
    clock: Arc<Sqs>,
    aws: Aws,
}

async fn bench() -> Option<Bench> {
    let aws = Aws::start().await;
    let Some(clock) = aws.emulated.clone() else {
        println!("needs the emulator: skipped");
        return None;
    };
    let shared: Arc<dyn Clock> = Arc::clone(&clock) as _;
    let app = App::over_aws(&aws.clients, &aws.config, Config::default(), shared).await.unwrap();
    Some(Bench { app, clock, aws })
}

fn customer() -> CustomerId {
    "customer-123".parse().unwrap()
}

impl Bench {
    fn write(&self, kind: &str, secret: &str, value: &[u8], origins: &[&str]) -> Output {
        let mut writer = Command::new("node")
            .arg(folder().join("writers/write-secret.js"))
            .args([kind, &format!("{}secrets", self.aws.config.table_prefix)])
            .args([self.aws.config.kms_key_id.as_str(), customer().as_str(), secret])
            .args(origins)
            .env("AWS_ENDPOINT_URL", self.clock.emulator.url())
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // One that refuses its arguments reads nothing.
        let _ = writer.stdin.take().unwrap().write_all(value);
        writer.wait_with_output().unwrap()
    }

    /// Writes a value, and returns the version that it has.
    fn written(&self, kind: &str, secret: &str, value: &[u8], origins: &[&str]) -> u64 {
        let output = self.write(kind, secret, value, origins);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
    }

    /// What a worker may send to `origin`; read from the store.
    async fn values(&self, secret: &str, origin: &str) -> Vec<Vec<u8>> {
        let (vault, secret): (_, SecretId) = (&self.app.vault, secret.parse().unwrap());
        let since = tokio::time::Instant::now();
        let open = vault.open_since(&customer(), &secret, Some(since)).await;
        let open = open.unwrap_or_else(|e| panic!("{e}"));
        let origins = [origin.parse().unwrap()];
        let values = open.values_for(&origins, self.clock.now()).unwrap_or_default();
        values.iter().map(|value| value.expose().to_vec()).collect()
    }
}

#[tokio::test]
async fn what_a_writer_in_typescript_seals_a_worker_opens_for_its_origins_alone() {
    let Some(bench) = bench().await else { return };
    bench.app.vault.create_tenant_key(&customer()).await.unwrap();
    bench.app.vault.rotate_tenant_key(&customer()).await.unwrap();
    for (kind, expected, limit) in KINDS {
        for (version, size) in [(1, 1), (2, limit)] {
            let value: Vec<u8> = (0..=255).cycle().take(size).collect();
            let origins = [HOME, "https://auth.example.com:8443"];
            assert_eq!(bench.written(kind, kind, &value, &origins), version);
            for origin in origins {
                assert!(bench.values(kind, origin).await == [&value[..]], "{kind}: {size} bytes");
            }
            assert!(bench.values(kind, "https://evil.example").await.is_empty());
        }
        let stored = bench.app.secrets.get(&customer(), &kind.parse().unwrap()).await.unwrap();
        let current = stored.unwrap().current;
        assert_eq!(SealedKind::split(&current.sealed).unwrap().0, expected);
        let history = bench.app.secrets.history(&customer(), &kind.parse().unwrap()).await.unwrap();
        assert_eq!(history.iter().map(|v| v.version).collect::<Vec<_>>(), [1]);
    }
    let calls = bench.clock.emulator.calls_of("KMS");
    let count = |name: &str| calls.get(name).and_then(serde_json::Value::as_u64);
    // Two generations, two direct values; two data keys; the writer opens nothing, and the worker has the
    // tenant key opened once.
    assert_eq!((count("Encrypt"), count("GenerateDataKey")), (Some(4), Some(2)));
    assert_eq!(count("Decrypt"), Some(5));
}

#[tokio::test]
async fn a_writer_in_typescript_and_this_program_write_over_each_other_s_versions() {
    let Some(bench) = bench().await else { return };
    bench.app.vault.create_tenant_key(&customer()).await.unwrap();
    assert_eq!(bench.written("tenant_key", "s", b"one", &[HOME]), 1);
    let new = |value: &str| sealpost::vault::NewSecret {
        customer: customer(),
        secret: "s".parse().unwrap(),
        value: sealpost::domain::secret::SecretBytes::new(value.into()),
        origins: [HOME.parse().unwrap()].into(),
        overlap: Some(Duration::from_secs(60)),
    };
    bench.app.vault.put(new("two")).await.unwrap();
    assert_eq!(bench.values("s", HOME).await, [b"two".to_vec(), b"one".to_vec()]);
    assert_eq!(bench.written("direct", "s", b"three", &[HOME]), 3);
    assert_eq!(bench.values("s", HOME).await, [b"three"]);
    let history = bench.app.secrets.history(&customer(), &"s".parse().unwrap()).await.unwrap();
    assert_eq!(history.iter().map(|v| v.version).collect::<Vec<_>>(), [2, 1]);
}

#[tokio::test]
async fn a_writer_in_typescript_keeps_the_limits_and_seals_to_no_key_that_was_shredded() {
    let Some(bench) = bench().await else { return };
    let refused = |kind: &str, value: &[u8]| {
        let output = bench.write(kind, "s", value, &[HOME]);
        assert!(!output.status.success(), "{kind}");
        String::from_utf8(output.stderr).unwrap()
    };
    for (kind, _, limit) in KINDS {
        assert!(refused(kind, &vec![1; limit + 1]).contains(&format!("1 to {limit} bytes")));
        assert!(refused(kind, b"").contains(&format!("1 to {limit} bytes")));
    }
    let told = refused("tenant_key", b"value");
    assert!(told.contains("sealpost tenant-key create customer-123"), "{told}");
    bench.app.vault.create_tenant_key(&customer()).await.unwrap();
    bench.app.vault.shred_tenant_key(&customer()).await.unwrap();
    assert!(refused("tenant_key", b"value").contains("was shredded"));
}
