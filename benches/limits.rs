//! What limits cost every delivery: the time of a permit, and the memory of many endpoints.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and fails by panicking"
)]

use std::time::Duration;

use sealpost::adapters::system::SystemClock;
use sealpost::delivery::Limiters;
use sealpost::domain::gate::{Ask, Turn};
use sealpost::domain::limiter::{Ended, Used, Verdict};
use sealpost::domain::limits::Limits;
use sealpost::ports::Clock;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const PERMITS: u32 = 1_000_000;
const ENDPOINTS: u32 = 10_000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let (limiters, limits) = (Limiters::new(256), Limits::default());
    let (customer, endpoint) = ("c".parse().unwrap(), "e".parse().unwrap());
    let meter = limiters.of(&customer, &endpoint).await;
    let (clock, stop) = (SystemClock, CancellationToken::new());
    let begun = Instant::now();
    for _ in 0..PERMITS {
        let now = clock.now();
        let latest = now.plus(Duration::from_secs(3600));
        let ask = Ask { now, latest, waits: 0, turn: Turn::New, chance: 0.5 };
        let place = meter.place(&ask).unwrap();
        let leave = meter.leave_to_call(1, &limits, ask, &clock, &stop).await.unwrap();
        let took = Duration::from_millis(5);
        let ended = Ended { now, took, verdict: Verdict::Works, chance: 0.5 };
        meter.ended(&limits, &leave, &ended);
        meter.leave(&limits, &leave, Used::Ended);
        drop(place);
    }
    let nanos = begun.elapsed().as_nanos() / u128::from(PERMITS);
    println!("{nanos} ns a permit");

    let before = resident();
    for number in 0..ENDPOINTS {
        let customer = format!("customer-{number}").parse().unwrap();
        limiters.of(&customer, &endpoint).await;
    }
    println!("{} KiB for {ENDPOINTS} endpoints of as many customers", resident() - before);
}

/// Memory of this process, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
