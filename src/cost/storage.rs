//! What it costs to keep secrets and to read them, one bill for each way. Every call goes to where
//! the secret is, as the article counts; what a worker's cache saves is in the bill of delivery.

use super::bill::{Bill, Line};
use super::money::grouped;
use super::prices::{Price, Requests, StoragePrices};
use super::usage::{ITEM_OVERHEAD, Usage};

pub(super) const SECRETS_MANAGER: &str = "Secrets Manager";
pub(super) const SSM: &str = "SSM + DynamoDB";
pub(super) const DIRECT: &str = "KMS direct + DynamoDB";
pub(super) const ENVELOPE: &str = "envelope + DynamoDB";
pub(super) const TENANT_KEY: &str = "tenant key + DynamoDB";

/// The largest value of a standard parameter, and of an advanced one (AWS Systems Manager User
/// Guide, "Managing parameter tiers").
const STANDARD_BYTES: u64 = 4_096;
const ADVANCED_BYTES: u64 = 8_192;
/// The most advanced parameters of an account in a Region (likewise).
const MOST_ADVANCED: u128 = 100_000;
/// The most that KMS encrypts (AWS KMS API Reference, "Encrypt").
const KMS_BYTES: u64 = 4_096;

pub(super) fn bills(usage: &Usage, prices: &StoragePrices) -> Vec<Bill> {
    vec![
        secrets_manager(usage, prices),
        ssm(usage, prices),
        direct(usage, prices),
        envelope(usage, prices),
        tenant_key(usage, prices),
    ]
}

fn secrets_manager(usage: &Usage, prices: &StoragePrices) -> Bill {
    let mut bill = Bill::new(SECRETS_MANAGER);
    let secrets = usage.secrets.into();
    bill.add(Line::new("secrets", secrets, "each one", &prices.secrets_manager_secret));
    let price = &prices.secrets_manager_call;
    bill.add(Line::new("API calls", usage.api_calls(), calls_because(usage), price));
    bill
}

fn ssm(usage: &Usage, prices: &StoragePrices) -> Bill {
    let mut bill = Bill::new(SSM);
    let secrets = u128::from(usage.secrets);
    let fits_standard = usage.secret_bytes <= STANDARD_BYTES;
    let (free, because) = if fits_standard {
        (prices.ssm_parameter.free, "standard ones are free, the others are advanced")
    } else {
        (0, "all advanced: a standard one holds 4 KB")
    };
    let price = Price { free, ..prices.ssm_parameter.clone() };
    bill.add(Line::new("parameters", secrets, because, &price));
    let advanced = secrets.saturating_sub(free.into());
    let calls = (usage.api_calls() * advanced).div_ceil(secrets.max(1));
    let because = "the share of the API calls that reads advanced parameters";
    bill.add(Line::new("parameter calls", calls, because, &prices.ssm_call));
    kms_and_dynamodb(&mut bill, usage, prices);
    bill.obstacle = if usage.secret_bytes > ADVANCED_BYTES {
        Some("a parameter holds at most 8 KB".to_owned())
    } else if advanced > MOST_ADVANCED {
        Some("an account has at most 100,000 advanced parameters in a Region".to_owned())
    } else {
        None
    };
    bill
}

fn direct(usage: &Usage, prices: &StoragePrices) -> Bill {
    let mut bill = Bill::new(DIRECT);
    kms_and_dynamodb(&mut bill, usage, prices);
    if usage.secret_bytes > KMS_BYTES {
        bill.obstacle = Some("KMS encrypts at most 4,096 bytes: use the envelope".to_owned());
    }
    bill
}

fn envelope(usage: &Usage, prices: &StoragePrices) -> Bill {
    let mut bill = Bill::new(ENVELOPE);
    kms_and_dynamodb(&mut bill, usage, prices);
    bill
}

/// A key pair for each customer: KMS unwraps its private half, which workers keep.
fn tenant_key(usage: &Usage, prices: &StoragePrices) -> Bill {
    let mut bill = Bill::new(TENANT_KEY);
    key(&mut bill, prices);
    let customers = u128::from(usage.customers);
    let unwrapped = usage.cached(customers, usage.cache_lifetime, usage.api_calls());
    let because = "once per customer, worker and --cache-lifetime, at most once per API call; writers need none";
    bill.add(Line::new("KMS calls", unwrapped, because, &prices.kms_call));
    let bytes = u128::from(usage.secrets) * usage.item_bytes() + customers * ITEM_OVERHEAD;
    let because = format!("{}; {ITEM_OVERHEAD} for each customer's key pair", item_because(usage));
    bill.add(Line::new("bytes in DynamoDB", bytes, because, &prices.dynamodb_storage));
    let reads = usage.api_calls() * usage.read_units() + unwrapped;
    let because = "one item per API call, and the key pair with each KMS call";
    requests(&mut bill, prices, (reads, because), puts(usage));
    bill
}

fn kms_and_dynamodb(bill: &mut Bill, usage: &Usage, prices: &StoragePrices) {
    key(bill, prices);
    let calls = usage.api_calls();
    bill.add(Line::new("KMS calls", calls, calls_because(usage), &prices.kms_call));
    let bytes = u128::from(usage.secrets) * usage.item_bytes();
    let price = &prices.dynamodb_storage;
    bill.add(Line::new("bytes in DynamoDB", bytes, item_because(usage), price));
    let reads = (calls * usage.read_units(), "one item per API call, read consistently");
    requests(bill, prices, reads, puts(usage));
}

/// The one key that seals everything.
pub(super) fn key(bill: &mut Bill, prices: &StoragePrices) {
    bill.add(Line::new("KMS keys", 1, "one seals everything", &prices.kms_key));
}

/// Write units of the secrets that are put, and why so many.
fn puts(usage: &Usage) -> (u128, &'static str) {
    (u128::from(usage.secrets) * usage.write_units(), "each secret is put once a month")
}

/// Reads and writes of DynamoDB, each with why there are so many.
pub(super) fn requests(
    bill: &mut Bill,
    prices: &StoragePrices,
    (reads, read_because): (u128, &str),
    (writes, write_because): (u128, &str),
) {
    match &prices.dynamodb_requests {
        Requests::Assumed(price) => {
            bill.add(Line::new("DynamoDB traffic", 1, "assumed, whatever the usage", price));
        }
        Requests::Units(units) => {
            bill.add(Line::new("DynamoDB read units", reads, read_because, &units.read));
            bill.add(Line::new("DynamoDB write units", writes, write_because, &units.write));
        }
    }
}

fn calls_because(usage: &Usage) -> &'static str {
    match usage.api_calls {
        Some(_) => "as given",
        None => "one per attempt, nothing cached",
    }
}

fn item_because(usage: &Usage) -> String {
    format!(
        "{} for each secret: its value and {ITEM_OVERHEAD} beside it",
        grouped(usage.item_bytes())
    )
}
