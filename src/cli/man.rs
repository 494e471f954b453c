//! `sealpost man`: the manual pages, one a command, made of the same descriptions as `--help`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, CommandFactory};
use serde_json::json;

use super::{Cli, Global, output};

/// Write the manual pages
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  sealpost man man1\n\nRead one with `man man1/sealpost-enqueue.1`, or put the folder where MANPATH finds it."
)]
pub struct Man {
    /// The folder; it is made if it is not there
    folder: PathBuf,
}

pub fn run(global: &Global, verb: &Man) -> anyhow::Result<ExitCode> {
    let shown = || verb.folder.display().to_string();
    std::fs::create_dir_all(&verb.folder).with_context(shown)?;
    clap_mangen::generate_to(Cli::command(), &verb.folder).with_context(shown)?;
    let files = std::fs::read_dir(&verb.folder).with_context(shown)?.filter_map(Result::ok);
    let is_ours = |name: std::ffi::OsString| name.to_string_lossy().starts_with("sealpost");
    let pages = files.filter(|file| is_ours(file.file_name())).count();
    if global.json {
        output::json(&json!({"folder": verb.folder, "pages": pages}))?;
    } else {
        output::line(&format!("{pages} pages in {}", shown()))?;
    }
    Ok(ExitCode::SUCCESS)
}
