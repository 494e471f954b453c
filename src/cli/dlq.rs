//! `sealpost dlq`: the dead letters.

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde_json::json;

use super::{Global, output};
use crate::app::App;
use crate::domain::dead_letter::{DeadLetter, DeadLetterFilter};
use crate::domain::ids::{CustomerId, EndpointId};
use crate::domain::reason::Reason;
use crate::redrive::{Done, purge, replay};

/// List, show, replay and purge dead letters.
#[derive(Debug, Subcommand)]
pub enum Dlq {
    /// List dead letters, oldest first
    #[command(
        after_help = "Example:\n  sealpost dlq list --customer acme --reason attempts_exhausted"
    )]
    List {
        #[command(flatten)]
        which: Which,
        /// Most letters listed
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Show one dead letter with its history
    #[command(after_help = "Example:\n  sealpost dlq show dl_0123456789abcdef01234567 --body")]
    Show {
        /// The dead letter's id
        id: String,
        /// Show the job too
        #[arg(long)]
        body: bool,
    },
    /// Send dead letters again: a new round with fresh attempts and age, the same job id
    #[command(after_help = "Example:\n  sealpost dlq replay --customer acme --endpoint orders")]
    Replay(Chosen),
    /// Remove dead letters for good
    #[command(after_help = "Example:\n  sealpost dlq purge dl_0123456789abcdef01234567")]
    Purge {
        #[command(flatten)]
        chosen: Chosen,
        /// Take these ids out of the list even if their jobs are not found. A job that somebody else has
        /// in hand just now stays in the queue, and nothing will list it
        #[arg(long, requires = "ids")]
        forget: bool,
    },
}

/// Dead letters by what they are.
#[derive(Debug, Args)]
pub struct Which {
    /// Only this customer's
    #[arg(long)]
    customer: Option<CustomerId>,
    /// Only this endpoint's
    #[arg(long)]
    endpoint: Option<EndpointId>,
    /// Only with this reason code
    #[arg(long)]
    reason: Option<Reason>,
}

/// Dead letters by id or by what they are.
#[derive(Debug, Args)]
pub struct Chosen {
    /// Their ids
    ids: Vec<String>,
    #[command(flatten)]
    which: Which,
    /// Every dead letter there is
    #[arg(long)]
    all: bool,
}

impl Which {
    fn filter(&self) -> DeadLetterFilter {
        let (customer_id, endpoint_id) = (self.customer.clone(), self.endpoint.clone());
        DeadLetterFilter { customer_id, endpoint_id, reason: self.reason }
    }
}

pub async fn run(global: &Global, verb: &Dlq) -> anyhow::Result<ExitCode> {
    let app = global.open().await?;
    match verb {
        Dlq::List { which, limit } => {
            let letters = app.deliveries.list_dead_letters(&which.filter(), None, *limit).await?;
            list(global, &letters)?;
            if letters.len() == *limit {
                output::note(&format!("there may be more than {limit}: see --limit"));
            }
        }
        Dlq::Show { id, body } => show(global, &app, id, *body).await?,
        Dlq::Replay(chosen) => {
            let done = replay(&app, choose(&app, chosen).await?).await?;
            return report(global, "replayed", &done);
        }
        Dlq::Purge { chosen, forget } => {
            let letters = choose(&app, chosen).await?;
            let done = purge(&app, &letters).await?;
            if *forget && !done.not_found.is_empty() {
                app.deliveries.remove_dead_letters(&letters).await?;
                output::note(&format!("forgot {} whose jobs were not found", done.not_found.len()));
                let done = Done { count: done.count, not_found: Vec::new() };
                return report(global, "purged", &done);
            }
            return report(global, "purged", &done);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Tells what was done; a status of failure if not with all.
fn report(global: &Global, what: &str, done: &Done) -> anyhow::Result<ExitCode> {
    let Done { count, not_found } = done;
    if global.json {
        output::json(&json!({what: count, "notFound": not_found}))?;
    } else {
        output::line(&format!("{what} {count}"))?;
    }
    if not_found.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    for id in not_found {
        output::note(&format!("{id}: its job was not found"));
    }
    output::note(
        "Somebody else may have them in hand: try again in a few minutes. What the queue has kept too long is gone: `sealpost dlq purge --forget` and their ids take them out of the list.",
    );
    Ok(ExitCode::FAILURE)
}

async fn choose(app: &App, chosen: &Chosen) -> anyhow::Result<Vec<DeadLetter>> {
    let filter = chosen.which.filter();
    let by_filter = filter != DeadLetterFilter::default() || chosen.all;
    match (chosen.ids.is_empty(), by_filter) {
        (true, false) => {
            bail!("which? Give ids, a filter (--customer, --endpoint, --reason) or --all")
        }
        (false, true) => bail!("give either ids or a filter, not both"),
        (true, true) => Ok(app.deliveries.list_dead_letters(&filter, None, usize::MAX).await?),
        (false, false) => {
            let mut letters = Vec::new();
            for id in &chosen.ids {
                let letter = app.deliveries.get_dead_letter(id).await?;
                letters.push(letter.with_context(|| format!("there is no dead letter {id}"))?);
            }
            Ok(letters)
        }
    }
}

async fn show(global: &Global, app: &App, id: &str, body: bool) -> anyhow::Result<()> {
    let letter = app.deliveries.get_dead_letter(id).await?;
    let letter = letter.with_context(|| format!("there is no dead letter {id}"))?;
    let mut shown = serde_json::to_value(&letter)?;
    if body {
        match app.queue.peek_dead(id).await? {
            Some(bytes) => shown["job"] = String::from_utf8_lossy(&bytes).into(),
            None => output::note("the job was not found: somebody else may have it in hand"),
        }
    }
    output::line(&if global.json {
        shown.to_string()
    } else {
        serde_json::to_string_pretty(&shown)?
    })
}

fn list(global: &Global, letters: &[DeadLetter]) -> anyhow::Result<()> {
    if global.json {
        return letters.iter().try_for_each(output::json);
    }
    let text = |id: Option<&str>| id.unwrap_or("-").to_owned();
    let rows = letters.iter().map(|letter| {
        vec![
            letter.id.clone(),
            letter.dead_at.to_string(),
            text(letter.customer_id.as_ref().map(|id| id.as_str())),
            text(letter.endpoint_id.as_ref().map(|id| id.as_str())),
            text(letter.job_id.as_ref().map(|id| id.as_str())),
            letter.reason.to_string(),
            letter.attempts.to_string(),
        ]
    });
    output::table(&["id", "given up", "customer", "endpoint", "job", "reason", "attempts"], rows)
}
