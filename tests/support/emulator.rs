//! The AWS emulator as tests use it: a process of its own for each test, whose clock the test moves.
//! Built by `make emulator`.

#![allow(dead_code, reason = "each suite uses its part")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sqs::config::{Credentials, SharedCredentialsProvider};
use sealpost::adapters::aws::Clients;
use sealpost::adapters::aws::client::timeouts;

/// When the emulator's clock begins, in milliseconds since the epoch.
pub const BEGINNING: i64 = 1_800_000_000_000;

/// A running emulator; ends when this is dropped.
pub struct Emulator {
    process: Child,
    address: SocketAddr,
}

impl Emulator {
    /// With a clock that stands still.
    pub fn start() -> Self {
        Self::start_with(&["--stand-still-at", &BEGINNING.to_string()])
    }

    /// With the machine's clock, for programs that go by it.
    pub fn on_the_machines_clock() -> Self {
        Self::start_with(&[])
    }

    fn start_with(options: &[&str]) -> Self {
        let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let built = std::env::var_os("AWS_EMULATOR_DIR")
            .map_or_else(|| here.join("target/aws-emulator"), PathBuf::from);
        let mut process = Command::new(built.join("aws-emulator"))
            .args(["127.0.0.1:0", "--until-stdin-closes"])
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| {
                panic!("no emulator in {}: run `make emulator` ({e})", built.display())
            });
        let mut address = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut address).unwrap();
        Self { process, address: address.trim().parse().unwrap() }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Clients of its services.
    pub fn clients(&self) -> Clients {
        let credentials = Credentials::new("test", "test", None, None, "test");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .endpoint_url(self.url())
            .timeout_config(timeouts(Duration::ZERO))
            .build();
        Clients::new(&config)
    }

    /// A client of its SQS.
    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        self.clients().sqs
    }

    /// Moves its clock on.
    pub fn advance(&self, by: Duration) {
        self.ask("POST", &format!("clock/advance?ms={}", by.as_millis()));
    }

    /// The next `times` calls of `operation` fail.
    pub fn fail(&self, operation: &str, status: u16, code: &str, times: u32) {
        let query = format!("operation={operation}&status={status}&code={code}&times={times}");
        self.ask("POST", &format!("fail?{query}"));
    }

    /// The next call of `operation` is carried out, and its answer lost: the SDK repeats it.
    pub fn lose_answer(&self, operation: &str) {
        let failure = "status=500&code=InternalServerError&times=1&done=true";
        self.ask("POST", &format!("fail?operation={operation}&{failure}"));
    }

    /// How often `operation` of SQS was called.
    pub fn calls(&self, operation: &str) -> u64 {
        self.all_calls().get(operation).and_then(serde_json::Value::as_u64).unwrap_or(0)
    }

    /// All calls of SQS, by operation.
    pub fn all_calls(&self) -> serde_json::Map<String, serde_json::Value> {
        self.calls_of("SQS")
    }

    /// All calls of a service, by operation.
    pub fn calls_of(&self, service: &str) -> serde_json::Map<String, serde_json::Value> {
        let answer = self.ask("GET", "requests");
        let json = answer.split_once("\r\n\r\n").unwrap().1;
        let all: serde_json::Value = serde_json::from_str(json).unwrap();
        all[service].as_object().cloned().unwrap_or_default()
    }

    /// Makes a call of a service that the SDK here has no client for.
    #[allow(clippy::disallowed_methods, reason = "the emulator is on a loopback address")]
    pub fn call(&self, target: &str, body: &serde_json::Value) -> serde_json::Value {
        let mut stream = std::net::TcpStream::connect(self.address).unwrap();
        let (host, body) = (self.address, body.to_string());
        let length = body.len();
        write!(
            stream,
            "POST / HTTP/1.1\r\nhost: {host}\r\nx-amz-target: {target}\r\ncontent-length: {length}\r\n\
             content-type: application/x-amz-json-1.1\r\nconnection: close\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{target}: {answer}");
        serde_json::from_str(body).unwrap_or_default()
    }

    #[allow(clippy::disallowed_methods, reason = "the emulator is on a loopback address")]
    fn ask(&self, method: &str, path: &str) -> String {
        let mut stream = std::net::TcpStream::connect(self.address).unwrap();
        let host = self.address;
        write!(
            stream,
            "{method} /_emulator/{path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        answer
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
