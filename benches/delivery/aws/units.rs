//! Units of DynamoDB that a worker used: what it called is counted on the wire, what its records took is
//! read from the table.
//!
//! A consistent read of up to 4 KB is one read unit and a write of up to 1 KB one write unit; endpoints,
//! health, secrets and fences are smaller than that (docs/AWS.md, "Cost").

use std::collections::HashMap;

use anyhow::ensure;
use aws_sdk_dynamodb::types::AttributeValue;
use sealpost::adapters::aws::dynamodb::tables;
use sealpost::domain::delivery_record::Recording;

use super::emulator::{Calls, count};
use super::stage::Stage;

/// Read units and write units.
#[derive(Debug, Clone, Copy, Default)]
pub struct Units {
    pub reads: f64,
    pub writes: f64,
}

/// Units of calls that read or write one small item each.
pub fn of_calls(calls: &Calls) -> Units {
    let of = |operations: &[&str]| {
        operations.iter().map(|name| count(calls, "DynamoDB", name)).sum::<u64>() as f64
    };
    Units { reads: of(&["GetItem", "Query"]), writes: of(&["PutItem", "UpdateItem", "DeleteItem"]) }
}

/// Write units of the records of `jobs` deliveries that succeeded at once, each a header that one index
/// holds, too, and an attempt. Waits until they are written.
pub fn of_records(stage: &Stage, record: Recording, jobs: usize) -> anyhow::Result<f64> {
    let expected = match record {
        Recording::None | Recording::Failures => return Ok(0.0),
        Recording::All => 2 * jobs,
    };
    let mut last = 0;
    for _ in 0..100 {
        let (items, units) = stage.runtime.block_on(scan(stage))?;
        if items == expected {
            return Ok(units);
        }
        last = items;
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    ensure!(false, "{last} items are recorded, and {expected} were to be");
    Ok(0.0)
}

/// Items of records, and the units that writing them took.
async fn scan(stage: &Stage) -> anyhow::Result<(usize, f64)> {
    let (mut items, mut units) = (0, 0.0);
    let name = format!("sealpost-{}", tables::DELIVERIES.name);
    let scan = stage.clients.dynamodb.scan().table_name(name).into_paginator().items();
    let mut found = scan.send();
    while let Some(item) = found.next().await {
        let item = item?;
        let text = |key: &str| item.get(key).and_then(|value| value.as_s().ok());
        if !text("pk").is_some_and(|pk| pk.starts_with("recorded#")) {
            continue;
        }
        items += 1;
        // The header alone has the keys of the index.
        let copies = if text("sk").is_some_and(|sk| sk == "header") { 2.0 } else { 1.0 };
        units += size(&item).div_ceil(1024) as f64 * copies;
    }
    Ok((items, units))
}

/// Bytes of an item: names and values (Amazon DynamoDB Developer Guide, "Item sizes").
fn size(item: &HashMap<String, AttributeValue>) -> usize {
    let of = |value: &AttributeValue| match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(digits) => digits.len().div_ceil(2) + 1,
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        other => format!("{other:?}").len(),
    };
    item.iter().map(|(name, value)| name.len() + of(value)).sum()
}
