//! A worker with nothing to do.

use super::stage::{Plan, Stage};
use crate::rest::Rest;
use crate::run::Run;

/// The share of a core that it takes, and how often a second one of its threads wakes up.
pub fn measure(run: &mut Run<'_>) -> anyhow::Result<()> {
    let stage = Stage::set(run, Plan::default())?;
    let rest = Rest::of(&stage.serve()?)?;
    run.add("idle.embedded.share", "% of a core", rest.percent);
    run.add("idle.embedded.switches", "a second", rest.switches_per_second);
    Ok(())
}
