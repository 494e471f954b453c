//! The AWS form: `sealpost worker` in a process of its own, against a stub of SQS and an emulator of
//! DynamoDB and KMS.

use std::io::BufReader;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use sealpost::adapters::aws::Clients;
use sealpost::adapters::aws::dynamodb::tables;
use sealpost::adapters::system::SystemClock;
use sealpost::app::App;
use sealpost::config::{AwsConfig, Config};

use crate::embedded::{loopback, register};
use crate::process::{Process, first_line, get};
use crate::sink::Sink;
use crate::sqs_stub::{SqsStub, Stats};
use crate::summary::Summary;

/// Endpoints, each of a customer of its own, with a secret each.
const ENDPOINTS: usize = 100;
/// How long the worker uses an endpoint and a secret before it reads them anew: the product's
/// default on AWS.
const CACHE_LIFETIME: Duration = Duration::from_secs(30);

struct Emulator {
    process: Process,
    address: String,
}

impl Emulator {
    fn start() -> anyhow::Result<Self> {
        let folder = std::env::var_os("AWS_EMULATOR_DIR").map_or_else(
            || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/aws-emulator"),
            PathBuf::from,
        );
        let mut child = Command::new(folder.join("aws-emulator"))
            .arg("127.0.0.1:0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("no emulator: run `make emulator`")?;
        let mut output = BufReader::new(child.stdout.take().context("no output")?);
        Ok(Self { process: Process(child), address: first_line(&mut output)? })
    }

    /// All calls of DynamoDB and KMS so far.
    fn calls(&self) -> anyhow::Result<u64> {
        let all: serde_json::Value =
            serde_json::from_str(&get(&self.address, "/_emulator/requests")?)?;
        let services = ["DynamoDB", "KMS"].map(|service| all[service].as_object().cloned());
        Ok(services.iter().flatten().flatten().filter_map(|(_, count)| count.as_u64()).sum())
    }
}

/// Queues, tables and a key, with endpoints at the sink.
struct Stage {
    sink: Sink,
    sqs: SqsStub,
    emulator: Emulator,
    directory: tempfile::TempDir,
}

impl Stage {
    fn set(jobs: usize) -> anyhow::Result<Self> {
        let (sink, sqs) = (Sink::start()?, SqsStub::start(jobs, ENDPOINTS)?);
        let (emulator, directory) = (Emulator::start()?, tempfile::tempdir()?);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(prepare(&sink, &sqs, &emulator, directory.path()))?;
        Ok(Self { sink, sqs, emulator, directory })
    }

    fn work(&self) -> anyhow::Result<Process> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sealpost"));
        command.arg("worker").arg("--config").arg(self.directory.path().join("bench.toml"));
        command
            .env("AWS_ENDPOINT_URL", format!("http://{}", self.emulator.address))
            .env("AWS_ENDPOINT_URL_SQS", format!("http://{}", self.sqs.address))
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("NO_PROXY", "127.0.0.1")
            .stderr(Stdio::null());
        Ok(Process(command.spawn()?))
    }
}

fn clients(sqs: &str, others: &str) -> Clients {
    let credentials = Credentials::new("test", "test", None, None, "bench");
    let at = |address: &str| {
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials.clone()))
            .endpoint_url(format!("http://{address}"))
            .build()
    };
    Clients { sqs: Clients::new(&at(sqs)).sqs, ..Clients::new(&at(others)) }
}

async fn prepare(
    sink: &Sink,
    sqs: &SqsStub,
    emulator: &Emulator,
    directory: &std::path::Path,
) -> anyhow::Result<()> {
    let clients = clients(&sqs.address, &emulator.address);
    let key = clients.kms.create_key().send().await?.key_metadata.context("no key")?.key_id;
    let url = |name| format!("http://{}/1/{name}", sqs.address);
    let aws: AwsConfig = serde_json::from_value(serde_json::json!({
        "queue_url": url("jobs"), "dead_letter_queue_url": url("dead"), "kms_key_id": key}))?;
    tables::create(&clients.dynamodb, aws.table_prefix.as_str()).await?;
    let mut config = loopback()?;
    config.aws = Some(aws.clone());
    config.cache.soft = Some(CACHE_LIFETIME);
    std::fs::write(directory.join("bench.toml"), toml::to_string(&config)?)?;
    let app = App::over_aws(&clients, &aws, Config::default(), Arc::new(SystemClock)).await?;
    for number in 0..ENDPOINTS {
        register(&app, &format!("c{number}"), &sink.address).await?;
    }
    Ok(())
}

fn sqs_calls(stats: &Stats) -> usize {
    stats.calls.iter().filter(|(name, _)| *name != "GetQueueAttributes").map(|(_, n)| n).sum()
}

/// A backlog is worked off: processor time, rate, calls of SQS. The worker's processor time is all
/// that it used, from its start; beside it that of the stub and of the emulator.
pub fn throughput(jobs: usize, summary: &mut Summary) -> anyhow::Result<()> {
    let stage = Stage::set(jobs)?;
    let worker = stage.work()?;
    let stats = stage.sqs.wait_until_deleted(jobs)?;
    let report = stage.sink.wait_for(jobs)?;
    let each = |process: &Process| anyhow::Ok(process.cpu()?.as_secs_f64() * 1e6 / jobs as f64);
    summary.add("aws.cpu_us_per_delivery", each(&worker)?);
    summary.add("aws.deliveries_per_second", jobs as f64 / report.seconds);
    summary.add("aws.sqs_calls_per_delivery", sqs_calls(&stats) as f64 / jobs as f64);
    summary.add("aws.peak_rss_mib", worker.peak_rss_mib()?);
    summary.add("aws.stub_cpu_us_per_delivery", each(&stage.sqs.process)?);
    Ok(())
}

/// Three cache lifetimes at full speed: calls of DynamoDB and KMS.
pub fn hot_endpoints(summary: &mut Summary) -> anyhow::Result<()> {
    let stage = Stage::set(usize::MAX)?;
    let before = stage.emulator.calls()?;
    let cpu_before = stage.emulator.process.cpu()?;
    let _worker = stage.work()?;
    std::thread::sleep(CACHE_LIFETIME * 3);
    let (calls, deliveries) = (stage.emulator.calls()? - before, stage.sink.report()?.count);
    let used = stage.emulator.process.cpu()?.saturating_sub(cpu_before);
    summary.add("aws.dynamodb_kms_calls_per_delivery", calls as f64 / deliveries as f64);
    summary.add("aws.emulator_cpu_us_per_delivery", used.as_secs_f64() * 1e6 / deliveries as f64);
    Ok(())
}
