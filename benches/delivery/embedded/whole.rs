//! All of a delivery in one process: jobs come over its own HTTP API in bulk (NDJSON) and are durable
//! when they are answered; it claims, signs and sends them meanwhile and acknowledges them. The mark
//! of the embedded form is on this figure: "durable enqueue to acknowledged delivery".

use super::producer::Producer;
use super::stage::{Plan, Stage};
use crate::job;
use crate::run::Run;

/// Processor time of the process from its start, rate, memory.
pub fn measure(run: &mut Run<'_>) -> anyhow::Result<()> {
    let borne = bear(run)?;
    run.add_work("whole", Plan::default().load(), borne.cpu_us, borne.per_second)?;
    run.add("whole.memory", "MB", borne.peak_mb);
    Ok(())
}

/// What the process bore while jobs kept coming.
pub struct Borne {
    cpu_us: f64,
    peak_mb: f64,
    /// From the first job sent to the last delivered.
    pub per_second: f64,
}

/// Sends jobs as fast as they are taken.
pub fn bear(run: &Run<'_>) -> anyhow::Result<Borne> {
    let jobs = run.jobs;
    let stage = Stage::set(run, Plan::default())?;
    let worker = stage.serve()?;
    let producer = Producer::of(&stage)?;
    let begun = job::now_nanos();
    producer.send_all(jobs)?;
    let report = stage.sink.wait_for(jobs)?;
    stage.settle()?;
    Ok(Borne {
        cpu_us: worker.cpu()?.as_secs_f64() * 1e6 / jobs as f64,
        peak_mb: worker.peak_rss_mb()?,
        per_second: jobs as f64 / ((report.last - begun) as f64 / 1e9),
    })
}
