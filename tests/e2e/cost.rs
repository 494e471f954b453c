//! `sealpost cost`: the article's totals, the user's own prices, and what it says of bad input.

use serde_json::{Value, json};

use crate::program::Program;

fn costs(program: &Program, arguments: &[&str]) -> Value {
    serde_json::from_str(&program.ok(&[&["cost", "--json"], arguments].concat(), "")).unwrap()
}

/// The total of a bill, by the place of its price list and its name.
fn total(costs: &Value, list: usize, name: &str) -> String {
    let bills = costs["prices"][list]["bills"].as_array().unwrap();
    let bill = bills.iter().find(|bill| bill["name"] == name).unwrap();
    bill["total"].as_str().unwrap().to_owned()
}

#[test]
fn the_article_s_totals_stand_beside_those_of_today() {
    let program = Program::new();
    let printed = program.ok(&["cost"], "");
    let (_, comparison) = printed.rsplit_once(" a month ").unwrap();
    let row = |name: &str| {
        let line = comparison.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
        line.replace(name, "").split_whitespace().map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(row("Secrets Manager"), ["$20,005.00", "$20,005.00"]);
    assert_eq!(row("SSM + DynamoDB"), ["$2,014.01", "$2,008.10"]);
    assert_eq!(row("KMS direct + DynamoDB"), ["$14.01", "$4.10"]);
    assert!(comparison.contains("2026-11-26") && comparison.contains("us-east-1"), "{comparison}");
    for part in ["50,000 × $0.40 = $20,000.00", "1,000,000 × $0.03 / 10,000 = $3.00"] {
        assert!(printed.contains(part), "{part}");
    }
    assert!(!printed.contains("not verified"), "{printed}");
}

#[test]
fn the_defaults_are_the_article_s_inputs_and_the_worker_s_settings() {
    let usage = costs(&Program::new(), &[])["usage"].clone();
    assert_eq!(
        usage,
        json!({"secrets": 50_000, "secretBytes": 400, "customers": 1_000,
               "deliveries": 1_000_000, "attemptsPerThousandDeliveries": 1_000,
               "apiCalls": null, "workers": 2, "hotPercent": 10,
               "cacheRefreshSeconds": 30, "cacheLifetimeSeconds": 300})
    );
}

#[test]
fn every_option_of_usage_changes_a_bill() {
    let program = Program::new();
    let before = costs(&program, &[])["prices"].clone();
    let options = [
        ("--secrets", "60000"),
        ("--secret-bytes", "4000"),
        ("--customers", "1"),
        ("--deliveries-per-month", "10000000"),
        ("--attempts-per-delivery", "1.25"),
        ("--api-calls-per-month", "5"),
        ("--workers", "3"),
        ("--hot-percent", "0"),
        ("--cache-refresh", "24h"),
        ("--cache-lifetime", "24h"),
    ];
    for (option, value) in options {
        assert_ne!(costs(&program, &[option, value])["prices"], before, "{option}");
    }
    let retried = costs(&program, &["--attempts-per-delivery", "1.25"]);
    assert_eq!(retried["usage"]["attemptsPerThousandDeliveries"], 1_250);
}

#[test]
fn the_printed_prices_can_be_edited_and_used() {
    let program = Program::new();
    let path = program.data().join("prices.toml");
    let file = path.to_str().unwrap();
    let prices = program.ok(&["cost", "--print-prices"], "");
    std::fs::write(&path, &prices).unwrap();
    assert_eq!(costs(&program, &["--prices", file]), costs(&program, &[]));
    let edited = prices
        .replacen("name = \"us-east-1\"", "name = \"ours\"", 1)
        .replacen("dollars = \"0.40\"", "dollars = \"0.30\"", 1)
        .replacen("verified = true", "verified = false", 2);
    std::fs::write(&path, &edited).unwrap();
    let ours = costs(&program, &["--prices", file]);
    assert_eq!(ours["prices"][1]["name"], "ours");
    assert_eq!(total(&ours, 1, "Secrets Manager"), "15005.00");
    assert_eq!(total(&ours, 0, "Secrets Manager"), "20005.00");
    assert_eq!(ours["prices"][1]["bills"][0]["lines"][0]["dollars"], "0.30");
    let shown = program.ok(&["cost", "--prices", file], "");
    assert!(shown.contains("(not verified)"), "{shown}");

    let storage_alone = prices.split("[delivery.").next().unwrap();
    std::fs::write(&path, storage_alone).unwrap();
    let shown = program.ok(&["cost", "--prices", file], "");
    let last = shown.lines().rfind(|line| line.trim_start().starts_with("sealpost")).unwrap();
    assert_eq!(last.matches("not priced").count(), 2, "{last}");
}

#[test]
fn bad_prices_and_bad_usage_are_refused_with_their_place() {
    let program = Program::new();
    let path = program.data().join("prices.toml");
    let file = path.to_str().unwrap();
    let refused = |arguments: &[&str], expected: &[&str]| {
        let complaint = program.fails(&[&["cost"], arguments].concat(), b"");
        for words in expected {
            assert!(complaint.contains(words), "{arguments:?}: {complaint:?} lacks {words:?}");
        }
    };
    refused(&["--prices", file], &["prices.toml", "No such file"]);
    let prices = program.ok(&["cost", "--print-prices"], "");
    std::fs::write(&path, prices.replacen("\"0.40\"", "\"-1\"", 1)).unwrap();
    let key = "storage.secrets_manager_secret.dollars";
    refused(&["--prices", file], &["prices.toml", key, "negative"]);
    refused(&["--secrets", "9999999999"], &["--secrets", "expected 0 to 1000000000"]);
    refused(&["--attempts-per-delivery", "0.5"], &["--attempts-per-delivery", "at least one"]);
    refused(&["--attempts-per-delivery", "-"], &["three decimals"]);
}

#[test]
fn what_is_not_possible_has_no_price_in_the_comparison() {
    let program = Program::new();
    let printed = program.ok(&["cost", "--secret-bytes", "5000"], "");
    assert!(printed.contains("Not possible: KMS encrypts at most 4,096 bytes"), "{printed}");
    let last = printed.lines().rfind(|line| line.contains("KMS direct")).unwrap();
    assert_eq!(last.matches("not possible").count(), 2, "{last}");
}
