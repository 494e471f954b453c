//! `make bench`: what a delivery costs, measured against a sink in another process, beside a bare
//! sender in the same run. One file a scenario; `--only` chooses among them.
//!
//! This program runs itself again as the sink, as the stub of SQS and as the bare sender, so that the
//! processor time of each is its own.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock and dials its own sink")]
#![allow(missing_docs, reason = "a program")]

#[cfg(feature = "aws")]
mod aws;
mod bare_sender;
mod embedded;
mod endpoint;
#[path = "../support/http.rs"]
mod http;
mod job;
mod machine;
mod marks;
mod process;
#[path = "../support/processor.rs"]
mod processor;
mod rest;
mod run;
mod scenario;
mod sink;
mod summary;
mod table;

use std::path::PathBuf;

use anyhow::Context;
use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

use bare_sender::Load;
use run::Run;
use scenario::Scenario;
use summary::Summary;

/// Measures deliveries; prints a table and writes a summary.
#[derive(Debug, Parser)]
struct Bench {
    /// Runs of each scenario; those that take long have fewer
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Deliveries in one run
    #[arg(long, default_value_t = 20_000)]
    jobs: usize,
    /// Seconds for which jobs come while latency is measured
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Seconds for which a worker on AWS uses an endpoint; the marks are for 30
    #[arg(long, default_value_t = 30)]
    cache_lifetime: u64,
    /// Measure these alone
    #[arg(long, value_delimiter = ',')]
    only: Vec<Scenario>,
    /// Where data directories are made: on the disk that is to be measured
    #[arg(long, default_value = env!("CARGO_TARGET_TMPDIR"))]
    folder: PathBuf,
    /// Where the summary is written; by default `target/bench/summary.json`, with `--only` `only.json`
    #[arg(long)]
    output: Option<PathBuf>,
    /// Measure nothing: print a summary that was written, in Markdown
    #[arg(long)]
    markdown: Option<PathBuf>,
    /// What cargo adds
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    part: Option<Part>,
}

/// What this program runs itself as.
#[derive(Debug, Subcommand)]
enum Part {
    /// Takes requests and counts them
    #[command(hide = true)]
    Sink { fail_first: u32 },
    /// Hands out jobs as SQS would
    #[cfg(feature = "aws")]
    #[command(hide = true)]
    SqsStub { jobs: usize, endpoints: usize },
    /// Sends requests to the sink with nothing around them
    #[command(hide = true)]
    BareSender { address: String, each: usize, body_len: usize, connections: usize },
}

fn main() -> anyhow::Result<()> {
    let bench = Bench::parse();
    match &bench.part {
        Some(Part::Sink { fail_first }) => sink::run(*fail_first),
        Some(Part::BareSender { address, each, body_len, connections }) => {
            let load = Load { body_len: *body_len, connections: *connections };
            bare_sender::run(address, *each, load)
        }
        #[cfg(feature = "aws")]
        Some(Part::SqsStub { jobs, endpoints }) => aws::sqs_stub::run(*jobs, *endpoints),
        None => match &bench.markdown {
            Some(path) => table::print_markdown(path),
            None => measure(&bench),
        },
    }
}

fn measure(bench: &Bench) -> anyhow::Result<()> {
    let (load, mut summary) = (machine::load(), Summary::default());
    let all = scenario::all();
    let chosen: Vec<Scenario> = match &bench.only[..] {
        [] => all,
        some => all.into_iter().filter(|scenario| some.contains(scenario)).collect(),
    };
    let bar =
        ProgressBar::new(0).with_style(ProgressStyle::with_template("{bar:40} {pos}/{len} {msg}")?);
    bar.set_length(chosen.iter().map(|scenario| scenario.runs(bench.runs) as u64).sum());
    for number in 0..bench.runs {
        let mut run = Run::new(bench, &mut summary);
        for scenario in chosen.iter().filter(|scenario| number < scenario.runs(bench.runs)) {
            let name = format!("{scenario:?}");
            bar.set_message(name.clone());
            scenario.measure(&mut run).context(name)?;
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    let summary = summary.json(&load);
    table::print(&summary);
    let name = if bench.only.is_empty() { "summary.json" } else { "only.json" };
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/target/bench/");
    let output = bench.output.clone().unwrap_or_else(|| PathBuf::from(folder).join(name));
    summary::write(&summary, &output)
}
