//! Receivers that use nothing of ours: programs of `tests/receivers/`, over the libraries that receivers
//! use. Installed by `make receivers`.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

/// A running program of `tests/receivers/`; ends when this is dropped.
pub struct ForeignServer {
    process: Child,
    input: ChildStdin,
    printed: Lines<BufReader<ChildStdout>>,
    /// The port of 127.0.0.1 where it listens.
    pub port: u16,
}

impl ForeignServer {
    /// Starts `script`, a file `.mjs` or `.py`, and waits until it listens.
    pub fn start(script: &str, arguments: &[&str]) -> Self {
        let folder = folder();
        let program = match script.rsplit_once('.') {
            Some((_, "py")) => folder.join("venv/bin/python"),
            _ => "node".into(),
        };
        let mut process = Command::new(program)
            .arg(folder.join(script))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // What libraries warn of is of no interest until a test fails; then nextest shows it.
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let input = process.stdin.take().unwrap();
        let mut printed = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = printed.next().unwrap_or_else(|| panic!("{script} did not start")).unwrap();
        Self { process, input, printed, port: port.parse().unwrap() }
    }

    /// Where it listens, as an origin of plain http.
    pub fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The next that it printed; waits for it.
    pub fn next(&mut self) -> Value {
        let line = self.printed.next().unwrap_or_else(|| panic!("the program has ended")).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"))
    }

    /// Writes a line to its input.
    pub fn tell(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
    }
}

impl Drop for ForeignServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn folder() -> PathBuf {
    let folder = std::env::var_os("RECEIVERS_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/receivers"),
        PathBuf::from,
    );
    let hint = format!("no receivers in {}: run `make receivers`", folder.display());
    assert!(folder.join("key").exists(), "{hint}");
    folder
}
