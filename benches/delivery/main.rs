//! `make bench`: what a delivery costs, measured against a sink in another process, beside a bare
//! sender in the same run.
//!
//! This program runs itself again as the sink and as the bare sender, so that the processor time of
//! each is its own.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock and dials its own sink")]
#![allow(missing_docs, reason = "a program")]

mod bare_sender;
mod embedded;
mod job;
mod process;
mod sink;
mod summary;

use std::path::PathBuf;

use anyhow::Context;
use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use summary::Summary;

/// Connections, and deliveries in hand, at once: the same for the worker and the bare sender.
const CONNECTIONS: usize = 64;

/// Measures deliveries; prints a table and writes a summary.
#[derive(Debug, Parser)]
struct Bench {
    /// Runs of each measurement
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Deliveries in one run
    #[arg(long, default_value_t = 20_000)]
    jobs: usize,
    /// Seconds of the latency run
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Where the summary is written
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/target/bench/summary.json"))]
    output: PathBuf,
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
    Sink,
    /// Sends requests to the sink with nothing around them
    #[command(hide = true)]
    BareSender { address: String, requests: usize },
}

fn main() -> anyhow::Result<()> {
    let bench = Bench::parse();
    match &bench.part {
        Some(Part::Sink) => sink::run(),
        Some(Part::BareSender { address, requests }) => bare_sender::run(address, *requests),
        None => measure(&bench),
    }
}

fn measure(bench: &Bench) -> anyhow::Result<()> {
    let mut summary = Summary::default();
    let bar = ProgressBar::new(bench.runs as u64 * 3)
        .with_style(ProgressStyle::with_template("{bar:40} {pos}/{len} {msg}")?);
    for _ in 0..bench.runs {
        bar.set_message("bare sender");
        bare_sender::measure(bench.jobs * 5, &mut summary).context("the bare sender")?;
        bar.inc(1);
        bar.set_message("embedded, a backlog worked off");
        embedded::throughput(bench.jobs, &mut summary).context("embedded, throughput")?;
        bar.inc(1);
        bar.set_message("embedded, 200 jobs a second");
        embedded::latency(bench.seconds, &mut summary).context("embedded, latency")?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    summary.print();
    summary.write(&bench.output)
}
