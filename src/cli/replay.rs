//! `sealpost replay`: dead letters sent again, as a work that can be seen and steered.

use std::io::{IsTerminal, Write};
use std::num::NonZeroU32;
use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, Subcommand};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::dlq::Which;
use super::{Global, output};
use crate::app::App;
use crate::domain::ids::EndpointId;
use crate::domain::replay::{Plan, Replay as Record, Request, Standing};
use crate::worker::lifecycle;

/// Plan, begin, watch and steer replays of dead letters.
#[derive(Debug, Subcommand)]
pub enum Replay {
    /// Show what a replay would send: how many, how much, how long. Nothing is sent
    #[command(after_help = "Example:\n  sealpost replay plan --customer acme --endpoint orders")]
    Plan(Asked),
    /// Begin a replay, and work on it
    #[command(
        after_help = "Example:\n  sealpost replay start --customer acme --endpoint orders --rate 50"
    )]
    Start {
        #[command(flatten)]
        asked: Asked,
        #[command(flatten)]
        by: By,
        /// Leave the work to `sealpost serve`
        #[arg(long)]
        detach: bool,
    },
    /// List replays, newest first
    #[command(after_help = "Example:\n  sealpost replay list")]
    List {
        /// Most replays listed
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Show a replay: what was asked, how far it is, and who did what
    #[command(after_help = "Example:\n  sealpost replay show rp_0123456789abcdef01234567")]
    Show {
        /// The replay's id
        id: String,
    },
    /// Stop the work on a replay until it is resumed
    #[command(after_help = "Example:\n  sealpost replay pause rp_0123456789abcdef01234567")]
    Pause {
        /// The replay's id
        id: String,
        #[command(flatten)]
        by: By,
    },
    /// Go on with a replay that was paused, or whose process is gone, from where it was
    #[command(after_help = "Example:\n  sealpost replay resume rp_0123456789abcdef01234567")]
    Resume {
        /// The replay's id
        id: String,
        #[command(flatten)]
        by: By,
        /// Leave the work to `sealpost serve`
        #[arg(long)]
        detach: bool,
    },
    /// Give a replay up: what was sent stays sent, the rest stays where it is
    #[command(after_help = "Example:\n  sealpost replay cancel rp_0123456789abcdef01234567")]
    Cancel {
        /// The replay's id
        id: String,
        #[command(flatten)]
        by: By,
    },
}

/// Which letters, and how.
#[derive(Debug, Args)]
pub struct Asked {
    #[command(flatten)]
    which: Which,
    /// Every dead letter there is
    #[arg(long)]
    all: bool,
    /// Send them to this endpoint of the customer instead of their own
    #[arg(long, value_name = "ENDPOINT", requires = "customer")]
    to: Option<EndpointId>,
    /// Most letters sent in a second
    #[arg(long, value_name = "N")]
    rate: Option<NonZeroU32>,
}

/// Who does it, for the audit.
#[derive(Debug, Args)]
pub struct By {
    /// Who does this, for the audit
    #[arg(long = "by", value_name = "WHO", env = "USER", default_value = "unknown")]
    pub who: String,
}

impl Asked {
    fn request(&self) -> anyhow::Result<Request> {
        let request = Request {
            filter: self.which.filter(),
            to: self.to.clone(),
            rate: self.rate,
            kept_bodies: false,
        };
        if request.is_whole() && !self.all {
            bail!("which? Give a filter (--customer, --endpoint, --reason, ...) or --all");
        }
        if !request.is_whole() && self.all {
            bail!("give either a filter or --all, not both");
        }
        Ok(request)
    }
}

pub async fn run(global: &Global, verb: &Replay) -> anyhow::Result<ExitCode> {
    let app = global.open().await?;
    let replayer = app.replayer();
    match verb {
        Replay::Plan(asked) => {
            let request = asked.request()?;
            let plan = replayer.plan(&request.filter).await?;
            show_plan(global, &plan, request.rate)?;
        }
        Replay::Start { asked, by, detach } => {
            return start(global, &app, asked.request()?, by, *detach).await;
        }
        Replay::List { limit } => list(global, &app.replays.list(None, *limit).await?)?,
        Replay::Show { id } => show(global, &replayer.get(id).await?)?,
        Replay::Pause { id, by } => show(global, &replayer.pause(id, &by.who).await?)?,
        Replay::Cancel { id, by } => show(global, &replayer.cancel(id, &by.who).await?)?,
        Replay::Resume { id, by, detach } => {
            let token = replayer.token();
            let own = (!detach).then_some(token.as_str());
            let replay = replayer.resume(id, &by.who, own).await?;
            return work(global, &app, replay, own).await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Begins a replay, and works on it unless that is left to others.
pub async fn start(
    global: &Global,
    app: &App,
    request: Request,
    by: &By,
    detach: bool,
) -> anyhow::Result<ExitCode> {
    let replayer = app.replayer();
    let token = replayer.token();
    let own = (!detach).then_some(token.as_str());
    let replay = replayer.begin(request, &by.who, own).await?;
    work(global, app, replay, own).await
}

/// Works on a replay until it ends, is steered by somebody, or a signal comes: then it waits for
/// whoever goes on.
async fn work(
    global: &Global,
    app: &App,
    replay: Record,
    own: Option<&str>,
) -> anyhow::Result<ExitCode> {
    let Some(token) = own else {
        show(global, &replay)?;
        return Ok(ExitCode::SUCCESS);
    };
    let (id, stop) = (replay.id.clone(), CancellationToken::new());
    let signals = lifecycle::listen()?;
    let pulled = stop.clone();
    tokio::spawn(async move {
        signals.soft.cancelled().await;
        pulled.cancel();
    });
    let bar = Bar::new(global);
    let worked = app.replayer().run(replay, token, &stop, |replay| bar.show(replay)).await;
    bar.end();
    let replay = worked
        .map_err(|error| anyhow::anyhow!("{error}; go on with `sealpost replay resume {id}`"))?;
    show(global, &replay)?;
    if replay.state == Standing::Running {
        output::note(&format!("go on with `sealpost replay resume {id}`"));
    }
    if replay.done.not_found > 0 {
        output::note(
            "Some jobs were not found; their dead letters stay in the list. Somebody else may have them in hand: try again in a few minutes. What the queue has kept too long is gone: `sealpost dlq purge --forget` and their ids take them out of the list.",
        );
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// A bar on a terminal; nothing elsewhere.
struct Bar {
    is_shown: bool,
}

impl Bar {
    fn new(global: &Global) -> Self {
        Self { is_shown: !global.json && std::io::stderr().is_terminal() }
    }

    fn show(&self, replay: &Record) {
        if self.is_shown {
            let _ = write!(std::io::stderr(), "\r{}", bar(replay));
        }
    }

    fn end(&self) {
        if self.is_shown {
            let _ = writeln!(std::io::stderr());
        }
    }
}

/// Characters of a whole bar.
const WIDTH: u64 = 30;

fn bar(replay: &Record) -> String {
    let (done, planned) = (replay.done, replay.planned.count);
    let met = done.replayed + done.gone + done.held + done.unfit + done.not_found;
    let full = (met * WIDTH).checked_div(planned).unwrap_or(WIDTH).min(WIDTH);
    let full = usize::try_from(full).unwrap_or_default();
    let empty = usize::try_from(WIDTH).unwrap_or_default() - full;
    format!(
        "[{}{}] {met} of {planned}, {} sent",
        "#".repeat(full),
        ".".repeat(empty),
        done.replayed
    )
}

fn show_plan(global: &Global, plan: &Plan, rate: Option<NonZeroU32>) -> anyhow::Result<()> {
    let seconds = plan.estimate(rate).as_secs();
    if global.json {
        let mut shown = serde_json::to_value(plan)?;
        shown["estimatedSeconds"] = json!(seconds);
        return output::json(&shown);
    }
    let oldest = plan.oldest.map_or(String::new(), |at| format!(", the oldest given up at {at}"));
    output::line(&format!(
        "{} dead letters with {} bytes of jobs{oldest}; about {seconds} s to send",
        plan.count, plan.bytes
    ))?;
    plan.reasons.iter().try_for_each(|(reason, n)| output::line(&format!("{n:>9}  {reason}")))
}

fn show(global: &Global, replay: &Record) -> anyhow::Result<()> {
    if global.json {
        return output::json(replay);
    }
    output::line(&format!("{}  {}  {}", replay.id, replay.state, bar(replay)))?;
    let done = replay.done;
    let counts = [
        ("sent again", done.replayed),
        ("without a dead letter, ordered from their kept jobs", done.resent),
        ("gone already", done.gone),
        ("in the hand of another replay", done.held),
        ("no job, so not for another endpoint", done.unfit),
        ("not found", done.not_found),
    ];
    let counts = counts.iter().filter(|(name, n)| *n > 0 || *name == "sent again");
    counts.clone().try_for_each(|(name, n)| output::line(&format!("{n:>9}  {name}")))?;
    if let Some(destination) = &replay.destination {
        output::line(&format!("moved by SQS to {destination}"))?;
    }
    if let Some(problem) = &replay.problem {
        output::line(&format!("problem: {problem}"))?;
    }
    let lines = replay.audit.iter();
    lines.map(|l| format!("{}  {}  {}", l.at, l.what, l.who)).try_for_each(|l| output::line(&l))
}

fn list(global: &Global, replays: &[Record]) -> anyhow::Result<()> {
    if global.json {
        return replays.iter().try_for_each(output::json);
    }
    let rows = replays.iter().map(|replay| {
        vec![
            replay.id.clone(),
            replay.created_at.to_string(),
            replay.who.clone(),
            replay.state.to_string(),
            replay.planned.count.to_string(),
            replay.done.replayed.to_string(),
        ]
    });
    output::table(&["id", "begun", "by", "state", "planned", "sent"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::timestamp::Timestamp;

    #[test]
    fn a_bar_is_never_longer_than_it_is_and_full_when_there_was_nothing_to_do() {
        let now = Timestamp::from_millis(0);
        for (planned, sent, full) in [(0, 0, 30), (10, 0, 0), (10, 5, 15), (10, 99, 30)] {
            let plan = Plan { count: planned, ..Plan::default() };
            let mut replay = Record::begin("rp_1".into(), Request::default(), "a", plan, now);
            replay.done.replayed = sent;
            assert_eq!(bar(&replay).matches('#').count(), full, "{planned} {sent}");
        }
    }
}
