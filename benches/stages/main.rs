//! `cargo bench --bench stages`: the stages of a delivery alone, on the clock. A part of a name chooses
//! among them: `cargo bench --bench stages -- sign`.

#![allow(missing_docs, reason = "a program")]
#![allow(clippy::expect_used, reason = "a benchmark that cannot be set up panics")]

#[allow(dead_code, reason = "what is counted alone has its part in it")]
mod pure;
mod sqlite;

use divan::Bencher;
use pure::Stage;
use pure::cached::Warm;
use sealpost::adapters::system::SystemClock;
use sealpost::ports::Clock;

fn main() {
    divan::main();
}

fn stages() -> Vec<Stage> {
    pure::all().expect("every stage can be set up")
}

fn names() -> Vec<String> {
    stages().into_iter().map(|stage| stage.name).collect()
}

/// The stages that are the same every time.
#[divan::bench(args = names())]
fn stage(bencher: Bencher<'_, '_>, name: &str) {
    let stage = stages().into_iter().find(|stage| stage.name == name).expect("a name of ours");
    bencher.bench_local(|| stage.run());
}

/// A job of 1 KiB is made the request that it would send: read and checked, endpoint and secret read anew
/// from the disk (which a delivery seldom does), built and signed.
#[divan::bench]
fn request_of_a_job(bencher: Bencher<'_, '_>) {
    let (warm, job) = (Warm::new().expect("a data directory"), pure::jobs::job());
    bencher.bench_local(|| {
        let request = warm.pipeline.preview(job.as_bytes(), SystemClock.now());
        warm.runtime.block_on(request).expect("a request")
    });
}
