//! `cargo bench --bench auth`: the processor time that authentication adds to a delivery.

#![allow(clippy::disallowed_methods, reason = "a benchmark has a token server of its own")]
#![allow(missing_docs, reason = "a program")]

mod cases;
mod token;

use std::hint::black_box;
use std::time::Duration;

use anyhow::Context;
use serde_json::json;

use cases::Case;

/// Processor time spent on each measurement, at least; the clock of processor time ticks every 10 ms.
const SPENT: Duration = Duration::from_millis(500);
/// Measurements of each case; the least is told, because everything else on the machine only adds.
const RUNS: usize = 3;

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut rows = Vec::new();
    let mut worst = Vec::new();
    let bare = cases::bare()?;
    let alone = measure(|| bare.apply())?;
    println!("{:<44} {alone:>8.2} µs   taken off what follows", bare.name);
    for case in cases::all()? {
        let micros = measure(|| case.apply())? - alone;
        println!("{:<44} {:>8.2} µs   at most {}", case.name, micros, mark(&case));
        if case.mark.is_some_and(|mark| micros > mark) {
            worst.push(case.name.clone());
        }
        rows.push(json!({"case": case.name, "cpu_micros": micros, "mark": case.mark}));
    }
    let bench = runtime.block_on(token::Bench::start())?;
    let micros = measure(|| runtime.block_on(bench.get()))? - measure(|| bench.bare())?;
    let name = "oauth2_client_credentials, a token that is kept";
    println!("{name:<44} {micros:>8.2} µs   at most {:>5.1} µs", token::MARK);
    if micros > token::MARK {
        worst.push(name.to_owned());
    }
    rows.push(json!({"case": name, "cpu_micros": micros, "mark": token::MARK}));
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/target/bench");
    std::fs::create_dir_all(folder)?;
    std::fs::write(format!("{folder}/auth.json"), serde_json::to_string_pretty(&rows)?)?;
    match &worst[..] {
        [] => println!("every mark is held"),
        over => println!("over their marks: {}", over.join(", ")),
    }
    Ok(())
}

fn mark(case: &Case) -> String {
    case.mark.map_or_else(|| "    -".to_owned(), |mark| format!("{mark:>5.1} µs"))
}

/// Processor time of one call of `run`, in microseconds.
fn measure<T>(run: impl Fn() -> anyhow::Result<T>) -> anyhow::Result<f64> {
    let mut least = f64::INFINITY;
    for _ in 0..RUNS {
        let (begin, mut calls) = (cpu()?, 0_u32);
        let spent = loop {
            for _ in 0..100 {
                black_box(run()?);
            }
            calls += 100;
            let spent = cpu()?.saturating_sub(begin);
            if spent >= SPENT {
                break spent;
            }
        };
        least = least.min(spent.as_secs_f64() * 1e6 / f64::from(calls));
    }
    Ok(least)
}

/// Processor time of this process so far (proc_pid_stat(5): fields 14 and 15, in ticks of 10 ms).
fn cpu() -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').context("no name")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    Ok(Duration::from_millis(ticks * 10))
}
