//! Queues, tables and a key, with endpoints at a sink, and the worker on them.

use std::path::Path;
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
use sealpost::delivery::Fencing;
use sealpost::domain::delivery_record::Recording;

use super::emulator::Emulator;
use super::sqs_stub::SqsStub;
use crate::bare_sender::Load;
use crate::endpoint::{Kind, loopback, register};
use crate::job;
use crate::process::Process;
use crate::run::Run;
use crate::sink::Sink;

/// Endpoints, each of a customer of its own, with a secret each.
pub const ENDPOINTS: usize = 100;
/// What the bare sender is asked for: as many connections as a worker has deliveries in hand.
pub const LOAD: Load = Load { body_len: job::BODY_LEN, connections: 256 };

/// What a worker is told.
#[derive(Clone, Copy)]
pub struct Plan {
    /// Jobs in the queue.
    pub jobs: usize,
    /// Which attempts claim their fence.
    pub fence: Fencing,
    /// Which attempts are recorded.
    pub record: Recording,
    /// How long an endpoint and a secret are used before they are read anew.
    pub cache_lifetime: Duration,
}

impl Plan {
    /// Jobs under the default settings.
    pub fn of(run: &Run<'_>, jobs: usize) -> Self {
        let (fence, record) = (Fencing::Retries, Recording::None);
        Self { jobs, fence, record, cache_lifetime: run.cache_lifetime }
    }
}

/// What is set up.
pub struct Stage {
    pub sink: Sink,
    pub sqs: SqsStub,
    pub emulator: Emulator,
    pub clients: Clients,
    pub runtime: tokio::runtime::Runtime,
    directory: tempfile::TempDir,
}

impl Stage {
    pub fn set(run: &Run<'_>, plan: Plan) -> anyhow::Result<Self> {
        let (sink, sqs) = (Sink::start(0)?, SqsStub::start(plan.jobs, ENDPOINTS)?);
        let (emulator, directory) = (Emulator::start()?, tempfile::tempdir_in(&run.folder)?);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let clients = clients(&sqs.address, &emulator.address);
        runtime.block_on(prepare(&sink, &sqs, &clients, directory.path(), plan))?;
        Ok(Self { sink, sqs, emulator, clients, runtime, directory })
    }

    pub fn work(&self) -> anyhow::Result<Process> {
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
    clients: &Clients,
    directory: &Path,
    plan: Plan,
) -> anyhow::Result<()> {
    let key = clients.kms.create_key().send().await?.key_metadata.context("no key")?.key_id;
    let url = |name| format!("http://{}/1/{name}", sqs.address);
    let aws: AwsConfig = serde_json::from_value(serde_json::json!({
        "queue_url": url("jobs"), "dead_letter_queue_url": url("dead"), "kms_key_id": key}))?;
    tables::create(&clients.dynamodb, aws.table_prefix.as_str()).await?;
    let mut config = loopback()?;
    config.aws = Some(aws.clone());
    config.cache.soft = Some(plan.cache_lifetime);
    config.worker.fence = plan.fence;
    config.deliveries.record = plan.record;
    std::fs::write(directory.join("bench.toml"), toml::to_string(&config)?)?;
    let app = App::over_aws(clients, &aws, Config::default(), Arc::new(SystemClock)).await?;
    for number in 0..ENDPOINTS {
        register(&app, number, &sink.address, &Kind::default()).await?;
    }
    Ok(())
}
