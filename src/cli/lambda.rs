//! `sealpost lambda`: the worker as a function of AWS Lambda behind the queue.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::info;

use super::Global;
use crate::app::{App, Role};
use crate::delivery::Pipeline;
use crate::ports::queue::Intake;
use crate::telemetry::logging;
use crate::worker::batch::deliver_batch;
use crate::worker::lifecycle;

/// How long the end of an event waits for operational events to be sent: less than is left of
/// [`SETTLING`](crate::worker::batch::SETTLING), so that the answer is in time.
const FLUSH: Duration = Duration::from_millis(500);

/// Work as a function of AWS Lambda whose event source is the queue
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  AWS_LAMBDA_RUNTIME_API=127.0.0.1:9001 sealpost lambda --config sealpost.toml\n\nLambda sets AWS_LAMBDA_RUNTIME_API. The function's `bootstrap` runs this command; its event source mapping has ReportBatchItemFailures. docs/AWS.md has the settings that belong together."
)]
pub struct Lambda {}

pub async fn run(global: &Global, _: &Lambda) -> anyhow::Result<ExitCode> {
    if std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_none() {
        bail!("AWS_LAMBDA_RUNTIME_API is not set: Lambda runs this command, see docs/AWS.md");
    }
    let config = global.load_config()?;
    // Lambda's log has lines of JSON, or of text as they come.
    let format = if global.json { logging::Format::Json } else { config.log.format };
    logging::start(format, config.log.level);
    let app = Arc::new(App::open(&global.data, config, Role::Worker).await?);
    let Some(intake) = app.intake.clone() else {
        bail!(
            "the configuration has no section [aws] that names the queues, the tables and the key"
        );
    };
    let pipeline = Arc::new(app.pipeline()?);
    // Before it says that it serves: the runtime's own handler begins to listen some time later.
    let stop = lifecycle::listen()?;
    // It registers an extension, without which Lambda ends a function with no signal.
    lambda_runtime::spawn_graceful_shutdown_handler(std::future::pending::<()>).await;
    info!(event = "serving", from = "lambda");
    let handler = service_fn(|event: LambdaEvent<Value>| {
        let (app, pipeline, intake) =
            (Arc::clone(&app), Arc::clone(&pipeline), Arc::clone(&intake));
        async move { handle(&app, &pipeline, &*intake, event).await }
    });
    tokio::select! {
        // Lambda sends it between events: nothing is under way.
        () = stop.soft.cancelled() => info!(event = "stopped"),
        ended = lambda_runtime::run(handler) => {
            ended.map_err(|e| anyhow::anyhow!(e)).context("the runtime API")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Delivers an event's messages; the answer names those that are not settled.
async fn handle(
    app: &App,
    pipeline: &Arc<Pipeline>,
    intake: &dyn Intake,
    event: LambdaEvent<Value>,
) -> Result<Value, lambda_runtime::Error> {
    let now = app.clock.now().as_millis();
    let left = i64::try_from(event.context.deadline).unwrap_or(i64::MAX).saturating_sub(now);
    let deadline = Instant::now() + Duration::from_millis(u64::try_from(left).unwrap_or_default());
    let messages = intake.take_over(event.payload).await?;
    deliver_batch(pipeline, messages, app.config.worker.concurrency, deadline).await;
    app.events.flush(FLUSH).await;
    let unsettled = intake.unsettled();
    if !unsettled.is_empty() {
        info!(event = "batch_item_failures", count = unsettled.len());
    }
    let failures: Vec<Value> = unsettled.iter().map(|id| json!({"itemIdentifier": id})).collect();
    Ok(json!({"batchItemFailures": failures}))
}
