//! `sealpost doctor`: what is wrong, and how it is mended.

use std::process::ExitCode;
use std::sync::Mutex;

use clap::{Args, ValueEnum};
use futures_util::FutureExt;
use indicatif::ProgressBar;

use super::{Global, output, progress};
use crate::adapters::system::SystemClock;
use crate::config::Config;
use crate::doctor::{self, Progress, Scope};
use crate::domain::check::{Check, Duty, Report, Status};

/// Look for what is wrong with settings, stores, keys, queues and endpoints, and say how to mend it.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  sealpost doctor --data /var/lib/sealpost\n\nIt changes nothing, and sends and receives no job. Ends with status 1 if a check failed; warnings leave it at 0. What could not be looked at is listed as skipped, with why."
)]
pub struct Doctor {
    /// Most hosts of endpoints that are looked up; 0 looks none up
    #[arg(long, value_name = "N", default_value_t = 100)]
    endpoints: usize,
    /// Connect to them, too, without sending anything; their servers see it
    #[arg(long)]
    connect: bool,
    /// On AWS: whose rights the credentials should have
    #[arg(long, value_enum)]
    role: Option<Role>,
}

/// Whose rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Role {
    /// Those of a worker, which opens secrets
    Worker,
    /// Those of the HTTP API, which seals them; administrators have the same
    #[value(alias = "administrator")]
    Api,
}

impl From<Role> for Duty {
    fn from(role: Role) -> Self {
        match role {
            Role::Worker => Self::Worker,
            Role::Api => Self::Api,
        }
    }
}

pub async fn run(global: &Global, verb: &Doctor) -> anyhow::Result<ExitCode> {
    let config = Config::load(global.config.as_deref(), Global::variables());
    let duty = verb.role.map(Duty::from);
    let scope = Scope { hosts: verb.endpoints, connects: verb.connect, duty };
    let bar = Bar::default();
    // One future within the other they are deeper than the compiler looks.
    let examining = doctor::examine(&global.data, config, scope, &SystemClock, &bar).boxed_local();
    let report = examining.await;
    if global.json {
        output::json(&report)?;
    } else {
        print(&report)?;
    }
    Ok(if report.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The bar on a terminal.
#[derive(Default)]
struct Bar(Mutex<Option<ProgressBar>>);

impl Bar {
    fn with(&self, change: impl FnOnce(&mut Option<ProgressBar>)) {
        change(&mut self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }
}

impl Progress for Bar {
    fn begin(&self, pieces: usize) {
        self.with(|bar| *bar = progress::bar(pieces, "hosts").ok());
    }

    fn step(&self) {
        self.with(|bar| bar.iter().for_each(|bar| bar.inc(1)));
    }

    fn end(&self) {
        self.with(|bar| bar.take().iter().for_each(ProgressBar::finish_and_clear));
    }
}

/// Grouped by area in the order of their first check; troubles with what was expected and what to do.
fn print(report: &Report) -> anyhow::Result<()> {
    let mut areas: Vec<&str> = Vec::new();
    for check in &report.checks {
        if !areas.contains(&check.area()) {
            areas.push(check.area());
        }
    }
    for area in areas {
        output::line(area)?;
        report.checks.iter().filter(|check| check.area() == area).try_for_each(print_check)?;
    }
    let count = |status| report.checks.iter().filter(|check| check.status == status).count();
    output::line(&format!(
        "{} ok, {} warnings, {} failed, {} skipped",
        count(Status::Ok),
        report.warnings,
        report.failed,
        count(Status::Skipped)
    ))
}

fn print_check(check: &Check) -> anyhow::Result<()> {
    let Check { name, status, what, found, expected, mend } = check;
    let thing = name.split_once('.').map_or(*name, |(_, thing)| thing);
    output::line(&printable(&format!("  {:<8} {thing:<16} {what}: {found}", status.word())))?;
    for (label, text) in [("expected", expected), ("mend", mend)] {
        if let Some(text) = text {
            output::line(&printable(&format!("  {:<8} {label:<16} {text}", "")))?;
        }
    }
    Ok(())
}

/// What others say (a service, a name server) does not command the terminal.
fn printable(line: &str) -> String {
    line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
