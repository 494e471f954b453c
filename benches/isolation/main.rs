//! What bad endpoints cost the others: 1,000 endpoints of as many customers, with and without ten that
//! hang and ten that fail, in turns; and the memory of 10,000 endpoints that are all in use.
//!
//! Read the ratios: both sides of each are measured in the same run. The worker is `sealpost serve` in
//! a process of its own, on a new data directory for every round.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and panics")]
#![allow(missing_docs, reason = "a program")]

#[path = "../delivery/process.rs"]
#[allow(dead_code, clippy::disallowed_methods, reason = "each benchmark uses its part")]
mod process;
#[path = "../support/processor.rs"]
mod processor;
mod receiver;
mod stage;

use std::time::Duration;

use receiver::Receiver;
use stage::{Sort, Stage};

/// Rounds of each side.
const ROUNDS: usize = 3;
const ENDPOINTS: usize = 1000;
const HOT_ENDPOINTS: usize = 10_000;
/// Jobs a second for healthy endpoints while latency is measured, and for how long.
const PER_SECOND: usize = 300;
const SECONDS: usize = 10;
/// Jobs for healthy endpoints in the backlog.
const BACKLOG: usize = 20_000;

/// What one round measures, of healthy endpoints alone.
#[derive(Debug, Clone, Copy)]
struct Round {
    p99: Duration,
    per_second: f64,
}

/// Of `number`, what sort an endpoint is: one of a hundred hangs, and one fails.
fn sort(number: usize) -> Sort {
    match number % 100 {
        0 => Sort::Hangs,
        1 => Sort::Fails,
        _ => Sort::Healthy,
    }
}

/// The endpoints that get jobs, over and over: so many of them healthy.
fn jobs(with_bad: bool, healthy: usize) -> Vec<usize> {
    let mut left = healthy;
    (0..ENDPOINTS)
        .cycle()
        .filter(|number| with_bad || sort(*number) == Sort::Healthy)
        .take_while(|number| {
            let goes_on = left > 0;
            left -= usize::from(goes_on && sort(*number) == Sort::Healthy);
            goes_on
        })
        .collect()
}

async fn round(with_bad: bool) -> Round {
    let receiver = Receiver::start().await;
    let stage = Stage::set(&receiver, ENDPOINTS, sort).await;
    let worker = stage.serve();
    // Every healthy endpoint is known and connected to.
    let warm_up = jobs(false, ENDPOINTS - ENDPOINTS / 50);
    stage.enqueue(&warm_up).await;
    receiver.healthy_calls(warm_up.len()).await;

    let paced = jobs(with_bad, PER_SECOND * SECONDS);
    stage.enqueue_over(&paced, Duration::from_secs(SECONDS as u64)).await;
    let mut latencies = receiver.healthy_calls(PER_SECOND * SECONDS).await;
    latencies.sort_unstable_by_key(|call| call.took);
    let p99 = latencies[latencies.len() * 99 / 100].took;

    drop(worker);
    let backlog = jobs(with_bad, BACKLOG);
    stage.enqueue(&backlog).await;
    let worker = stage.serve();
    let calls = receiver.healthy_calls(BACKLOG).await;
    let last = calls.iter().map(|call| call.at).max().unwrap();
    let span = last.duration_since(calls.iter().map(|call| call.at).min().unwrap());
    drop(worker);
    Round { p99, per_second: BACKLOG as f64 / span.as_secs_f64() }
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

async fn hot_endpoints() -> f64 {
    let receiver = Receiver::start().await;
    let stage = Stage::set(&receiver, HOT_ENDPOINTS, |_| Sort::Healthy).await;
    let worker = stage.serve();
    let all: Vec<usize> = (0..HOT_ENDPOINTS).collect();
    for _ in 0..3 {
        stage.enqueue(&all).await;
        receiver.healthy_calls(all.len()).await;
    }
    worker.peak_rss_mib().unwrap() * 1.048_576
}

#[tokio::main]
async fn main() {
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        without.push(round(false).await);
        with.push(round(true).await);
    }
    let ms = |rounds: &[Round]| median(rounds.iter().map(|r| r.p99.as_secs_f64() * 1e3).collect());
    let rate = |rounds: &[Round]| median(rounds.iter().map(|r| r.per_second).collect());
    let (p99, p99_with) = (ms(&without), ms(&with));
    let (speed, speed_with) = (rate(&without), rate(&with));
    println!("1,000 endpoints, and the same with 1 % hanging and 1 % failing:");
    println!(
        "  99 of 100 arrive within {p99:.1} ms, {p99_with:.1} ms: {:.2} times (at most 1.2)",
        p99_with / p99
    );
    println!(
        "  {speed:.0} a second, {speed_with:.0}: {:.1} % (at least 95 %)",
        100.0 * speed_with / speed
    );
    println!("  rounds without: {without:?}\n  rounds with: {with:?}");
    let hot = hot_endpoints().await;
    println!("10,000 endpoints in use: {hot:.0} MB at most (at most 300 MB)");
    let summary = serde_json::json!({
        "p99_ms": p99, "p99_ms_with_bad": p99_with, "per_second": speed,
        "per_second_with_bad": speed_with, "hot_endpoints_mb": hot,
    });
    let output = concat!(env!("CARGO_MANIFEST_DIR"), "/target/bench/isolation.json");
    std::fs::create_dir_all(std::path::Path::new(output).parent().unwrap()).unwrap();
    std::fs::write(output, format!("{summary:#}\n")).unwrap();
}
