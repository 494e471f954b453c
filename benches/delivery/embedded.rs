//! The embedded form: `sealpost serve` in a process of its own, on a data directory of its own.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use sealpost::app::{App, Role};
use sealpost::config::Config;
use sealpost::domain::endpoint::Endpoint;
use sealpost::domain::secret::SecretBytes;
use sealpost::ports::Queue;
use sealpost::ports::queue::NewMessage;
use sealpost::vault::NewSecret;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::process::Process;
use crate::sink::Sink;
use crate::summary::Summary;
use crate::{CONNECTIONS, job};

/// Jobs enqueued in one commit.
const BATCH: usize = 500;
/// Jobs a second while latency is measured.
const RATE: u64 = 200;

/// A data directory with one endpoint at the sink, signed as Standard Webhooks says.
struct Stage {
    sink: Sink,
    directory: tempfile::TempDir,
    queue: Arc<dyn Queue>,
    runtime: Runtime,
}

impl Stage {
    fn set() -> anyhow::Result<Self> {
        let (sink, directory) = (Sink::start()?, tempfile::tempdir()?);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let mut config = loopback()?;
        config.worker.concurrency = CONNECTIONS;
        std::fs::write(settings(directory.path()), toml::to_string(&config)?)?;
        let queue = runtime.block_on(async {
            let app = App::embedded(directory.path(), config, Role::Command).await?;
            register(&app, "c", &sink.address).await?;
            anyhow::Ok(Arc::clone(&app.queue))
        })?;
        Ok(Self { sink, directory, queue, runtime })
    }

    /// Enqueues `count` jobs that are made now.
    fn enqueue(&self, count: usize) -> anyhow::Result<()> {
        let message = || NewMessage {
            body: format!(r#"{{"customerId":"c","endpointId":"e","data":{}}}"#, job::body()).into(),
            ..NewMessage::default()
        };
        let messages = (0..count).map(|_| message()).collect();
        self.runtime.block_on(self.queue.send(messages))?;
        Ok(())
    }

    fn serve(&self) -> anyhow::Result<Process> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sealpost"));
        command.arg("serve").arg("--data").arg(self.directory.path());
        command.arg("--config").arg(settings(self.directory.path())).stderr(Stdio::null());
        Ok(Process(command.spawn()?))
    }

    /// Waits until no job is left in the queue.
    fn settle(&self) -> anyhow::Result<()> {
        for _ in 0..1000 {
            if self.runtime.block_on(self.queue.depth())?.pending == 0 {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        anyhow::bail!("jobs are left in the queue")
    }
}

fn settings(directory: &Path) -> std::path::PathBuf {
    directory.join("bench.toml")
}

/// Settings with which loopback may be called.
pub fn loopback() -> anyhow::Result<Config> {
    let mut config = Config::default();
    config.egress.allow_http = true;
    config.egress.allow = vec!["127.0.0.1/32".parse()?];
    config.egress.ports = vec!["1-65535".parse()?];
    Ok(config)
}

/// Registers endpoint `e` of a customer at the sink, signed as Standard Webhooks says.
pub async fn register(app: &App, customer: &str, address: &str) -> anyhow::Result<()> {
    let url = format!("http://{address}/");
    app.vault
        .put(NewSecret {
            customer: customer.parse()?,
            secret: "key".parse()?,
            value: SecretBytes::new(b"whsec_c2VhbHBvc3QgYmVuY2htYXJrIGtleSAxMjM0NTY3ODk=".to_vec()),
            origins: [url.parse()?].into(),
            overlap: None,
        })
        .await?;
    let auth = json!([{"scheme": "standard_webhooks", "secret": "key"}]);
    let endpoint = json!({"customerId": customer, "endpointId": "e", "url": url, "auth": auth});
    let endpoint = Endpoint::from_json(&endpoint.to_string())?;
    app.endpoints.put(endpoint, None, app.clock.now()).await?;
    Ok(())
}

/// A backlog is worked off: processor time, rate, memory. The processor time is all that the process
/// used, from its start.
pub fn throughput(jobs: usize, summary: &mut Summary) -> anyhow::Result<()> {
    let stage = Stage::set()?;
    for start in (0..jobs).step_by(BATCH) {
        stage.enqueue(BATCH.min(jobs - start))?;
    }
    let worker = stage.serve()?;
    let report = stage.sink.wait_for(jobs)?;
    stage.settle()?;
    let used = worker.cpu()?;
    summary.add("embedded.cpu_us_per_delivery", used.as_secs_f64() * 1e6 / jobs as f64);
    summary.add("embedded.deliveries_per_second", jobs as f64 / report.seconds);
    summary.add("embedded.peak_rss_mib", worker.peak_rss_mib()?);
    Ok(())
}

/// Jobs come one by one at [`RATE`] a second: the time from the making of each to its arrival.
pub fn latency(seconds: u64, summary: &mut Summary) -> anyhow::Result<()> {
    let stage = Stage::set()?;
    let _worker = stage.serve()?;
    // The first delivery opens the connection and reads the endpoint; it is not measured apart.
    stage.enqueue(1)?;
    stage.sink.wait_for(1)?;
    let begun = std::time::Instant::now();
    let jobs = RATE * seconds;
    for number in 0..jobs {
        let due = begun + Duration::from_secs_f64(number as f64 / RATE as f64);
        std::thread::sleep(due.saturating_duration_since(std::time::Instant::now()));
        stage.enqueue(1)?;
    }
    let report = stage.sink.wait_for(usize::try_from(jobs)? + 1)?;
    ensure!(report.p50_ms > 0.0, "the sink measured no latency");
    summary.add("embedded.p50_ms", report.p50_ms);
    summary.add("embedded.p99_ms", report.p99_ms);
    Ok(())
}
