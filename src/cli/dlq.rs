//! `sealpost dlq`: the dead letters.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde_json::json;

use super::{Global, output};
use crate::app::App;
use crate::domain::dead_letter::{DeadLetter, DeadLetterFilter};
use crate::domain::ids::{CustomerId, EndpointId};
use crate::domain::outcome::Phase;
use crate::domain::reason::Reason;
use crate::domain::timestamp::Timestamp;
use crate::redrive::{Done, PAGE, purge, replay};

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
        /// Go on behind this place: the one that the page before ended with
        #[arg(long, value_name = "CURSOR")]
        after: Option<String>,
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
        /// How many there are, as `sealpost replay plan` says; needed with a filter or --all. If there are
        /// more or fewer, nothing is removed
        #[arg(long, value_name = "N")]
        count: Option<u64>,
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
    /// Only of this event type
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// Only those whose last call got no answer and ended in this phase
    #[arg(long)]
    phase: Option<Phase>,
    /// Only those given up since this time
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Only those given up before this time
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
    /// Only those with at least so many attempts
    #[arg(long, value_name = "N")]
    min_attempts: Option<u32>,
    /// Only those with at most so many attempts
    #[arg(long, value_name = "N")]
    max_attempts: Option<u32>,
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
    /// The filter.
    pub fn filter(&self) -> DeadLetterFilter {
        DeadLetterFilter {
            customer_id: self.customer.clone(),
            endpoint_id: self.endpoint.clone(),
            reason: self.reason,
            event_type: self.event_type.clone(),
            phase: self.phase,
            since: self.since,
            until: self.until,
            min_attempts: self.min_attempts,
            max_attempts: self.max_attempts,
        }
    }
}

pub async fn run(global: &Global, verb: &Dlq) -> anyhow::Result<ExitCode> {
    let app = global.open().await?;
    match verb {
        Dlq::List { which, limit, after } => {
            list(global, &app, &which.filter(), after.clone(), *limit).await?;
        }
        Dlq::Show { id, body } => show(global, &app, id, *body).await?,
        Dlq::Replay(chosen) => {
            let mut done = Done::default();
            let mut chosen = Pages::of(&app, chosen).await?;
            while let Some(page) = chosen.next(&app).await? {
                done.add(replay(&app, page).await?);
            }
            return report(global, "replayed", &done);
        }
        Dlq::Purge { chosen, count, forget } => {
            confirm(&app, chosen, *count).await?;
            let (mut done, mut letters) = (Done::default(), Vec::new());
            let by_id = !chosen.ids.is_empty();
            let mut chosen = Pages::of(&app, chosen).await?;
            while let Some(page) = chosen.next(&app).await? {
                done.add(purge(&app, &page).await?);
                if by_id {
                    letters.extend(page);
                }
            }
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

/// Whoever removes many says how many: a filter is easily wider than it was meant to be.
async fn confirm(app: &App, chosen: &Chosen, count: Option<u64>) -> anyhow::Result<()> {
    if !chosen.ids.is_empty() || !chosen.is_by_filter() {
        return Ok(());
    }
    let found = app.replayer().plan(&chosen.which.filter()).await?.count;
    match count {
        Some(count) if count == found => Ok(()),
        Some(count) => bail!("there are {found}, not {count}: nothing was removed"),
        None => bail!(
            "this would remove {found} dead letters for good, with their jobs: to do so, add --count {found}"
        ),
    }
}

/// Tells what was done; a status of failure if not with all.
pub fn report(global: &Global, what: &str, done: &Done) -> anyhow::Result<ExitCode> {
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

impl Chosen {
    fn is_by_filter(&self) -> bool {
        self.which.filter() != DeadLetterFilter::default() || self.all
    }
}

/// The chosen letters, page by page: there may be more than fit into memory.
enum Pages {
    Ids(Vec<DeadLetter>),
    Filter { filter: Box<DeadLetterFilter>, after: Option<String> },
}

impl Pages {
    async fn of(app: &App, chosen: &Chosen) -> anyhow::Result<Self> {
        match (chosen.ids.is_empty(), chosen.is_by_filter()) {
            (true, false) => {
                bail!("which? Give ids, a filter (--customer, --endpoint, --reason, ...) or --all")
            }
            (false, true) => bail!("give either ids or a filter, not both"),
            (true, true) => {
                // What dies again meanwhile is not meant.
                let before = app.clock.now().plus(Duration::from_millis(1));
                let filter = Box::new(chosen.which.filter().before(before));
                Ok(Self::Filter { filter, after: None })
            }
            (false, false) => {
                let mut letters = Vec::new();
                for id in &chosen.ids {
                    let letter = app.deliveries.get_dead_letter(id).await?;
                    letters.push(letter.with_context(|| format!("there is no dead letter {id}"))?);
                }
                Ok(Self::Ids(letters))
            }
        }
    }

    async fn next(&mut self, app: &App) -> anyhow::Result<Option<Vec<DeadLetter>>> {
        let page = match self {
            Self::Ids(letters) => std::mem::take(letters),
            Self::Filter { filter, after } => {
                let page = app.deliveries.list_dead_letters(filter, after.as_deref(), PAGE).await?;
                *after = page.last().map(DeadLetter::position);
                page
            }
        };
        Ok(Some(page).filter(|page| !page.is_empty()))
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

/// Lists page by page: there may be more than fit into memory.
async fn list(
    global: &Global,
    app: &App,
    filter: &DeadLetterFilter,
    mut after: Option<String>,
    limit: usize,
) -> anyhow::Result<()> {
    let mut left = limit;
    let mut heading = true;
    loop {
        let count = left.min(PAGE);
        let letters = app.deliveries.list_dead_letters(filter, after.as_deref(), count).await?;
        if !letters.is_empty() || heading {
            show_page(global, &letters, heading)?;
        }
        heading = false;
        left -= letters.len();
        if letters.len() < count {
            return Ok(());
        }
        after = letters.last().map(DeadLetter::position).or(after);
        if left == 0 {
            break;
        }
    }
    if let Some(next) = after {
        output::note(&format!(
            "there may be more than {limit}: see --limit, or go on with --after '{next}'"
        ));
    }
    Ok(())
}

fn show_page(global: &Global, letters: &[DeadLetter], heading: bool) -> anyhow::Result<()> {
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
    let names = ["id", "given up", "customer", "endpoint", "job", "reason", "attempts"];
    output::table(if heading { &names } else { &[] }, rows)
}
