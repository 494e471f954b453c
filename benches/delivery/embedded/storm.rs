//! A storm of retries: each job's first three attempts are answered 503, and the waits between them are
//! next to nothing. The breaker and the adaptive limit, which would end the storm, are off.

use anyhow::ensure;
use serde_json::json;

use super::stage::{Plan, Stage};
use crate::endpoint::Kind;
use crate::run::Run;

/// Attempts of each job that fail.
const FAIL_FIRST: u32 = 3;

/// Processor time of an attempt, attempts a second; every job is delivered in the end.
pub fn measure(run: &mut Run<'_>) -> anyhow::Result<()> {
    let more = || {
        json!({"retry": {"baseDelay": "1ms", "maxDelay": "10ms"},
               "limits": {"breaker": false, "adaptive": false}})
    };
    let kind = Kind { more, ..Kind::default() };
    let plan = Plan { kind, fail_first: FAIL_FIRST, ..Plan::default() };
    let attempts_each = FAIL_FIRST as usize + 1;
    let jobs = run.jobs / attempts_each;
    let stage = Stage::set(run, plan)?;
    stage.enqueue(jobs)?;
    let worker = stage.serve()?;
    let begun = std::time::Instant::now();
    let report = stage.sink.wait_for(jobs)?;
    let took = begun.elapsed().as_secs_f64();
    stage.settle()?;
    let attempts = jobs * attempts_each;
    ensure!(report.requests == attempts, "{} attempts, not {attempts}", report.requests);
    let cpu_us = worker.cpu()?.as_secs_f64() * 1e6 / attempts as f64;
    let bare = run.bare(plan.load())?;
    run.add("storm.cpu", "µs an attempt", cpu_us);
    run.add("storm.cpu_to_bare", "x bare request", cpu_us / bare.cpu_us);
    run.add("storm.rate", "attempts/s", attempts as f64 / took);
    run.add("storm.memory", "MB", worker.peak_rss_mb()?);
    Ok(())
}
