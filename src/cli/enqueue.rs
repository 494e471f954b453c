//! `sealpost enqueue`: one job, or one a line.

use std::io::{IsTerminal, Read};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::{Global, input, output};
use crate::domain::envelope::{self, Pointers};
use crate::domain::ids::OrderingGroup;
use crate::domain::job::{Job, Undecodable};
use crate::domain::ordering;
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
    /// Deliver those that name no `orderingGroup` in order, as jobs of this one
    #[arg(long, value_name = "GROUP")]
    ordering_group: Option<OrderingGroup>,
}

pub async fn run(global: &Global, verb: &Enqueue) -> anyhow::Result<ExitCode> {
    let jobs = read_jobs(verb, &global.load_config()?.envelopes)?;
    let app = global.open().await?;
    for Parsed { place, job, .. } in &jobs {
        ordering::check(job, app.queue.keeps_order()).map_err(refused).context(place.clone())?;
    }
    let jobs: Vec<NewMessage> = jobs.into_iter().map(|parsed| parsed.message).collect();
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

/// A job, with what the complaint about it begins with, and its message.
struct Parsed {
    place: String,
    job: Job,
    message: NewMessage,
}

/// The jobs of a file. A file that is one JSON value, over however many lines, is one job.
fn read_jobs(verb: &Enqueue, envelopes: &Pointers) -> anyhow::Result<Vec<Parsed>> {
    let (path, mut bytes) = (&verb.file, Vec::new());
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
    let read = |place: String, body: &[u8]| {
        let body = Bytes::copy_from_slice(body);
        let mut job = envelope::read(&body, envelopes).map_err(refused).context(place.clone())?;
        job.ordering_group = job.ordering_group.or_else(|| verb.ordering_group.clone());
        let message = NewMessage::of_job(&job, body);
        Ok(Parsed { place, job, message })
    };
    if lines.len() == 1 || !first_is_whole {
        return Ok(vec![read(path.display().to_string(), bytes.trim_ascii())?]);
    }
    lines
        .into_iter()
        .map(|(number, line)| read(format!("{} line {number}", path.display()), line))
        .collect()
}

/// The complaint about a job, with what to do about it.
fn refused(why: Undecodable) -> anyhow::Error {
    anyhow!("{}: {} ({})", why.reason, why.error, why.reason.advice())
}
