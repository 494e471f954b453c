//! AWS's list prices, and what `sealpost cost` makes of them for the same deliveries. Nothing is free:
//! free tiers are for all of an account.

use anyhow::Context;
use sealpost::cost::{Dollars, Per, Price, Prices, Requests, TODAY, Usage, bills};

use super::stage::ENDPOINTS;

/// Dollars for one of each.
pub struct PriceList {
    pub sqs_call: f64,
    pub kms_call: f64,
    pub read_unit: f64,
    pub write_unit: f64,
}

impl PriceList {
    /// The list that `sealpost cost` has.
    pub fn of_today() -> anyhow::Result<Self> {
        let prices = Prices::parse(TODAY).map_err(|e| anyhow::anyhow!("{e}"))?;
        let delivery = prices.delivery.context("the list does not price delivery")?;
        let Requests::Units(units) = &prices.storage.dynamodb_requests else {
            anyhow::bail!("the list does not price units of DynamoDB");
        };
        Ok(Self {
            sqs_call: each(&delivery.sqs_call)?,
            kms_call: each(&prices.storage.kms_call)?,
            read_unit: each(&units.read)?,
            write_unit: each(&units.write)?,
        })
    }
}

fn each(price: &Price) -> anyhow::Result<f64> {
    dollars_for_one(price.dollars, price.per)
}

fn dollars_for_one(dollars: Dollars, per: Per) -> anyhow::Result<f64> {
    Ok(dollars.to_string().parse::<f64>()? / per.get() as f64)
}

/// What `sealpost cost` tells for a million deliveries at this rate to the same endpoints: its lines for
/// calls of SQS, KMS and DynamoDB. It counts one call to send each job.
pub fn told(per_second: f64) -> anyhow::Result<f64> {
    let deliveries = (per_second * 3600.0 * 730.0) as u64;
    let usage = Usage {
        secrets: ENDPOINTS as u64,
        customers: ENDPOINTS as u64,
        deliveries,
        hot_percent: 100,
        workers: 1,
        ..Usage::default()
    };
    let prices = Prices::parse(TODAY).map_err(|e| anyhow::anyhow!("{e}"))?;
    let bill = bills(&usage, &prices).into_iter().find(|bill| bill.name == "sealpost");
    let mut month = 0.0;
    for line in bill.context("no bill")?.lines {
        let counts = ["SQS calls", "KMS calls", "DynamoDB read units", "DynamoDB write units"];
        if counts.contains(&line.what) {
            month += line.quantity as f64 * each(&line.price)?;
        }
    }
    Ok(month / deliveries as f64 * 1e6)
}
