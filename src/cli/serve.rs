//! `sealpost serve`: the worker.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tracing::info;

use super::Global;
use crate::app::{App, Role};
use crate::telemetry::logging;
use crate::worker::{self, Ended, Limits, lifecycle};

/// How long a fence is kept: longer than any delivery lives.
const FENCE_LIFETIME: Duration = Duration::from_secs(15 * 24 * 3600);

/// Run the worker until SIGTERM or SIGINT; a second one stops hard.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  sealpost serve --data /var/lib/sealpost --config sealpost.toml"
)]
pub struct Serve {}

pub async fn run(global: &Global, _: &Serve) -> anyhow::Result<ExitCode> {
    let config = global.load_config()?;
    let format = if global.json { logging::Format::Json } else { config.log.format };
    logging::start(format, config.log.level);
    let stop = lifecycle::listen()?;
    let app = App::open(&global.data, config, Role::Worker).await?;
    let horizon = app.clock.now().as_millis() - i64::try_from(FENCE_LIFETIME.as_millis())?;
    app.deliveries.forget_fences(crate::domain::timestamp::Timestamp::from_millis(horizon)).await?;
    let pipeline = Arc::new(app.pipeline()?);
    let limits =
        Limits { concurrency: app.config.worker.concurrency, drain: app.config.worker.drain };
    let depth = app.queue.depth().await?;
    info!(event = "serving", data = %global.data.display(), pending = depth.pending, dead_letters = depth.dead);
    let ended = worker::run(pipeline, limits, stop).await;
    let counts = app.tally.counts();
    let clean = ended == Ended::Clean;
    info!(
        event = "stopped",
        clean, counts.delivered, counts.retried, counts.dead_lettered, counts.faults
    );
    Ok(ExitCode::SUCCESS)
}
