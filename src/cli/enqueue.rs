//! `sealpost enqueue`: one job, or one a line.

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::{Global, input, output};
use crate::domain::envelope::{self, Pointers};
use crate::ports::queue::NewMessage;

/// Jobs sent at once: one commit for all.
const BATCH: usize = 500;

/// Enqueue jobs from a file or standard input: one JSON object, or one a line.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  echo '{\"customerId\":\"acme\",\"endpointId\":\"orders\",\"data\":{\"orderId\":42}}' | sealpost enqueue -\n\nEvery job is checked before the first is enqueued. If the queue fails in between, the complaint says how many were accepted. Jobs with an `id` can be enqueued again without harm to receivers that remember it."
)]
pub struct Enqueue {
    /// A file, or - for standard input
    file: PathBuf,
}

pub async fn run(global: &Global, verb: &Enqueue) -> anyhow::Result<ExitCode> {
    let jobs = read_jobs(&verb.file, &global.load_config()?.envelopes)?;
    let app = global.open().await?;
    let bar = if std::io::stderr().is_terminal() {
        ProgressBar::new(jobs.len() as u64)
            .with_style(ProgressStyle::with_template("{bar:40} {pos}/{len} jobs, {eta} left")?)
    } else {
        ProgressBar::hidden()
    };
    let mut ids = Vec::with_capacity(jobs.len());
    for batch in jobs.chunks(BATCH) {
        let sent = app.queue.send(batch.to_vec()).await;
        let accepted = ids.len();
        ids.extend(sent.with_context(|| {
            let upto = accepted + batch.len();
            format!(
                "of {} jobs the first {accepted} are enqueued, those up to {upto} perhaps",
                jobs.len()
            )
        })?);
        bar.inc(batch.len() as u64);
    }
    bar.finish_and_clear();
    match (global.json, ids.as_slice()) {
        (true, ids) => output::json(&json!({"accepted": ids.len(), "messageIds": ids}))?,
        (false, [_]) => output::line("accepted 1 job")?,
        (false, ids) => output::line(&format!("accepted {} jobs", ids.len()))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The jobs of a file. A file that is one JSON value, over however many lines, is one job.
fn read_jobs(path: &Path, envelopes: &Pointers) -> anyhow::Result<Vec<NewMessage>> {
    let mut bytes = Vec::new();
    input::open(path)?.read_to_end(&mut bytes).with_context(|| path.display().to_string())?;
    if bytes.trim_ascii().is_empty() {
        bail!("{}: no job", path.display());
    }
    let lines: Vec<(usize, &[u8])> = bytes
        .split(|byte| *byte == b'\n')
        .enumerate()
        .filter(|(_, line)| !line.trim_ascii().is_empty())
        .map(|(index, line)| (index + 1, line))
        .collect();
    let first_is_whole = lines
        .first()
        .is_some_and(|(_, line)| serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok());
    if lines.len() == 1 || !first_is_whole {
        let job = bytes.trim_ascii();
        return Ok(vec![message(job, envelopes).with_context(|| path.display().to_string())?]);
    }
    lines
        .into_iter()
        .map(|(number, line)| {
            message(line, envelopes).with_context(|| format!("{} line {number}", path.display()))
        })
        .collect()
}

/// The message of a job that can be understood.
fn message(body: &[u8], envelopes: &Pointers) -> anyhow::Result<NewMessage> {
    match envelope::read(body, envelopes) {
        Ok(job) => {
            let (body, customer) = (body.to_vec().into(), Some(job.customer_id));
            Ok(NewMessage { body, customer, ..NewMessage::default() })
        }
        Err(refused) => {
            bail!("{}: {} ({})", refused.reason, refused.error, refused.reason.advice())
        }
    }
}
