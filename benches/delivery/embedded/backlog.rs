//! A backlog is worked off that another process has enqueued: what a delivery costs without the
//! producer's part (reading the job, inserting it, its share of a commit). [`super::whole`] has all of it.

use super::stage::{Plan, Stage};
use crate::run::Run;

/// Processor time, rate, memory.
pub fn measure(run: &mut Run<'_>) -> anyhow::Result<()> {
    let plan = Plan::default();
    let done = Stage::set(run, plan)?.work_off(run.jobs)?;
    run.add_work("backlog", plan.load(), done.cpu_us, done.per_second)?;
    run.add("backlog.memory", "MB", done.peak_mb);
    run.add("backlog.headers", "bytes", done.report.head_bytes as f64);
    Ok(())
}
