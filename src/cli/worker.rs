//! `sealpost worker`: one of any number of workers on AWS.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;

use super::{Global, serve};

/// Run a worker on AWS until SIGTERM or SIGINT; a second one stops hard.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  sealpost worker --config sealpost.toml\n\nThe configuration's section [aws] names the queues, the tables and the key; credentials and region are found as every AWS tool finds them. Run as many as you like."
)]
pub struct Worker {}

pub async fn run(global: &Global, _: &Worker) -> anyhow::Result<ExitCode> {
    let config = global.load_config()?;
    if !config.is_aws() {
        bail!(
            "the configuration has no section [aws] that names the queues, the tables and the key; for a data directory run `sealpost serve`"
        );
    }
    serve::work(global, config).await
}
