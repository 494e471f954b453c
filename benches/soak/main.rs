//! `make soak`: minutes of mixed load with random faults and kills, and the balance at the end. Both
//! forms run beside each other: embedded, and two workers on AWS (the emulator of the tests).
//!
//! `SOAK_SECONDS` says how long (600), `SOAK_SEED` repeats the same choices.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program that measures prints, and fails by panicking"
)]
#![allow(missing_docs, reason = "a program")]

#[cfg(feature = "aws")]
#[path = "../../tests/support/emulator.rs"]
mod emulator;
mod run;

use std::process::ExitCode;
use std::time::Duration;

use run::Plan;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |set| {
        set.parse().unwrap_or_else(|_| panic!("{name} is not a whole number: {set:?}"))
    })
}

#[tokio::main]
async fn main() -> ExitCode {
    let seconds = number("SOAK_SECONDS", 600);
    let seed = number("SOAK_SEED", u64::from(std::process::id()));
    println!("{seconds} s, SOAK_SEED={seed}");
    let plan = Plan { span: Duration::from_secs(seconds.max(6)), seed };
    let reports = run::all(plan).await;
    let mut is_good = true;
    for report in reports {
        println!("\n{report}");
        for problem in report.problems() {
            println!("PROBLEM: {problem}");
            is_good = false;
        }
    }
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
