//! Programs that use nothing of ours: the AWS SDKs of other languages. Installed by `make producers`.

use std::path::PathBuf;
use std::process::Command;

/// Where they are installed.
pub fn folder() -> PathBuf {
    let folder = std::env::var_os("PRODUCERS_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/producers"),
        PathBuf::from,
    );
    assert!(
        folder.join("key").exists(),
        "no producers in {}: run `make producers`",
        folder.display()
    );
    folder
}

/// `node` or `python`, to run a script of `tests/producers/`.
pub fn producer(language: &str, script: &str) -> Command {
    let folder = folder();
    let program = match language {
        "python" => folder.join("venv/bin/python"),
        other => other.into(),
    };
    let mut command = Command::new(program);
    command.arg(folder.join(script));
    command
}
