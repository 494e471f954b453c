//! Bodies from 200 bytes to 256 KB, each beside a bare sender with the same body.

use super::stage::{Plan, Stage};
use crate::run::Run;

const LENGTHS: [usize; 5] = [200, 1_024, 16 * 1_024, 64 * 1_024, 256_000];
/// Bytes of bodies in one measurement, at most.
const MOST_BYTES: usize = 256 * 1024 * 1024;

/// Processor time, rate, memory.
pub fn measure(run: &mut Run<'_>) -> anyhow::Result<()> {
    for body_len in LENGTHS {
        let plan = Plan { body_len, ..Plan::default() };
        let jobs = run.jobs.min(MOST_BYTES / body_len);
        let done = Stage::set(run, plan)?.work_off(jobs)?;
        let key = format!("bodies.{body_len}");
        run.add_work(&key, plan.load(), done.cpu_us, done.per_second)?;
        run.add(&format!("{key}.memory"), "MB", done.peak_mb);
    }
    Ok(())
}
