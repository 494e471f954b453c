//! `sealpost import`: endpoints and secrets of another service.

mod read;
mod report;
mod write;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};

use super::{Global, input};
use crate::domain::ids::CustomerId;
use crate::import::{Who, plan};

/// Take over what another service has.
#[derive(Debug, Subcommand)]
pub enum Import {
    Eventbridge(EventBridge),
}

/// Plan the import of Amazon EventBridge's connections and API destinations; with --apply, write it
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  sealpost import eventbridge --customer acme --from saved\n\nEvery API destination becomes an endpoint for each rule that sends there, every value of its connection a secret. Without --apply nothing is written. It can be run again: what is there as it would be written is left alone, and what is there otherwise is kept, too, unless --replace says so. docs/MIGRATING-FROM-EVENTBRIDGE.md goes through it step by step."
)]
pub struct EventBridge {
    /// Whose the endpoints become, where --map does not say otherwise
    #[arg(long)]
    customer: Option<CustomerId>,
    /// A JSON file that says whose each API destination becomes: {"NAME": {"customerId": "…", "endpointId": "…"}}
    #[arg(long, value_name = "FILE")]
    map: Option<PathBuf>,
    /// A folder with saved output of the AWS CLI, in place of the account itself
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
    /// The ARN of the jobs' queue, for the targets that take the place of the old ones
    #[arg(long, value_name = "ARN", default_value = "QUEUE_ARN")]
    queue: String,
    /// Write endpoints and secrets
    #[arg(long)]
    apply: bool,
    /// Write over endpoints and secrets that are there and differ
    #[arg(long, requires = "apply")]
    replace: bool,
}

pub async fn run(global: &Global, verb: &EventBridge) -> anyhow::Result<ExitCode> {
    let whose: BTreeMap<String, Who> = match &verb.map {
        None => BTreeMap::new(),
        Some(path) => serde_json::from_str(&input::read(path)?)
            .with_context(|| format!("{} is no map of names", path.display()))?,
    };
    let found = read::read(verb.from.as_deref()).await?;
    let planned = plan(&found.account, &whose, verb.customer.as_ref());
    let app = global.open().await?;
    let mut steps = write::compare(&app, planned.imports, &found).await?;
    if verb.apply {
        write::apply(&app, &mut steps, &found, verb.replace).await?;
    }
    let report = report::Report { steps: &steps, unused: &planned.unused, verb };
    report.tell(global.json)?;
    let failed = verb.apply && steps.iter().any(|step| !step.is_done());
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
