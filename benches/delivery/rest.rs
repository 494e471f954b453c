//! What a process does while it has nothing to do.

use std::time::{Duration, Instant};

use anyhow::Context;

use crate::process::Process;

/// Until it has settled: caches are warm, pools have closed what they do not need.
const SETTLED: Duration = Duration::from_secs(5);
const SPAN: Duration = Duration::from_secs(10);

/// Ten seconds of rest.
pub struct Rest {
    /// Processor time, in hundredths of one core.
    pub percent: f64,
    /// How often a thread gave its processor away by itself, and so had woken up.
    pub switches_per_second: f64,
}

/// Nanoseconds of processor time and voluntary switches of all threads so far.
struct Used {
    nanos: u64,
    switches: u64,
}

impl Rest {
    /// Lets a process settle and watches it then.
    pub fn of(process: &Process) -> anyhow::Result<Self> {
        std::thread::sleep(SETTLED);
        let (before, begun) = (used(process.0.id())?, Instant::now());
        std::thread::sleep(SPAN);
        let (after, seconds) = (used(process.0.id())?, begun.elapsed().as_secs_f64());
        // A thread that has ended meanwhile takes its counts with it.
        let nanos = after.nanos.saturating_sub(before.nanos) as f64;
        let switches = after.switches.saturating_sub(before.switches) as f64;
        Ok(Self { percent: nanos / 1e7 / seconds, switches_per_second: switches / seconds })
    }
}

fn used(process: u32) -> anyhow::Result<Used> {
    let mut used = Used { nanos: 0, switches: 0 };
    for task in std::fs::read_dir(format!("/proc/{process}/task"))? {
        let task = task?.path();
        // The first field of schedstat is the time spent on a processor, in ns.
        let spent = std::fs::read_to_string(task.join("schedstat"))?;
        used.nanos += spent.split_whitespace().next().context("no time")?.parse::<u64>()?;
        let status = std::fs::read_to_string(task.join("status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        used.switches += line.context("no switches")?.trim().parse::<u64>()?;
    }
    Ok(used)
}
