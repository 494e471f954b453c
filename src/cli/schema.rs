//! `sealpost schema`: the contract with producers, for their tools.

use std::process::ExitCode;

use clap::Args;

use super::{Global, output};
use crate::domain::job;

/// Print the JSON Schema of a job.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  sealpost schema > job.schema.json")]
pub struct Schema {}

pub fn run(global: &Global, _: &Schema) -> anyhow::Result<ExitCode> {
    let schema = job::schema();
    if global.json {
        output::json(&schema)?;
    } else {
        output::line(&serde_json::to_string_pretty(&schema)?)?;
    }
    Ok(ExitCode::SUCCESS)
}
