//! A short soak: the program of `make soak` for some seconds, so that it does not rot. What it judges
//! is the balance alone; times and memory say something after minutes only.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[cfg(feature = "aws")]
#[path = "../support/emulator.rs"]
mod emulator;
#[path = "../../benches/soak/run/mod.rs"]
mod run;

use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn after_some_seconds_of_load_faults_and_kills_nothing_is_lost() {
    let seed = u64::from(std::process::id());
    let reports = run::all(run::Plan { span: Duration::from_secs(6), seed }).await;
    assert!(!reports.is_empty());
    for report in reports {
        eprintln!("seed {seed}\n{report}");
        assert_eq!(report.problems(), [""; 0], "seed {seed}");
        assert!(report.kills > 0 && report.balance.delivered > 0, "seed {seed}");
    }
}
