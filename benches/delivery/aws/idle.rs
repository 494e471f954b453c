//! A worker whose queue is empty: it waits in long polls of 20 seconds.

use super::stage::{Plan, Stage};
use crate::rest::Rest;
use crate::run::Run;

/// The share of a core that it takes, and how often a second one of its threads wakes up.
pub fn measure(run: &mut Run<'_>) -> anyhow::Result<()> {
    let stage = Stage::set(run, Plan::of(run, 0))?;
    let rest = Rest::of(&stage.work()?)?;
    run.add("idle.aws.share", "% of a core", rest.percent);
    run.add("idle.aws.switches", "a second", rest.switches_per_second);
    Ok(())
}
