//! `sealpost preview`: the exact request that a job would send.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use tokio::time::{Instant, sleep};

use super::{Global, duration, input, output};
use crate::adapters::system::SystemClock;
use crate::app::App;
use crate::delivery::preview::PreviewError;
use crate::domain::dry_run::{DryRun, DryRunAnswer};
use crate::domain::shown_request::ShownRequest;
use crate::domain::timestamp::Timestamp;
use crate::ports::Clock;
use crate::ports::queue::NewMessage;

/// How often the answer is looked for.
const LOOK: Duration = Duration::from_millis(200);

/// Show the exact request that a job would send to its endpoint, without sending it.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  sealpost preview job.json --at 2026-11-23T10:00:00Z\n\nOn AWS only workers may open secrets: a worker is asked, and answers with the secrets masked. --reveal opens them here, with the permissions of an administrator."
)]
pub struct Preview {
    /// A JSON file with one job, or - for standard input
    file: PathBuf,
    /// Show secrets instead of masking them
    #[arg(long)]
    reveal: bool,
    /// The time of the call, as it is signed
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// How long to wait for a worker's answer
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    wait: Duration,
}

struct FixedClock(Timestamp);

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        self.0
    }
}

pub async fn run(global: &Global, verb: &Preview) -> anyhow::Result<ExitCode> {
    let job = input::read(&verb.file)?;
    let job = job.trim();
    let config = global.load_config()?;
    let shown = if config.is_aws() && !verb.reveal {
        ask_worker(&global.open().await?, job, verb).await?
    } else {
        let clock: Arc<dyn Clock> = match verb.at {
            Some(at) => Arc::new(FixedClock(at)),
            None => Arc::new(SystemClock),
        };
        let app = global.open_at(clock).await?;
        let built = app.pipeline()?.preview(job.as_bytes(), app.clock.now()).await;
        let request = match built {
            Err(error @ PreviewError::Ours(_)) if config.is_aws() => {
                return Err(error).context("--reveal opens secrets here, which needs the rights of a worker: see \"Rights\" in docs/AWS.md");
            }
            built => built?,
        };
        if verb.reveal { ShownRequest::revealed(&request) } else { ShownRequest::masked(&request) }
    };
    if global.json {
        output::json(&shown.to_json())?;
    } else {
        output::line(&shown.to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Has a worker build the request.
async fn ask_worker(app: &App, job: &str, verb: &Preview) -> anyhow::Result<ShownRequest> {
    let (id, until) = (app.chance.token(), app.clock.now().plus(verb.wait));
    let dry_run = DryRun { id: id.clone(), at: verb.at, until };
    let state = Some(dry_run.to_state()?.into());
    let message = NewMessage { body: job.to_owned().into(), state, ..NewMessage::default() };
    app.queue.send(vec![message]).await.context("asking a worker")?;
    let deadline = Instant::now() + verb.wait;
    while Instant::now() < deadline {
        if let Some(answer) = app.deliveries.take_dry_run(&id, app.clock.now()).await? {
            return match serde_json::from_str(&answer)? {
                DryRunAnswer::Request(request) => Ok(request),
                DryRunAnswer::Problem(problem) => bail!(problem),
            };
        }
        sleep(LOOK).await;
    }
    bail!("no worker answered in time: is one running? Wait longer with --wait")
}
