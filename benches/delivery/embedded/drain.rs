//! A backlog of 200,000 jobs: a large queue must not be slower than a small one, nor take more memory.

use super::stage::{Plan, Stage};
use crate::run::Run;

const JOBS: usize = 200_000;

/// Time, memory, and the rates at the beginning and at the end.
pub fn measure(run: &mut Run<'_>) -> anyhow::Result<()> {
    let plan = Plan::default();
    let done = Stage::set(run, plan)?.work_off(JOBS)?;
    run.add_work("drain", plan.load(), done.cpu_us, done.per_second)?;
    run.add("drain.time", "s", JOBS as f64 / done.per_second);
    run.add("drain.first_tenth", "deliveries/s", done.report.first_tenth_per_second);
    run.add("drain.last_tenth", "deliveries/s", done.report.last_tenth_per_second);
    run.add("drain.memory", "MB", done.peak_mb);
    Ok(())
}
