//! Runs `sealpost` on a data directory of its own.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

pub struct Program {
    dir: tempfile::TempDir,
}

impl Program {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub fn data(&self) -> &Path {
        self.dir.path()
    }

    /// A command that may call loopback.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sealpost"));
        command
            .args(arguments)
            .env("SEALPOST_DATA", self.data())
            .env("SEALPOST_EGRESS_ALLOW_HTTP", "true")
            .env("SEALPOST_EGRESS_ALLOW", "[\"127.0.0.1/32\"]")
            .env("SEALPOST_EGRESS_PORTS", "[\"1-65535\"]")
            .env("SEALPOST_LOG_LEVEL", "trace")
            // Proxies of the environment are nobody's decision: they are ignored.
            .env("HTTP_PROXY", "http://127.0.0.1:1")
            .env("http_proxy", "http://127.0.0.1:1");
        // Settings of the tests are none of the program's.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SEALPOST_TEST_")) {
            command.env_remove(name);
        }
        command
    }

    pub fn run(&self, arguments: &[&str], input: &[u8]) -> Output {
        output(self.command(arguments), input)
    }

    /// Runs a command that has to succeed; returns what it printed.
    pub fn ok(&self, arguments: &[&str], input: &str) -> String {
        ok(self.command(arguments), input)
    }

    /// Runs a command that has to fail; returns its complaint.
    pub fn fails(&self, arguments: &[&str], input: &[u8]) -> String {
        let output = self.run(arguments, input);
        assert!(!output.status.success(), "{arguments:?} succeeded");
        String::from_utf8(output.stderr).unwrap()
    }

    /// The dead letters, once there are `count` of them.
    pub fn dead_letters(&self, count: usize) -> String {
        for _ in 0..2000 {
            let listed = self.ok(&["dlq", "list", "--json"], "");
            if listed.lines().count() == count {
                return listed;
            }
        }
        panic!("there are still not {count} dead letters");
    }

    pub fn serve(&self) -> Child {
        self.command(&["serve", "--json"]).stderr(Stdio::piped()).spawn().unwrap()
    }
}

/// What a command gives when it reads `input`.
pub fn output(mut command: Command, input: &[u8]) -> Output {
    let streams = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = streams.spawn().unwrap();
    // A program that refuses its arguments does not read.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

/// What a command that has to succeed prints.
pub fn ok(command: Command, input: &str) -> String {
    let shown = format!("{command:?}");
    let output = output(command, input.as_bytes());
    assert!(output.status.success(), "{shown}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Asks a process to stop, once.
pub fn terminate(child: &Child) {
    let status = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}
