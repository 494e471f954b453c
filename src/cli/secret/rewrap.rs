//! `sealpost secret rewrap`: binds the secrets that other programs sealed without a context.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use futures_util::{Stream, StreamExt, stream};
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};

use crate::app::App;
use crate::cli::{Global, output, progress};
use crate::domain::ids::{CustomerId, SecretId};
use crate::domain::origin::Origin;
use crate::domain::secret::SealedVersion;
use crate::ports::rebind::Rebind;
use crate::registration::origins_of;
use crate::vault::{Upgraded, upgrade};

/// Upgrades under way at once.
const AT_ONCE: usize = 8;

/// Bind secrets that were sealed without a context, inside KMS: no value reaches this process
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  sealpost secret rewrap --customer acme --dry-run\n\nIt needs kms:ReEncryptFrom and kms:ReEncryptTo, which neither workers nor writers need: run it under a role of its own. Each secret is bound to the origins that its customer's endpoints send it to; one that no endpoint names is left as it is. What was cut short goes on when it is run again."
)]
pub struct Rewrap {
    /// Only this customer's
    #[arg(long)]
    customer: Option<CustomerId>,
    /// Only this secret
    #[arg(long, value_name = "SECRET", requires = "customer")]
    secret: Option<SecretId>,
    /// Where the value may be sent, in place of what the endpoints say; can be given several times
    #[arg(long = "origin", value_name = "ORIGIN", requires = "secret")]
    origins: Vec<Origin>,
    /// Most secrets a second
    #[arg(long, value_name = "N", default_value = "20")]
    rate: NonZeroU32,
    /// Tell what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
}

/// A secret that is to be bound.
struct Row {
    customer: CustomerId,
    secret: SecretId,
    current: SealedVersion,
    origins: BTreeSet<Origin>,
}

/// What became of it.
enum Outcome {
    Would,
    NoOrigins,
    Upgraded(Upgraded),
}

impl Outcome {
    fn word(&self) -> &'static str {
        match self {
            Self::Would => "would_rewrap",
            Self::NoOrigins => "no_origins",
            Self::Upgraded(Upgraded::Done(_)) => "rewrapped",
            Self::Upgraded(Upgraded::Changed) => "changed",
            Self::Upgraded(Upgraded::Refused(_)) => "refused",
        }
    }

    /// What is to be said of one that was not upgraded.
    fn problem(&self) -> Option<String> {
        match self {
            Self::Would | Self::Upgraded(Upgraded::Done(_)) => None,
            Self::NoOrigins => Some(
                "no endpoint of its customer names it: say with --secret and --origin where it may go"
                    .to_owned(),
            ),
            Self::Upgraded(Upgraded::Changed) => {
                Some("somebody else has just written it: run this again".to_owned())
            }
            Self::Upgraded(Upgraded::Refused(problem)) => Some(problem.clone()),
        }
    }
}

pub async fn run(global: &Global, verb: Rewrap) -> anyhow::Result<ExitCode> {
    let app = global.open().await?;
    let rows = rows(&app, &verb).await?;
    let bar = progress::bar(rows.len(), "secrets")?;
    let (mut done, mut left) = (0_usize, 0_usize);
    let mut outcomes = pin!(outcomes(&app, rows, &verb)?);
    while let Some(next) = outcomes.next().await {
        let (row, outcome) =
            next.with_context(|| format!("cut short after {done}: run it again to go on"))?;
        bar.inc(1);
        match outcome.problem() {
            None => done += 1,
            Some(_) => left += 1,
        }
        bar.suspend(|| tell(global, &row, &outcome))?;
    }
    bar.finish_and_clear();
    if !global.json {
        let what = if verb.dry_run { "would be rewrapped" } else { "rewrapped" };
        output::line(&format!("{done} {what}, {left} left as they are"))?;
    }
    Ok(if left == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn tell(global: &Global, row: &Row, outcome: &Outcome) -> anyhow::Result<()> {
    let Row { customer, secret, origins, .. } = row;
    let problem = outcome.problem();
    if global.json {
        return output::json(&json!({"customerId": customer, "secretId": secret,
                                    "outcome": outcome.word(), "origins": origins,
                                    "problem": problem}));
    }
    if let Some(problem) = problem {
        output::note(&format!("{customer}/{secret}: {problem}"));
    } else if matches!(outcome, Outcome::Would) {
        let origins: Vec<String> = origins.iter().map(ToString::to_string).collect();
        output::line(&format!("{customer}/{secret}: {}", origins.join(", ")))?;
    }
    Ok(())
}

/// The unbound secrets that are asked for, each with where it may go.
async fn rows(app: &App, verb: &Rewrap) -> anyhow::Result<Vec<Row>> {
    let mut by_customer: BTreeMap<CustomerId, BTreeMap<SecretId, BTreeSet<Origin>>> =
        BTreeMap::new();
    let mut rows = Vec::new();
    for (customer, secret, stored) in app.secrets.list(verb.customer.as_ref()).await? {
        let is_other = verb.secret.as_ref().is_some_and(|only| *only != secret);
        if is_other || !stored.current.is_unbound() {
            continue;
        }
        if verb.origins.is_empty() && !by_customer.contains_key(&customer) {
            by_customer.insert(customer.clone(), origins_of(app, &customer).await?);
        }
        let named = by_customer.get(&customer).and_then(|named| named.get(&secret)).cloned();
        let given: BTreeSet<Origin> = verb.origins.iter().cloned().collect();
        let origins = if given.is_empty() { named.unwrap_or_default() } else { given };
        rows.push(Row { customer, secret, current: stored.current, origins });
    }
    Ok(rows)
}

/// Each row with what became of it, no more of them a second than the verb says.
fn outcomes<'a>(
    app: &'a App,
    rows: Vec<Row>,
    verb: &'a Rewrap,
) -> anyhow::Result<impl Stream<Item = anyhow::Result<(Row, Outcome)>> + 'a> {
    let rebind = app.rebind.as_deref();
    if rebind.is_none() && !rows.is_empty() && !verb.dry_run {
        bail!("only KMS can bind what is sealed: put these secrets again with their origins");
    }
    let mut ticks = interval(Duration::from_secs(1) / verb.rate.get());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let paced = stream::unfold((rows.into_iter(), ticks), |(mut rows, mut ticks)| async move {
        let row = rows.next()?;
        ticks.tick().await;
        Some((row, (rows, ticks)))
    });
    let rebind = rebind.filter(|_| !verb.dry_run);
    Ok(paced.map(move |row| one(app, rebind, row)).buffer_unordered(AT_ONCE))
}

/// Upgrades one row; does nothing without `rebind`.
async fn one(app: &App, rebind: Option<&dyn Rebind>, row: Row) -> anyhow::Result<(Row, Outcome)> {
    if row.origins.is_empty() {
        return Ok((row, Outcome::NoOrigins));
    }
    let Some(rebind) = rebind else { return Ok((row, Outcome::Would)) };
    let of = (&row.customer, &row.secret);
    let origins = row.origins.clone();
    let upgraded = upgrade((&*app.secrets, rebind), of, &row.current, origins).await?;
    Ok((row, Outcome::Upgraded(upgraded)))
}
