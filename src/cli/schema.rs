//! `sealpost schema`: the contract with producers, for their tools.

use std::process::ExitCode;

use clap::Args;

use super::{Global, output};
use crate::api::openapi;
use crate::domain::job;

/// Print the JSON Schema of a job.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  sealpost schema > job.schema.json")]
pub struct Schema {
    /// Print the OpenAPI document of the HTTP API instead
    #[arg(long)]
    openapi: bool,
}

pub fn run(global: &Global, verb: &Schema) -> anyhow::Result<ExitCode> {
    let schema = if verb.openapi { openapi::document() } else { job::schema() };
    if global.json {
        output::json(&schema)?;
    } else {
        output::line(&serde_json::to_string_pretty(&schema)?)?;
    }
    Ok(ExitCode::SUCCESS)
}
