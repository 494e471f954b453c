//! The time from the making of a job to its arrival: at 200 a second, and at 80 % of the rate that the
//! process bore in the same run while jobs kept coming ([`super::whole`]).

use std::time::{Duration, Instant};

use anyhow::ensure;

use super::producer::Producer;
use super::stage::{Plan, Stage};
use super::whole;
use crate::machine::fsync_ms;
use crate::run::Run;
use crate::sink::Report;

/// Jobs a second.
const RATE: f64 = 200.0;
/// Of the most that the process bears.
const PART: f64 = 0.8;
/// How often a request comes at [`PART`] of it.
const EVERY: Duration = Duration::from_millis(5);

/// The marks are on jobs that come over the process's own API; beside them jobs that another process
/// enqueues, for which the worker looks every few milliseconds.
pub fn measure(run: &mut Run<'_>) -> anyhow::Result<()> {
    let stage = Stage::set(run, Plan::default())?;
    run.add("fsync", "ms", fsync_ms(stage.directory.path())?);
    let own = own_process(&stage, RATE, 1, run.span)?;
    add(run, "latency.own_process", &own);
    let another = another_process(run)?;
    add(run, "latency.another_process", &another);
    let most = whole::bear(run)?.per_second;
    let per_second = most * PART;
    let at_once = ((per_second * EVERY.as_secs_f64()) as usize).max(1);
    let busy = own_process(&Stage::set(run, Plan::default())?, per_second, at_once, run.span)?;
    run.add("latency.at_80_percent.of", "deliveries/s", most);
    run.add("latency.at_80_percent.reached", "deliveries/s", busy.per_second());
    add(run, "latency.at_80_percent", &busy);
    Ok(())
}

fn add(run: &mut Run<'_>, key: &str, report: &Report) {
    run.add(&format!("{key}.p50"), "ms", report.p50_ms);
    run.add(&format!("{key}.p99"), "ms", report.p99_ms);
}

fn own_process(stage: &Stage, rate: f64, at_once: usize, span: Duration) -> anyhow::Result<Report> {
    let _worker = stage.serve()?;
    let producer = Producer::of(stage)?;
    // The first delivery opens the connection and reads the endpoint.
    producer.send_all(1)?;
    stage.sink.wait_for(1)?;
    let sent = producer.send_at(rate, at_once, span)?;
    let report = stage.sink.wait_for(sent + 1)?;
    ensure!(report.p50_ms > 0.0, "the sink measured no latency");
    Ok(report)
}

fn another_process(run: &Run<'_>) -> anyhow::Result<Report> {
    let stage = Stage::set(run, Plan::default())?;
    let _worker = stage.serve()?;
    stage.enqueue(1)?;
    stage.sink.wait_for(1)?;
    let (begun, jobs) = (Instant::now(), (RATE * run.span.as_secs_f64()) as usize);
    for number in 0..jobs {
        let due = begun + Duration::from_secs_f64(number as f64 / RATE);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        stage.enqueue(1)?;
    }
    stage.sink.wait_for(jobs + 1)
}
