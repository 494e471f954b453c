//! `sealpost dlq`: the dead letters.

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde_json::json;

use super::{Global, output};
use crate::app::App;
use crate::domain::dead_letter::{DeadLetter, DeadLetterFilter};
use crate::domain::delivery::DeliveryState;
use crate::domain::ids::{CustomerId, EndpointId};
use crate::domain::reason::Reason;
use crate::ports::queue::{Redrive, Sought};

/// Letters handled at once.
const PAGE: usize = 500;

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
    Purge(Chosen),
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
            list(global, &app.deliveries.list_dead_letters(&which.filter(), None, *limit).await?)?;
        }
        Dlq::Show { id, body } => show(global, &app, id, *body).await?,
        Dlq::Replay(chosen) => {
            let replayed = replay(&app, choose(&app, chosen).await?).await?;
            report(global, "replayed", replayed)?;
        }
        Dlq::Purge(chosen) => {
            let letters = choose(&app, chosen).await?;
            report(global, "purged", purge(&app, letters).await?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn report(global: &Global, what: &str, count: usize) -> anyhow::Result<()> {
    if global.json {
        output::json(&json!({what: count}))
    } else {
        output::line(&format!("{what} {count}"))
    }
}

/// Replays dead letters; returns how many were there to be replayed.
pub async fn replay(app: &App, letters: Vec<DeadLetter>) -> anyhow::Result<usize> {
    let now = app.clock.now();
    let mut replayed = 0;
    for page in letters.chunks(PAGE) {
        let redrives: Result<Vec<Redrive>, serde_json::Error> = page
            .iter()
            .map(|letter| {
                let state = letter.job_id.clone().map(|id| DeliveryState {
                    round: letter.round,
                    ..DeliveryState::first(id, letter.accepted_at)
                });
                let state =
                    state.map(|state| serde_json::to_vec(&state.next_round(now))).transpose()?;
                Ok(Redrive { dead_letter_id: letter.id.clone(), state: state.map(Into::into) })
            })
            .collect();
        let sought = app.queue.redrive(redrives?).await?;
        replayed += sought.found.len();
        // The messages are back in the queue: only now may the index forget them.
        forget(app, page, &sought).await?;
    }
    Ok(replayed)
}

/// Purges dead letters; returns of how many nothing is left.
async fn purge(app: &App, letters: Vec<DeadLetter>) -> anyhow::Result<usize> {
    let mut purged = 0;
    for page in letters.chunks(PAGE) {
        let ids: Vec<String> = page.iter().map(|letter| letter.id.clone()).collect();
        let sought = app.queue.purge_dead(&ids).await?;
        forget(app, page, &sought).await?;
        purged += ids.len() - sought.unknown.len();
    }
    Ok(purged)
}

/// Takes out of the index what is no dead letter any more, and tells what could not be reached.
async fn forget(app: &App, page: &[DeadLetter], sought: &Sought) -> anyhow::Result<()> {
    let settled: Vec<DeadLetter> =
        page.iter().filter(|letter| !sought.unknown.contains(&letter.id)).cloned().collect();
    app.deliveries.remove_dead_letters(&settled).await?;
    for id in &sought.unknown {
        output::note(&format!("{id} is not within reach now: try again in a few minutes"));
    }
    Ok(())
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
    if body && let Some(bytes) = app.queue.peek_dead(id).await? {
        shown["job"] = String::from_utf8_lossy(&bytes).into();
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
