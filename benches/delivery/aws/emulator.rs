//! The emulator of DynamoDB and KMS (`tests/aws-emulator`), which counts calls.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::Context;

use crate::process::{Process, first_line, get};

/// Calls by service and operation.
pub type Calls = BTreeMap<String, BTreeMap<String, u64>>;

/// A running emulator.
pub struct Emulator {
    /// Its process.
    pub process: Process,
    /// Where it listens.
    pub address: String,
}

impl Emulator {
    pub fn start() -> anyhow::Result<Self> {
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

    /// Calls so far.
    pub fn calls(&self) -> anyhow::Result<Calls> {
        Ok(serde_json::from_str(&get(&self.address, "/_emulator/requests")?)?)
    }
}

/// How often an operation was called.
pub fn count(calls: &Calls, service: &str, operation: &str) -> u64 {
    calls.get(service).and_then(|all| all.get(operation)).copied().unwrap_or_default()
}

/// The calls that came after `before`.
pub fn since(before: &Calls, now: Calls) -> Calls {
    let mut left = now;
    for (service, all) in &mut left {
        for (operation, calls) in all {
            *calls -= count(before, service, operation);
        }
    }
    left
}
