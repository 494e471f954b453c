//! `sealpost api`: the HTTP API alone, beside workers in other processes.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use tracing::info;

use super::Global;
use crate::api;
use crate::app::{App, Role};
use crate::cli::serve::{REPLAYS_END, watch};
use crate::console;
use crate::monitor::{self, Monitor};
use crate::replay;
use crate::telemetry::logging;
use crate::worker::lifecycle;

/// Serve the HTTP API until SIGTERM or SIGINT, without a worker.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  sealpost api --config sealpost.toml\n\nIt listens at api.listen of the configuration, or at 127.0.0.1:8700. It opens no secrets. `sealpost serve` and `sealpost worker` serve it beside their work where api.listen is set."
)]
pub struct Api {}

pub async fn run(global: &Global, _: &Api) -> anyhow::Result<ExitCode> {
    let config = global.load_config()?;
    let format = if global.json { logging::Format::Json } else { config.log.format };
    logging::start(format, config.log.level);
    let stop = lifecycle::listen()?;
    let (address, drain) = (config.api.address(), config.worker.drain);
    let listener = api::bind(address).await?;
    let metrics = monitor::bind(config.metrics.listen).await?;
    let app = Arc::new(App::open(&global.data, config, Role::Command).await?);
    let from = match &app.config.aws {
        Some(aws) => aws.queue_url.to_string(),
        None => global.data.display().to_string(),
    };
    info!(event = "serving", from, address = %listener.local_addr()?);
    // Replays that were begun over the API go on here: a worker on AWS has no right to their records.
    let replays = tokio::spawn(replay::keep_running(app.replayer(), stop.soft.clone()));
    let monitor = Monitor::new(app, None);
    let router = console::site(Arc::new(api::Api::new(Arc::clone(&monitor))), stop.soft.clone());
    tokio::join!(
        api::serve(listener, router, drain, stop.clone()),
        watch(metrics, &monitor, drain, &stop)
    );
    // The page in hand; what is cut short is met again.
    let _ = tokio::time::timeout(REPLAYS_END, replays).await;
    info!(event = "stopped");
    Ok(ExitCode::SUCCESS)
}
