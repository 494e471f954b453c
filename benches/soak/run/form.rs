//! A form of sealpost under load: its storage, seen by the driver through [`App`], and its workers,
//! each a process of its own.

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use sealpost::app::{App, Role};
use sealpost::config::Config;
use sealpost::domain::dead_letter::DeadLetterFilter;

#[cfg(feature = "aws")]
use crate::emulator::Emulator;

/// Deliveries in hand at once, of each worker.
pub const CONCURRENCY: usize = 64;
/// Dead letters read at once.
const PAGE: usize = 500;

/// One form.
pub struct Form {
    pub name: &'static str,
    pub app: App,
    /// Jobs a second: an emulator of SQS bears less than a data directory.
    pub per_second: usize,
    /// The first is killed now and then. Of several, the last lives through it all.
    pub workers: Vec<Child>,
    /// How many workers there are.
    count: usize,
    pub cloud: Option<Cloud>,
    directory: tempfile::TempDir,
}

/// AWS, as far as there is any.
#[cfg(feature = "aws")]
pub struct Cloud(pub Emulator);
#[cfg(not(feature = "aws"))]
pub struct Cloud(std::convert::Infallible);

fn config() -> Config {
    let mut config = Config::default();
    config.egress.allow_http = true;
    config.egress.allow = vec!["127.0.0.1/32".parse().unwrap()];
    config.egress.ports = vec!["1-65535".parse().unwrap()];
    config.worker.concurrency = CONCURRENCY;
    config
}

impl Form {
    /// One data directory and one worker.
    pub async fn embedded() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let app = App::embedded(directory.path(), config(), Role::Command).await.unwrap();
        let form = Self {
            name: "embedded",
            app,
            per_second: 100,
            workers: Vec::new(),
            count: 1,
            cloud: None,
            directory,
        };
        form.write_settings(&config());
        form
    }

    /// Two workers on the emulator.
    #[cfg(feature = "aws")]
    pub async fn aws() -> Self {
        use aws_sdk_sqs::types::QueueAttributeName as Name;
        let emulator = Emulator::on_the_machines_clock();
        let clients = emulator.clients();
        let create = |name: &str| clients.sqs.create_queue().queue_name(name);
        let dead = create("dead").send().await.unwrap().queue_url.unwrap();
        let policy = r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:123456789012:dead","maxReceiveCount":1000}"#;
        let jobs = create("jobs").attributes(Name::VisibilityTimeout, "6");
        let jobs = jobs.attributes(Name::RedrivePolicy, policy).send().await.unwrap();
        let key = clients.kms.create_key().send().await.unwrap().key_metadata.unwrap().key_id;
        let aws = serde_json::json!({"queue_url": jobs.queue_url, "dead_letter_queue_url": dead,
                                     "kms_key_id": key});
        let aws: sealpost::config::AwsConfig = serde_json::from_value(aws).unwrap();
        let prefix = aws.table_prefix.as_str();
        sealpost::adapters::aws::dynamodb::tables::create(&clients.dynamodb, prefix).await.unwrap();
        let config = Config { aws: Some(aws.clone()), ..config() };
        let clock = std::sync::Arc::new(sealpost::adapters::system::SystemClock);
        let app = App::over_aws(&clients, &aws, config.clone(), clock).await.unwrap();
        let form = Self {
            name: "AWS",
            app,
            per_second: 40,
            workers: Vec::new(),
            count: 2,
            cloud: Some(Cloud(emulator)),
            directory: tempfile::tempdir().unwrap(),
        };
        form.write_settings(&config);
        form
    }

    fn settings(&self) -> PathBuf {
        self.directory.path().join("soak.toml")
    }

    fn write_settings(&self, config: &Config) {
        std::fs::write(self.settings(), toml::to_string(config).unwrap()).unwrap();
    }

    fn worker(&self) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sealpost"));
        match &self.cloud {
            None => command.arg("serve").arg("--data").arg(self.directory.path()),
            #[cfg(feature = "aws")]
            Some(Cloud(emulator)) => command
                .arg("worker")
                .env("NO_PROXY", "127.0.0.1")
                .env("AWS_ENDPOINT_URL", emulator.url())
                .env("AWS_REGION", "us-east-1")
                .env("AWS_ACCESS_KEY_ID", "test")
                .env("AWS_SECRET_ACCESS_KEY", "test"),
            #[cfg(not(feature = "aws"))]
            Some(Cloud(never)) => match *never {},
        };
        command.arg("--config").arg(self.settings());
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    pub fn start_workers(&mut self) {
        self.workers = (0..self.count).map(|_| self.worker()).collect();
    }

    /// Kills the first worker and starts another in its place.
    pub fn kill_one(&mut self) {
        self.workers[0].kill().unwrap();
        self.workers[0].wait().unwrap();
        self.workers[0] = self.worker();
    }

    /// Sends a signal to the last worker.
    pub fn signal_last(&self, signal: &str) {
        let id = self.workers.last().unwrap().id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    /// Whether no worker lives through it all.
    pub fn is_mortal(&self) -> bool {
        self.count == 1
    }

    /// Memory of the last worker, in KiB.
    pub fn resident(&self) -> u64 {
        let status = format!("/proc/{}/status", self.workers.last().unwrap().id());
        let status = std::fs::read_to_string(status).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS"));
        line.map_or(0, |line| line.split_whitespace().nth(1).unwrap().parse().unwrap())
    }

    /// Messages that are not settled.
    pub async fn pending(&self) -> u64 {
        self.app.queue.depth().await.map_or(u64::MAX, |depth| depth.pending)
    }

    /// The ids of the jobs that were given up.
    pub async fn dead_letters(&self) -> HashSet<String> {
        let (mut found, mut after) = (HashSet::new(), None::<String>);
        let filter = DeadLetterFilter::default();
        loop {
            let page = self.app.deliveries.list_dead_letters(&filter, after.as_deref(), PAGE);
            let page = page.await.unwrap();
            let Some(last) = page.last() else { return found };
            after = Some(last.position());
            found
                .extend(page.iter().filter_map(|letter| Some(letter.job_id.as_ref()?.to_string())));
        }
    }

    /// Ends the workers.
    pub async fn stop(&mut self) {
        for worker in &mut self.workers {
            // It may have ended by itself.
            let _ = worker.kill();
            worker.wait().unwrap();
        }
    }
}
