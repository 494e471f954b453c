//! One, 1,000 and 10,000 endpoints of as many customers, each with a secret, that are called in turns. What
//! is measured is the second half of a backlog: all of them are hot then, and have been called before.

use super::stage::{Plan, Stage};
use crate::run::Run;

const COUNTS: [usize; 3] = [1, 1_000, 10_000];
/// Jobs for each of the most endpoints, at least.
const EACH: usize = 4;

/// Processor time, rate (also in ratio to that of one endpoint), memory; the same number of jobs for
/// each number of endpoints.
pub fn measure(run: &mut Run<'_>) -> anyhow::Result<()> {
    let jobs = run.jobs.max(COUNTS[2] * EACH);
    let mut of_one = 0.0;
    for endpoints in COUNTS {
        let plan = Plan { endpoints, ..Plan::default() };
        let hot = work_off(&Stage::set(run, plan)?, jobs)?;
        let key = format!("endpoints.{endpoints}");
        run.add_work(&key, plan.load(), hot.cpu_us, hot.per_second)?;
        if endpoints == 1 {
            of_one = hot.per_second;
        } else {
            run.add(&format!("{key}.rate_to_one"), "of one's rate", hot.per_second / of_one);
        }
        run.add(&format!("{key}.memory"), "MB", hot.peak_mb);
    }
    Ok(())
}

/// The second half of a backlog.
struct Hot {
    cpu_us: f64,
    per_second: f64,
    peak_mb: f64,
}

fn work_off(stage: &Stage, jobs: usize) -> anyhow::Result<Hot> {
    stage.enqueue(jobs)?;
    let worker = stage.serve()?;
    let came = stage.sink.wait_for_about(jobs / 2)?;
    let before = worker.cpu()?;
    let report = stage.sink.wait_for(jobs)?;
    stage.settle()?;
    let used = worker.cpu()?.saturating_sub(before);
    Ok(Hot {
        cpu_us: used.as_secs_f64() * 1e6 / (jobs - came).max(1) as f64,
        per_second: report.last_half_per_second,
        peak_mb: worker.peak_rss_mb()?,
    })
}
