//! `make bench`: what a delivery costs, measured against a sink in another process, beside a bare
//! sender in the same run.
//!
//! This program runs itself again as the sink and as the bare sender, so that the processor time of
//! each is its own.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock and dials its own sink")]
#![allow(missing_docs, reason = "a program")]

#[cfg(feature = "aws")]
mod aws;
mod bare_sender;
mod embedded;
mod job;
mod process;
#[path = "../support/processor.rs"]
mod processor;
mod sink;
#[cfg(feature = "aws")]
mod sqs_stub;
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
    /// Leave out the minutes with hot endpoints on AWS
    #[arg(long)]
    skip_hot: bool,
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
    /// Hands out jobs as SQS would
    #[cfg(feature = "aws")]
    #[command(hide = true)]
    SqsStub { jobs: usize, endpoints: usize },
    /// Sends requests to the sink with nothing around them
    #[command(hide = true)]
    BareSender { address: String, requests: usize },
}

fn main() -> anyhow::Result<()> {
    let bench = Bench::parse();
    match &bench.part {
        Some(Part::Sink) => sink::run(),
        Some(Part::BareSender { address, requests }) => bare_sender::run(address, *requests),
        #[cfg(feature = "aws")]
        Some(Part::SqsStub { jobs, endpoints }) => sqs_stub::run(*jobs, *endpoints),
        None => measure(&bench),
    }
}

fn measure(bench: &Bench) -> anyhow::Result<()> {
    let mut summary = Summary::default();
    let bar =
        ProgressBar::new(0).with_style(ProgressStyle::with_template("{bar:40} {pos}/{len} {msg}")?);
    let parts: &[(&str, Measure)] = &[
        ("bare sender", |bench, summary| bare_sender::measure(bench.jobs * 5, summary)),
        ("embedded, a backlog", |bench, summary| embedded::throughput(bench.jobs, summary)),
        ("embedded, 200 jobs a second", |bench, summary| embedded::latency(bench.seconds, summary)),
        #[cfg(feature = "aws")]
        ("aws, a backlog", |bench, summary| aws::throughput(bench.jobs, summary)),
    ];
    bar.set_length((bench.runs * parts.len()) as u64);
    for _ in 0..bench.runs {
        for (name, part) in parts {
            bar.set_message(*name);
            part(bench, &mut summary).context(*name)?;
            bar.inc(1);
        }
    }
    #[cfg(feature = "aws")]
    if !bench.skip_hot {
        bar.set_message("aws, three cache lifetimes");
        aws::hot_endpoints(&mut summary).context("aws, hot endpoints")?;
    }
    bar.finish_and_clear();
    summary.print();
    summary.write(&bench.output)
}

/// One measurement of one run.
type Measure = fn(&Bench, &mut Summary) -> anyhow::Result<()>;
