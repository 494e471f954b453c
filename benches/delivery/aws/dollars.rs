//! What a million deliveries cost at AWS's list prices, by calls that are counted on the wire.
//!
//! Reads are counted over three cache lifetimes at full speed; writes, which follow from how attempts
//! are fenced and recorded, in a shorter run for each setting. There is no setting without fences: with
//! `retries`, the default, first attempts claim none, and all attempts here are first ones that succeed, so
//! that `failures` records nothing. Each figure holds the producer's sends in batches of ten, too.

use sealpost::delivery::Fencing;
use sealpost::domain::delivery_record::Recording;

use super::emulator::{count, since};
use super::prices::{PriceList, told};
use super::stage::{Plan, Stage};
use super::units::{of_calls, of_records};
use crate::run::Run;

const FENCES: [(&str, Fencing); 2] = [("retries", Fencing::Retries), ("all", Fencing::All)];
const RECORDS: [(&str, Recording); 3] =
    [("none", Recording::None), ("failures", Recording::Failures), ("all", Recording::All)];
/// Calls of the producer for a delivery.
const SENDS: f64 = 0.1;
const MILLION: f64 = 1e6;

/// Dollars of each setting; and what `sealpost cost` says of the default.
pub fn measure(run: &mut Run<'_>) -> anyhow::Result<()> {
    let prices = PriceList::of_today()?;
    let hot = hot(run, &prices)?;
    let sends = SENDS * prices.sqs_call * MILLION;
    run.add("dollars.of_these_sends", "$ a million", sends);
    run.add("dollars.of_these_reads", "$ a million", hot.reads);
    for (fence_name, fence) in FENCES {
        for (record_name, record) in RECORDS {
            let jobs = run.jobs / 2;
            let written = written(run, Plan { fence, record, ..Plan::of(run, jobs) }, &prices)?;
            let key = format!("dollars.{fence_name}.{record_name}");
            run.add(&key, "$ a million", sends + hot.sqs + hot.reads + written);
        }
    }
    // It counts a call for each job that is sent.
    let unbatched = (1.0 - SENDS) * prices.sqs_call * MILLION;
    let told = told(hot.per_second)?;
    run.add("dollars.sealpost_cost", "$ a million", told);
    let difference = told - unbatched - (sends + hot.sqs + hot.reads);
    run.add("dollars.sealpost_cost_less_measured", "$ a million, sends alike", difference);
    Ok(())
}

/// Dollars for a million deliveries to hot endpoints, by what is paid for.
struct Hot {
    sqs: f64,
    reads: f64,
    per_second: f64,
}

/// Three cache lifetimes at full speed: calls of SQS, DynamoDB and KMS.
fn hot(run: &mut Run<'_>, prices: &PriceList) -> anyhow::Result<Hot> {
    let stage = Stage::set(run, Plan::of(run, usize::MAX))?;
    let (before, cpu_before) = (stage.emulator.calls()?, stage.emulator.process.cpu()?);
    let worker = stage.work()?;
    std::thread::sleep(run.cache_lifetime * 3);
    let used = stage.emulator.process.cpu()?.saturating_sub(cpu_before);
    let calls = since(&before, stage.emulator.calls()?);
    let (report, sqs) = (stage.sink.report()?, stage.sqs.stats()?);
    drop(worker);
    let each = |count: f64| count / report.delivered as f64;
    let all: u64 = calls
        .iter()
        .filter(|(name, _)| ["DynamoDB", "KMS"].contains(&name.as_str()))
        .flat_map(|(_, operations)| operations.values())
        .sum();
    run.add("dollars.dynamodb_kms_calls", "a delivery", each(all as f64));
    for (service, operations) in &calls {
        for (operation, calls) in operations.iter().filter(|(_, calls)| **calls > 0) {
            run.add(
                &format!("dollars.calls.{service}.{operation}"),
                "a delivery",
                each(*calls as f64),
            );
        }
    }
    for (operation, calls) in &sqs.calls {
        run.add(&format!("dollars.calls.SQS.{operation}"), "a delivery", each(*calls as f64));
    }
    run.add("dollars.rate", "deliveries/s", report.per_second());
    run.add("dollars.emulator_cpu", "µs a delivery", each(used.as_secs_f64() * 1e6));
    let units = of_calls(&calls);
    let reads = units.reads * prices.read_unit
        + units.writes * prices.write_unit
        + count(&calls, "KMS", "Decrypt") as f64 * prices.kms_call;
    Ok(Hot {
        sqs: each(sqs.billed as f64 * prices.sqs_call) * MILLION,
        reads: each(reads) * MILLION,
        per_second: report.per_second(),
    })
}

/// Dollars for what a million deliveries write.
fn written(run: &Run<'_>, plan: Plan, prices: &PriceList) -> anyhow::Result<f64> {
    let stage = Stage::set(run, plan)?;
    let before = stage.emulator.calls()?;
    let _worker = stage.work()?;
    stage.sqs.wait_until_deleted(plan.jobs)?;
    let calls = since(&before, stage.emulator.calls()?);
    let writes = of_calls(&calls).writes + of_records(&stage, plan.record, plan.jobs)?;
    Ok(writes * prices.write_unit / plan.jobs as f64 * MILLION)
}
