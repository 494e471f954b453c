//! From the start of the process to its first request at the sink, with a job waiting.

use super::stage::{Plan, Stage};
use crate::job;
use crate::run::Run;

/// Starts in each run.
const STARTS: usize = 5;

/// The time of each start.
pub fn measure(run: &mut Run<'_>) -> anyhow::Result<()> {
    for _ in 0..STARTS {
        let stage = Stage::set(run, Plan::default())?;
        stage.enqueue(1)?;
        let begun = job::now_nanos();
        let _worker = stage.serve()?;
        let report = stage.sink.wait_for(1)?;
        run.add("startup.first_delivery", "ms", (report.first - begun) as f64 / 1e6);
    }
    Ok(())
}
