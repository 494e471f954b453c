//! One, 1,000 and 10,000 endpoints of as many customers, each with a secret, all in use in turns.

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
        let done = Stage::set(run, plan)?.work_off(jobs)?;
        let key = format!("endpoints.{endpoints}");
        run.add_work(&key, plan.load(), done.cpu_us, done.per_second)?;
        if endpoints == 1 {
            of_one = done.per_second;
        } else {
            run.add(&format!("{key}.rate_to_one"), "of one's rate", done.per_second / of_one);
        }
        run.add(&format!("{key}.memory"), "MB", done.peak_mb);
    }
    Ok(())
}
