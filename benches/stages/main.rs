//! `cargo bench --bench stages`: the stages of a delivery alone, on the clock. A part of a name chooses
//! among them: `cargo bench --bench stages -- sign`.

#![allow(missing_docs, reason = "a program")]
#![allow(clippy::expect_used, reason = "a benchmark that cannot be set up panics")]

#[allow(dead_code, reason = "how often a stage is run is for those who count")]
mod pure;
mod sqlite;

use divan::Bencher;
use pure::Stage;

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
