//! Processor time: what a process has used of it, and what one call costs.

#![allow(dead_code, reason = "each benchmark uses its part")]

use std::time::Duration;

use anyhow::Context;

/// Processor time spent on each measurement, at least; the clock of processor time ticks every 10 ms.
const SPENT: Duration = Duration::from_millis(500);
/// Measurements; the least is told, because everything else on the machine only adds.
const RUNS: usize = 3;

/// Processor time of a process so far, of all threads, in user and system mode; by id or `self`
/// (proc_pid_stat(5): fields 14 and 15, in ticks of 10 ms on every Linux that Rust supports).
pub fn cpu_of(process: &str) -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name in field 2 may hold spaces; it ends at the last parenthesis.
    let (_, fields) = stat.rsplit_once(')').context("no name")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    Ok(Duration::from_millis(ticks * 10))
}

/// Processor time of one of the `calls` that `batch` makes, in microseconds.
pub fn micros(calls: u32, mut batch: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let mut least = f64::INFINITY;
    for _ in 0..RUNS {
        let (begin, mut made) = (cpu_of("self")?, 0_u32);
        let spent = loop {
            batch()?;
            made += calls;
            let spent = cpu_of("self")?.saturating_sub(begin);
            if spent >= SPENT {
                break spent;
            }
        };
        least = least.min(spent.as_secs_f64() * 1e6 / f64::from(made));
    }
    Ok(least)
}
