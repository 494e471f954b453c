//! `sealpost serve`: the worker on a data directory.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use tokio::net::TcpListener;
use tracing::info;

use super::Global;
use crate::api;
use crate::app::{App, Role};
use crate::config::Config;
use crate::console;
use crate::delivery::Pipeline;
use crate::monitor::{self, Monitor};
use crate::process;
use crate::replay;
use crate::telemetry::logging;
use crate::worker::{self, Ended, Limits, Stop, lifecycle, sweeper};

/// How long a stop waits for operational events to be sent.
const FLUSH: std::time::Duration = std::time::Duration::from_secs(5);

/// Run the worker until SIGTERM or SIGINT; a second one stops hard.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  sealpost serve --data /var/lib/sealpost --config sealpost.toml"
)]
pub struct Serve {}

pub async fn run(global: &Global, _: &Serve) -> anyhow::Result<ExitCode> {
    let config = global.load_config()?;
    if config.is_aws() {
        bail!("the configuration has a section [aws]: run `sealpost worker`");
    }
    work(global, config).await
}

/// How long a stop waits for the page of a replay.
pub const REPLAYS_END: Duration = Duration::from_secs(5);

/// What is ready to work.
struct Started {
    monitor: Arc<Monitor>,
    pipeline: Arc<Pipeline>,
    listener: Option<TcpListener>,
    metrics: Option<TcpListener>,
    limits: Limits,
}

/// Opens what the work needs. Nothing is received yet.
async fn start(global: &Global, config: Config) -> anyhow::Result<Started> {
    let listener = match config.api.listen {
        Some(address) => Some(api::bind(address).await?),
        None => None,
    };
    let metrics = monitor::bind(config.metrics.listen).await?;
    let app = Arc::new(App::open(&global.data, config, Role::Worker).await?);
    let pipeline = Arc::new(app.pipeline()?);
    let monitor = Monitor::new(Arc::clone(&app), Some(Arc::clone(&pipeline)));
    sweeper::forget_old_fences(&pipeline).await?;
    let settings = &app.config.worker;
    let concurrency = process::deliveries_with_open_files(settings.concurrency);
    let limits = Limits { concurrency, drain: settings.drain };
    let depth = app.queue.depth().await?;
    let from = match &app.config.aws {
        Some(aws) => aws.queue_url.to_string(),
        None => global.data.display().to_string(),
    };
    info!(event = "serving", from, pending = depth.pending, dead_letters = depth.dead);
    Ok(Started { monitor, pipeline, listener, metrics, limits })
}

/// Works, on whichever form the configuration chooses, until told to stop.
pub async fn work(global: &Global, config: Config) -> anyhow::Result<ExitCode> {
    let format = if global.json { logging::Format::Json } else { config.log.format };
    logging::start(format, config.log.level);
    let stop = lifecycle::listen()?;
    let started = tokio::select! {
        biased;
        () = stop.soft.cancelled() => None,
        started = start(global, config) => Some(started?),
    };
    let Some(Started { monitor, pipeline, listener, metrics, limits }) = started else {
        info!(event = "stopped", clean = true, "told to stop before it had begun");
        return Ok(ExitCode::SUCCESS);
    };
    let app = &monitor.app;
    // Replays that nobody else works on. On AWS a worker has no right to their records.
    let replays = (!app.config.is_aws())
        .then(|| tokio::spawn(replay::keep_running(app.replayer(), stop.soft.clone())));
    let served = Box::pin(async {
        if let Some(listener) = listener {
            let api = Arc::new(api::Api::new(Arc::clone(&monitor)));
            let router = console::site(api, stop.soft.clone());
            api::serve(listener, router, limits.drain, stop.clone()).await;
        }
    });
    let watched = watch(metrics, &monitor, limits.drain, &stop);
    let (ended, (), ()) =
        tokio::join!(Box::pin(worker::run(pipeline, limits, stop.clone())), served, watched);
    app.events.flush(FLUSH).await;
    if let Some(replays) = replays {
        // The page in hand; what is cut short is met again.
        let _ = tokio::time::timeout(REPLAYS_END, replays).await;
    }
    let counts = app.tally.counts();
    let clean = ended == Ended::Clean;
    info!(
        event = "stopped",
        clean,
        counts.delivered,
        counts.retried,
        counts.dead_lettered,
        counts.faults,
        events_dropped = app.events.dropped()
    );
    Ok(ExitCode::SUCCESS)
}

/// Serves metrics and health, if they are listened for, until told to stop.
pub async fn watch(
    listener: Option<TcpListener>,
    monitor: &Arc<Monitor>,
    drain: Duration,
    stop: &Stop,
) {
    if let Some(listener) = listener {
        api::serve(listener, monitor::router(Arc::clone(monitor)), drain, stop.clone()).await;
    }
}
