//! The stages of a delivery that are the same every time: no disk, no network, and the same bytes in. They
//! are timed by `cargo bench --bench stages`, and their instructions are counted by `make bench-check`.

mod bodies;
pub mod cached;
mod guarded;
pub mod jobs;
mod signing;
#[cfg(feature = "aws")]
mod sqs;
mod verdicts;

use std::hint::black_box;

/// One stage by itself.
pub struct Stage {
    /// What it is called in the results.
    pub name: String,
    /// How often it is run while its instructions are counted.
    pub runs: u32,
    run: Box<dyn Fn()>,
}

/// Runs of a stage while it is counted: what happens now and then, as in caches, happens about as often
/// in each count.
const RUNS: u32 = 300;
/// The same, where one takes milliseconds under callgrind.
const FEW_RUNS: u32 = 20;

impl Stage {
    /// A stage that is `run` each time; what it gives is thrown away.
    fn new<T>(name: impl Into<String>, run: impl Fn() -> T + 'static) -> Self {
        let run = Box::new(move || drop(black_box(run())));
        Self { name: name.into(), runs: RUNS, run }
    }

    /// The same, run less often.
    fn few(self) -> Self {
        Self { runs: FEW_RUNS, ..self }
    }

    /// Runs it once.
    pub fn run(&self) {
        (self.run)();
    }
}

/// Every stage, in the order of a delivery.
///
/// # Errors
/// If one cannot be set up; each is run once to see.
pub fn all() -> anyhow::Result<Vec<Stage>> {
    let mut all = Vec::new();
    #[cfg(feature = "aws")]
    all.extend(sqs::stages()?);
    all.extend(jobs::stages()?);
    all.extend(cached::stages()?);
    all.extend(guarded::stages()?);
    all.extend(bodies::stages()?);
    all.extend(signing::stages()?);
    all.extend(verdicts::stages()?);
    Ok(all)
}
