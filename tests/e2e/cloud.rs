//! The AWS form for whole programs: an emulator with queues, tables and a key, and a configuration
//! file that names them.

use std::process::Command;

use aws_sdk_sqs::types::QueueAttributeName as Name;

use crate::emulator::Emulator;
use crate::program::Program;

/// What a message is leased for, in seconds: short, so that what a killed worker held comes back soon.
const LEASE: &str = "6";

pub struct Cloud {
    pub emulator: Emulator,
    pub clients: sealpost::adapters::aws::Clients,
    pub program: Program,
    pub jobs: String,
    pub dead: String,
    pub key: String,
}

impl Cloud {
    /// With tables made by the program itself.
    pub async fn start() -> Self {
        let emulator = Emulator::on_the_machines_clock();
        let clients = emulator.clients();
        let create = |name: &str| clients.sqs.create_queue().queue_name(name);
        let dead = create("dead").send().await.unwrap().queue_url.unwrap();
        let policy = r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:123456789012:dead","maxReceiveCount":1000}"#;
        let jobs = create("jobs").attributes(Name::VisibilityTimeout, LEASE);
        let jobs = jobs.attributes(Name::RedrivePolicy, policy).send().await.unwrap();
        let jobs = jobs.queue_url.unwrap();
        Self::on(emulator, clients, jobs, dead, "").await
    }

    /// The same on FIFO queues.
    pub async fn fifo() -> Self {
        let emulator = Emulator::on_the_machines_clock();
        let clients = emulator.clients();
        let create = async |name: &str| {
            let made = clients.sqs.create_queue().queue_name(name);
            let made = made.attributes(Name::FifoQueue, "true");
            let made = made.attributes(Name::VisibilityTimeout, LEASE).send().await;
            made.unwrap().queue_url.unwrap()
        };
        let (jobs, dead) = (create("jobs.fifo").await, create("dead.fifo").await);
        Self::on(emulator, clients.clone(), jobs, dead, "fence = 'all'\n").await
    }

    async fn on(
        emulator: Emulator,
        clients: sealpost::adapters::aws::Clients,
        jobs: String,
        dead: String,
        worker: &str,
    ) -> Self {
        let key = clients.kms.create_key().send().await.unwrap().key_metadata.unwrap().key_id;
        let program = Program::new();
        let settings = format!(
            "[aws]\nqueue_url = '{jobs}'\ndead_letter_queue_url = '{dead}'\nkms_key_id = '{key}'\n\
             [worker]\nconcurrency = 32\n{worker}[cache]\nsoft = '200ms'\n"
        );
        std::fs::write(program.data().join("aws.toml"), settings).unwrap();
        let cloud = Self { emulator, clients, program, jobs, dead, key };
        cloud.ok(&["tables", "create"], "");
        cloud
    }

    /// How many jobs are not settled.
    pub async fn pending(&self) -> u64 {
        let request = self.clients.sqs.get_queue_attributes().queue_url(&self.jobs);
        let found = request.attribute_names(Name::All).send().await.unwrap();
        let number = |name| found.attributes().and_then(|a| a.get(&name)?.parse::<u64>().ok());
        [
            Name::ApproximateNumberOfMessages,
            Name::ApproximateNumberOfMessagesDelayed,
            Name::ApproximateNumberOfMessagesNotVisible,
        ]
        .into_iter()
        .filter_map(number)
        .sum()
    }

    /// What every AWS tool reads of the environment.
    pub fn variables(&self) -> [(&'static str, String); 5] {
        [
            // AWS's own tools take proxies from the environment; only endpoints are never called so.
            ("NO_PROXY", "127.0.0.1".to_owned()),
            ("AWS_ENDPOINT_URL", self.emulator.url()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ]
    }

    /// The program on AWS.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.program.command(arguments);
        command.arg("--config").arg(self.program.data().join("aws.toml"));
        command.env("SEALPOST_LOG_LEVEL", "info").envs(self.variables());
        command
    }

    /// Runs a command that has to succeed; returns what it printed.
    pub fn ok(&self, arguments: &[&str], input: &str) -> String {
        crate::program::ok(self.command(arguments), input)
    }

    /// Runs a command that has to fail; returns its complaint.
    pub fn fails(&self, arguments: &[&str], input: &str) -> String {
        let output = crate::program::output(self.command(arguments), input.as_bytes());
        assert!(!output.status.success(), "{arguments:?} succeeded");
        String::from_utf8(output.stderr).unwrap()
    }
}
