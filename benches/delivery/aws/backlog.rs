//! A backlog is worked off: processor time, rate, calls of SQS. The worker's processor time is all that
//! it used, from its start; beside it that of the stub.

use super::stage::{LOAD, Plan, Stage};
use crate::run::Run;

pub fn measure(run: &mut Run<'_>) -> anyhow::Result<()> {
    let jobs = run.jobs;
    let stage = Stage::set(run, Plan::of(run, jobs))?;
    let worker = stage.work()?;
    let stats = stage.sqs.wait_until_deleted(jobs)?;
    let report = stage.sink.wait_for(jobs)?;
    let each = |nanos: std::time::Duration| nanos.as_secs_f64() * 1e6 / jobs as f64;
    let (cpu_us, stub_us) = (each(worker.cpu()?), each(stage.sqs.process.cpu()?));
    let peak_mb = worker.peak_rss_mb()?;
    run.add_work("aws", LOAD, cpu_us, report.per_second())?;
    run.add("aws.sqs_calls", "a delivery", stats.of_deliveries() as f64 / jobs as f64);
    run.add("aws.memory", "MB", peak_mb);
    run.add("aws.stub_cpu", "µs a delivery", stub_us);
    Ok(())
}
