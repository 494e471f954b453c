//! What it costs to deliver: with EventBridge's API destinations, and with workers of this project,
//! their secrets (in envelopes) included.

use super::bill::{Bill, Line};
use super::money::grouped;
use super::prices::{DeliveryPrices, StoragePrices};
use super::storage::{key, requests};
use super::usage::{HOURS, Usage};

pub(super) const EVENTBRIDGE: &str = "EventBridge API destinations";
pub(super) const WORKER: &str = "sealpost";

/// The quota of connections, and of API destinations, of an account in a Region (Amazon
/// EventBridge User Guide, "Amazon EventBridge quotas"); AWS raises it on request.
const CONNECTIONS: u64 = 3_000;
/// What an endpoint's item takes, about.
const ENDPOINT_BYTES: u128 = 1_000;
/// Read units to look up an endpoint: itself and its health (docs/AWS.md, "Cost").
const ENDPOINT_UNITS: u128 = 2;
/// Write units of an attempt that is claimed: the claim and its outcome (likewise).
const FENCE_UNITS: u128 = 2;
/// A worker has half a vCPU and 1 GB, of which it needs 40 MB (docs/PERFORMANCE.md).
const GIGABYTES: u128 = 1;
/// Attempts a second on half a vCPU, at 110 µs each (docs/PERFORMANCE.md).
const ATTEMPTS_A_SECOND: u128 = 4_500;
/// What a worker's cache holds by default (`cache.capacity`).
const CACHE_CAPACITY: u128 = 10_000;

pub(super) fn bills(
    usage: &Usage,
    storage: &StoragePrices,
    delivery: &DeliveryPrices,
) -> Vec<Bill> {
    vec![eventbridge(usage, delivery), worker(usage, storage, delivery)]
}

fn eventbridge(usage: &Usage, prices: &DeliveryPrices) -> Bill {
    let mut bill = Bill::new(EVENTBRIDGE);
    let deliveries = usage.deliveries.into();
    bill.add(Line::new("events", deliveries, "one per delivery", &prices.eventbridge_event));
    let because = "one per delivery; the pricing page does not say whether retries count, so they do not here";
    bill.add(Line::new("invocations", deliveries, because, &prices.eventbridge_invocation));
    let because = "a connection per secret; included in the invocations' price";
    let secrets = usage.secrets.into();
    bill.add(Line::new("connections' secrets", secrets, because, &prices.connection_secret));
    if usage.secrets > CONNECTIONS {
        bill.notes.push(format!(
            "An account has {} connections and as many API destinations in a Region, unless AWS raises the quota; this takes {}.",
            grouped(CONNECTIONS.into()),
            grouped(usage.secrets.into()),
        ));
    }
    bill
}

fn worker(usage: &Usage, storage: &StoragePrices, delivery: &DeliveryPrices) -> Bill {
    let mut bill = Bill::new(WORKER);
    let (calls, because) = sqs_calls(usage);
    bill.add(Line::new("SQS calls", calls, because, &delivery.sqs_call));
    key(&mut bill, storage);
    let hot = usage.hot_secrets();
    let opened = usage.cached(hot, usage.cache_lifetime, usage.attempts());
    let because = format!(
        "once per hot secret ({}), worker and --cache-lifetime, at most once per attempt (docs/AWS.md)",
        grouped(hot)
    );
    bill.add(Line::new("KMS calls", opened, because, &storage.kms_call));
    let bytes = u128::from(usage.secrets) * (usage.item_bytes() + ENDPOINT_BYTES);
    let because =
        format!("{} for each secret, 1,000 for an endpoint of it", grouped(usage.item_bytes()));
    bill.add(Line::new("bytes in DynamoDB", bytes, because, &storage.dynamodb_storage));
    let looked_up = usage.cached(hot, usage.cache_refresh, usage.attempts());
    let each = usage.read_units() + ENDPOINT_UNITS;
    let because = format!(
        "{each} for a secret and its endpoint, once per hot secret, worker and --cache-refresh, at most once per attempt (docs/AWS.md)"
    );
    let writes = u128::from(usage.secrets) * usage.write_units() + usage.retries() * FENCE_UNITS;
    let write_because = "each secret is put once a month; 2 for each retry (docs/AWS.md)";
    requests(&mut bill, storage, (looked_up * each, &because), (writes, write_because));
    machines(&mut bill, usage, delivery);
    if hot > CACHE_CAPACITY {
        let hot = grouped(hot);
        bill.notes.push(format!("Set cache.capacity to {hot} or more, so that they stay cached."));
    }
    bill.obstacle = too_few(usage);
    bill
}

fn sqs_calls(usage: &Usage) -> (u128, String) {
    let (hundredths, measured) = match usage.deliveries_a_second() {
        1_000.. => (20, "0.20 to receive and delete it, as measured at 1,000 a second"),
        200.. => (31, "0.31 to receive and delete it, as measured at 200 a second"),
        50.. => (150, "1.5 to receive and delete it, as measured at 50 a second"),
        0.. => (200, "2 to receive and delete it, unbatched as below 50 a second"),
    };
    let deliveries = u128::from(usage.deliveries);
    let calls = deliveries
        + (deliveries * hundredths).div_ceil(100)
        + usage.retries() * 3
        + usage.idle_polls();
    let because = format!(
        "per delivery 1 to send it and {measured} (docs/adr/0005); 3 per retry; at most {} polls that find nothing",
        grouped(usage.idle_polls())
    );
    (calls, because)
}

fn machines(bill: &mut Bill, usage: &Usage, prices: &DeliveryPrices) {
    let hours = u128::from(usage.workers) * HOURS;
    let because = format!("{} × {HOURS} hours × 0.5 vCPU", grouped(usage.workers.into()));
    bill.add(Line::new("vCPU hours", hours / 2, because, &prices.fargate_vcpu_hour));
    let because = format!("{} × {HOURS} hours × {GIGABYTES} GB", grouped(usage.workers.into()));
    bill.add(Line::new("GB hours", hours * GIGABYTES, because, &prices.fargate_gigabyte_hour));
}

/// Whether the workers cannot make so many attempts.
fn too_few(usage: &Usage) -> Option<String> {
    if usage.deliveries == 0 {
        return None;
    }
    let a_second = usage.attempts() / (HOURS * 3600);
    let needed = a_second.div_ceil(ATTEMPTS_A_SECOND).max(1);
    (u128::from(usage.workers) < needed).then(|| {
        format!(
            "takes {} workers or more: one makes about {} attempts a second (docs/PERFORMANCE.md)",
            grouped(needed),
            grouped(ATTEMPTS_A_SECOND)
        )
    })
}
