//! The program on AWS, as its users run it: configured by a file and by the environment alone.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Output, Stdio};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sqs::types::MessageSystemAttributeName;
use sealpost::adapters::aws::dynamodb::tables;
use serde_json::Value;

use crate::receiver;
use crate::sqs::Sqs;

pub struct Program {
    pub sqs: std::sync::Arc<Sqs>,
    dir: tempfile::TempDir,
}

impl Program {
    pub async fn new() -> Self {
        let sqs = Sqs::start().await;
        let kms = sqs.emulator.clients().kms;
        let key = kms.create_key().send().await.unwrap().key_metadata.unwrap().key_id;
        kms.create_alias().alias_name("alias/sealpost").target_key_id(key).send().await.unwrap();
        let (jobs, dead) = (sqs.jobs.clone(), sqs.dead.clone());
        Self::on(sqs, &jobs, &dead, "alias/sealpost")
    }

    /// The program on these queues, with this key.
    pub fn on(sqs: std::sync::Arc<Sqs>, jobs: &str, dead: &str, key: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = format!(
            "[aws]\nqueue_url = '{jobs}'\ndead_letter_queue_url = '{dead}'\nkms_key_id = '{key}'\n\
             [egress]\nallow_http = true\nallow = ['127.0.0.1/32']\nports = ['1-65535']\n"
        );
        std::fs::write(dir.path().join("sealpost.toml"), config).unwrap();
        Self { sqs, dir }
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sealpost"));
        command
            .args(["--config", "sealpost.toml", "--json"])
            .args(arguments)
            .current_dir(&self.dir)
            .env("AWS_ENDPOINT_URL", self.sqs.emulator.url())
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "AKIDTEST")
            .env("AWS_SECRET_ACCESS_KEY", "canary-of-the-credentials")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // Settings of the tests are none of the program's.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SEALPOST_TEST_")) {
            command.env_remove(name);
        }
        command
    }

    fn run(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = self.command(arguments).spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    pub fn ok(&self, arguments: &[&str], input: &str) -> Vec<Value> {
        let output = self.run(arguments, input);
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {complaint}");
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_delivered_by_a_worker_that_finds_everything_on_aws() {
    let program = Program::new().await;
    let (origin, mut calls) = receiver::listen(|_| (200, String::new())).await;
    let made = program.ok(&["tables", "create"], "");
    assert_eq!(made.len(), tables::ALL.len());
    assert_eq!(made[0]["table"], "sealpost-secrets");
    assert!(made.iter().all(|table| table["created"] == true), "{made:?}");
    program.ok(&["secret", "put", "acme", "token", "--origin", &origin], "canary-of-the-secret");
    let endpoint = serde_json::json!({"customerId": "acme", "endpointId": "orders", "url": origin,
        "auth": [{"scheme": "bearer", "secret": "token"}]});
    program.ok(&["endpoint", "put", "-"], &endpoint.to_string());
    let job = r#"{"id":"evt_1","customerId":"acme","endpointId":"orders","data":{"n":1}}"#;
    program.ok(&["enqueue", "-"], job);
    let mut worker = program.command(&["worker"]).spawn().unwrap();
    let call = calls.recv().await.unwrap();
    worker.kill().unwrap();
    let output = worker.wait_with_output().unwrap();
    assert_eq!(call.header("authorization"), "Bearer canary-of-the-secret");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(!said.contains("canary"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_secret_is_unbound_becomes_a_dead_letter_that_names_the_setting() {
    let program = Program::new().await;
    program.ok(&["tables", "create"], "");
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let row = program.sqs.emulator.clients().dynamodb.put_item().table_name("sealpost-secrets");
    let row = row.item("customerId", text("acme")).item("secretId", text("token"));
    let row = row.item("encryptedValue", text("AQICAHg=")).item("createdAt", text("2025-12-01"));
    row.send().await.unwrap();
    let endpoint = serde_json::json!({"customerId": "acme", "endpointId": "orders",
        "url": "http://127.0.0.1:9/", "auth": [{"scheme": "bearer", "secret": "token"}]});
    program.ok(&["endpoint", "put", "-"], &endpoint.to_string());
    program.ok(&["enqueue", "-"], r#"{"customerId":"acme","endpointId":"orders","data":1}"#);
    let mut worker = program.command(&["worker"]).spawn().unwrap();
    // The worker says on standard error what it does; the pipe ends when it dies.
    let log = BufReader::new(worker.stderr.take().unwrap()).lines();
    let told = log.map_while(Result::ok).find(|line| line.contains("unbound_secret"));
    worker.kill().unwrap();
    worker.wait().unwrap();
    assert!(told.is_some());
    let letters = program.ok(&["dlq", "list", "--reason", "unbound_secret"], "");
    assert_eq!(letters.len(), 1);
    let message = letters[0]["message"].as_str().unwrap();
    assert!(message.contains("accept_unbound_secrets = true"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_on_aws_is_told_with_the_operation_and_the_code() {
    let program = Program::new().await;
    let output = program.run(&["endpoint", "list"], "");
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    let parts = ["endpoints.list", "not found", "ResourceNotFoundException", "request "];
    assert!(parts.iter().all(|part| complaint.contains(part)), "{complaint}");
    assert!(!complaint.contains("canary"), "{complaint}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_enqueued_in_the_message_group_of_its_customer() {
    let program = Program::new().await;
    program.ok(&["enqueue", "-"], r#"{"customerId":"acme","endpointId":"orders","data":1}"#);
    let receive = program.sqs.client.receive_message().queue_url(&program.sqs.jobs);
    let receive =
        receive.message_system_attribute_names(MessageSystemAttributeName::MessageGroupId);
    let messages = receive.send().await.unwrap().messages.unwrap();
    let group =
        &messages[0].attributes.as_ref().unwrap()[&MessageSystemAttributeName::MessageGroupId];
    assert_eq!(group, "acme");
}
