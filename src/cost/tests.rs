//! Bills against calculations by hand, and the laws that hold for all of them.

use std::time::Duration;

use proptest::prelude::*;

use super::money::{Money, grouped};
use super::*;

fn article() -> Prices {
    Prices::parse(ARTICLE).unwrap()
}

fn today() -> Prices {
    Prices::parse(TODAY).unwrap()
}

fn bill(usage: &Usage, prices: &Prices, name: &str) -> Bill {
    usage.check().unwrap();
    bills(usage, prices).into_iter().find(|bill| bill.name == name).unwrap()
}

fn total(usage: &Usage, prices: &Prices, name: &str) -> String {
    bill(usage, prices, name).total().to_string()
}

/// The amounts of a bill's lines, by what they are for.
fn amounts(bill: &Bill) -> Vec<(&str, String)> {
    bill.lines.iter().map(|line| (line.what, line.amount.to_string())).collect()
}

#[test]
fn the_article_s_inputs_at_its_prices_give_its_totals() {
    let usage = Usage::default();
    // "~$20,005/month", "~$2,014/month" and "~$14/month"; its $0.01 of storage is $0.0125.
    let expected = [
        (storage::SECRETS_MANAGER, "20005.00", "$20,005.00"),
        (storage::SSM, "2014.0125", "$2,014.01"),
        (storage::DIRECT, "14.0125", "$14.01"),
    ];
    for (name, exactly, in_cents) in expected {
        let bill = bill(&usage, &article(), name);
        assert_eq!(bill.total().to_string(), exactly, "{name}");
        assert_eq!(bill.total().in_cents(), in_cents);
    }
    let direct = bill(&usage, &article(), storage::DIRECT);
    let lines = [
        ("KMS keys", "1.00"),
        ("KMS calls", "3.00"),
        ("bytes in DynamoDB", "0.0125"),
        ("DynamoDB traffic", "10.00"),
    ];
    assert_eq!(amounts(&direct), lines.map(|(what, amount)| (what, amount.to_owned())));
    let names: Vec<_> = bills(&usage, &article()).iter().map(|bill| bill.name).collect();
    assert_eq!(names, NAMES[..5], "the article does not price delivery");
}

#[test]
fn storage_at_today_s_prices_is_what_it_is_by_hand() {
    let usage = Usage::default();
    // 50,000 × 0.40 + 1,000,000 × 0.05 / 10,000.
    assert_eq!(total(&usage, &today(), storage::SECRETS_MANAGER), "20005.00");
    // KMS key 1; (1,000,000 - 20,000) × 0.03 / 10,000 = 2.94; 50 MB are free;
    // reads 1,000,000 × 0.125 / 1,000,000 = 0.125; writes 50,000 × 0.625 / 1,000,000 = 0.03125.
    assert_eq!(total(&usage, &today(), storage::DIRECT), "4.09625");
    assert_eq!(total(&usage, &today(), storage::ENVELOPE), "4.09625");
    // 40,000 × 0.05 = 2,000; 4/5 of the calls are of advanced ones: 800,000 × 0.05 / 10,000 = 4.
    assert_eq!(total(&usage, &today(), storage::SSM), "2008.09625");
    // 100 customers, 2 workers, 730 × 12 lifetimes of five minutes: 1,752,000 calls of KMS, not
    // 10,000,000: 1,732,000 × 0.03 / 10,000 = 5.196; key 1; reads 11,752,000 units: 1.469; writes
    // 0.03125.
    let many = Usage { customers: 100, api_calls: Some(10_000_000), ..usage };
    assert_eq!(total(&many, &today(), storage::TENANT_KEY), "7.69625");
    // The same, each call decrypted: (10,000,000 - 20,000) × 0.03 / 10,000 = 29.94; 1; 1.25; 0.03125.
    assert_eq!(total(&many, &today(), storage::ENVELOPE), "32.22125");
}

#[test]
fn delivery_at_today_s_prices_is_what_it_is_by_hand() {
    // 10,000,000 a month are 3 a second, 1.2 attempts each; 100 hot secrets of 10,000.
    let usage = Usage {
        secrets: 10_000,
        deliveries: 10_000_000,
        attempts_per_thousand: 1_200,
        hot_percent: 1,
        ..Usage::default()
    };
    // 10 × 1 + 10 × 0.20.
    assert_eq!(total(&usage, &today(), delivery::EVENTBRIDGE), "12.00");
    let worker = bill(&usage, &today(), delivery::WORKER);
    let expected = [
        // 10,000,000 × (1 + 2) + 2,000,000 retries × 3 + 2 × 131,400 polls = 36,262,800, one
        // million of them free: 35.2628 × 0.40.
        ("SQS calls", "14.10512"),
        ("KMS keys", "1.00"),
        // 100 × 2 × 8,760 = 1,752,000, 20,000 of them free.
        ("KMS calls", "5.196"),
        ("bytes in DynamoDB", "0.00"),
        // 100 × 2 × 87,600 = 17,520,000 is more than 12,000,000 attempts: × (1 + 2) units.
        ("DynamoDB read units", "4.50"),
        // 10,000 + 2,000,000 × 2 = 4,010,000.
        ("DynamoDB write units", "2.50625"),
        // 2 × 730 / 2 = 730 × 0.04048, and 1,460 × 0.004445.
        ("vCPU hours", "29.5504"),
        ("GB hours", "6.4897"),
    ];
    assert_eq!(amounts(&worker), expected.map(|(what, amount)| (what, amount.to_owned())));
    assert_eq!(worker.total().to_string(), "63.34747");
    assert_eq!(worker.obstacle, None);
}

/// docs/PERFORMANCE.md: 100 endpoints with a secret each, three cache lifetimes of 30 seconds at
/// full speed, gave 0.0008 calls of DynamoDB and KMS per delivery.
#[test]
fn the_calls_of_a_delivery_are_about_those_that_were_measured() {
    let usage = Usage {
        secrets: 100,
        deliveries: 13_400 * 730 * 3_600,
        hot_percent: 100,
        workers: 1,
        ..Usage::default()
    };
    let worker = bill(&usage, &today(), delivery::WORKER);
    let count = |what| worker.lines.iter().find(|line| line.what == what).unwrap().quantity;
    let calls = count("KMS calls") + count("DynamoDB read units");
    let per_million = calls * 1_000_000 / u128::from(usage.deliveries);
    assert!((700..=900).contains(&per_million), "{per_million} calls for a million deliveries");
}

#[test]
fn fewer_calls_of_sqs_are_needed_for_a_delivery_the_more_there_are() {
    let per_hundred = |a_second: u64| {
        let deliveries = a_second * 730 * 3_600;
        let usage = Usage { deliveries, workers: 0, ..Usage::default() };
        let worker = bill(&usage, &today(), delivery::WORKER);
        worker.lines[0].quantity * 100 / u128::from(deliveries)
    };
    assert_eq!([49, 50, 200, 1_000].map(per_hundred), [300, 250, 131, 120]);
}

#[test]
fn what_cannot_be_done_is_said_with_its_limit() {
    let obstacle = |usage: &Usage, name| bill(usage, &today(), name).obstacle.unwrap_or_default();
    let usage = Usage::default;
    let large = Usage { secret_bytes: 4_097, secrets: 100_000, ..usage() };
    assert!(obstacle(&large, storage::DIRECT).contains("4,096"));
    assert_eq!(obstacle(&large, storage::ENVELOPE), "");
    assert_eq!(obstacle(&large, storage::SSM), "");
    // No standard parameter holds so much: all 100,000 cost 0.05.
    let parameters = &bill(&large, &today(), storage::SSM).lines[0];
    assert_eq!(parameters.amount.to_string(), "5000.00");
    let huge = Usage { secret_bytes: 8_193, ..usage() };
    assert!(obstacle(&huge, storage::SSM).contains("8 KB"));
    let many = Usage { secrets: 110_001, ..usage() };
    assert!(obstacle(&many, storage::SSM).contains("100,000"));
    let idle = Usage { workers: 0, ..usage() };
    assert!(obstacle(&idle, delivery::WORKER).contains("takes 1 workers"));
    let busy = Usage { deliveries: 9_001 * 730 * 3_600, ..usage() };
    assert!(obstacle(&busy, delivery::WORKER).contains("takes 3 workers"));
    let notes = |usage: &Usage, name| bill(usage, &today(), name).notes.concat();
    assert!(notes(&usage(), delivery::EVENTBRIDGE).contains("3,000 connections"));
    let few = Usage { secrets: 3_000, ..usage() };
    assert_eq!(notes(&few, delivery::EVENTBRIDGE), "");
    let hot = Usage { hot_percent: 21, ..usage() };
    assert!(notes(&hot, delivery::WORKER).contains("cache.capacity to 10,500"));
}

#[test]
fn usage_that_cannot_be_calculated_with_names_its_option() {
    let wrong = [
        (Usage { secrets: 1_000_000_001, ..Usage::default() }, "--secrets"),
        (Usage { secret_bytes: 0, ..Usage::default() }, "--secret-bytes"),
        (Usage { deliveries: u64::MAX, ..Usage::default() }, "--deliveries-per-month"),
        (Usage { attempts_per_thousand: 999, ..Usage::default() }, "--attempts-per-delivery"),
        (Usage { hot_percent: 101, ..Usage::default() }, "--hot-percent"),
        (Usage { cache_lifetime: Duration::ZERO, ..Usage::default() }, "--cache-lifetime"),
    ];
    for (usage, option) in wrong {
        let error = usage.check().unwrap_err();
        assert!(error.path.starts_with(option) && error.problem.contains("expected"), "{error}");
    }
}

#[test]
fn amounts_are_shown_in_cents_with_halves_up_and_exactly() {
    let one = |dollars: &str| {
        let price = format!("[storage.kms_key]\ndollars = \"{dollars}\"");
        let text = TODAY.replacen("[storage.kms_key]\ndollars = \"1\"", &price, 1);
        let amount: Money =
            bill(&Usage::default(), &Prices::parse(&text).unwrap(), storage::DIRECT)
                .lines
                .swap_remove(0)
                .amount;
        (amount.in_cents(), amount.to_string())
    };
    for (dollars, in_cents, exactly) in [
        ("0.005", "$0.01", "0.005"),
        ("0.004999999", "$0.00", "0.004999999"),
        ("999.995", "$1,000.00", "999.995"),
        ("7", "$7.00", "7.00"),
    ] {
        assert_eq!(one(dollars), (in_cents.to_owned(), exactly.to_owned()));
    }
    assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
}

#[test]
fn a_line_s_formula_names_what_is_free_and_what_the_price_is_for() {
    let direct = bill(&Usage::default(), &today(), storage::DIRECT);
    assert_eq!(direct.lines[0].formula(), "1 × $1.00");
    assert_eq!(direct.lines[2].formula(), "50,000,000 of 25,000,000,000 free");
    assert_eq!(direct.lines[1].formula(), "(1,000,000 - 20,000 free) × $0.03 / 10,000");
}

#[test]
fn nothing_overflows_at_the_highest_usage_and_prices() {
    let highest = TODAY.lines().map(|line| {
        let high = if line.starts_with("dollars") { "dollars = \"1000\"" } else { line };
        let high = if line.starts_with("per") { "per = 1" } else { high };
        format!("{high}\n")
    });
    let prices = Prices::parse(&highest.collect::<String>()).unwrap();
    let usage = Usage {
        secrets: 1_000_000_000,
        secret_bytes: 65_536,
        customers: 1_000_000_000,
        deliveries: 1_000_000_000_000,
        attempts_per_thousand: 1_000_000,
        api_calls: Some(1_000_000_000_000_000),
        workers: 100_000,
        hot_percent: 100,
        cache_refresh: Duration::from_secs(1),
        cache_lifetime: Duration::from_secs(1),
    };
    usage.check().unwrap();
    // An overflow would panic.
    assert!(bills(&usage, &prices).iter().all(|bill| bill.total() > Money::default()));
}

fn any_usage() -> impl Strategy<Value = Usage> {
    let stored = (0..2_000_000_u64, 1..=65_536_u64, 0..100_000_u64);
    let delivered = (0..10_000_000_000_u64, 1_000..20_000_u64, any::<Option<u32>>());
    let working = (0..100_u64, 0..=100_u64, 1..600_u64, 1..7_200_u64);
    (stored, delivered, working).prop_map(|(stored, delivered, working)| Usage {
        secrets: stored.0,
        secret_bytes: stored.1,
        customers: stored.2,
        deliveries: delivered.0,
        attempts_per_thousand: delivered.1,
        api_calls: delivered.2.map(u64::from),
        workers: working.0,
        hot_percent: working.1,
        cache_refresh: Duration::from_secs(working.2),
        cache_lifetime: Duration::from_secs(working.3),
    })
}

proptest! {
    #[test]
    fn a_bill_is_the_sum_of_its_lines(usage in any_usage()) {
        for prices in [article(), today()] {
            for bill in bills(&usage, &prices) {
                // In whole 10⁻¹⁸ dollars, read back from what is shown.
                let number = |money: Money| {
                    let shown = money.to_string();
                    let (whole, fraction) = shown.split_once('.').unwrap();
                    format!("{whole}{fraction:0<18}").parse::<u128>().unwrap()
                };
                let lines: u128 = bill.lines.iter().map(|line| number(line.amount)).sum();
                prop_assert_eq!(number(bill.total()), lines);
            }
        }
    }

    #[test]
    fn more_of_anything_stored_or_asked_for_never_costs_less(
        usage in any_usage(), more in 1..1_000_000_u64,
    ) {
        let mut grown = vec![
            Usage { secrets: usage.secrets + more, ..usage.clone() },
            Usage { customers: usage.customers + more, ..usage.clone() },
            Usage { secret_bytes: (usage.secret_bytes + more).min(65_536), ..usage.clone() },
            Usage { attempts_per_thousand: (usage.attempts_per_thousand + more).min(1_000_000), ..usage.clone() },
            Usage { workers: usage.workers + more % 1_000, ..usage.clone() },
        ];
        if let Some(calls) = usage.api_calls {
            grown.push(Usage { api_calls: Some(calls + more), ..usage.clone() });
        }
        for prices in [article(), today()] {
            let before = bills(&usage, &prices);
            for usage in &grown {
                for (before, after) in before.iter().zip(bills(usage, &prices)) {
                    prop_assert!(after.total() >= before.total(), "{}", before.name);
                }
            }
        }
    }

    #[test]
    fn without_usage_only_what_is_fixed_costs(usage in any_usage()) {
        let nothing = Usage {
            secrets: 0, customers: 0, deliveries: 0, api_calls: None, workers: 0, ..usage
        };
        for prices in [article(), today()] {
            for bill in bills(&nothing, &prices) {
                for line in &bill.lines {
                    let is_fixed = ["KMS keys", "DynamoDB traffic"].contains(&line.what);
                    prop_assert_eq!(line.amount > Money::default(), is_fixed, "{}", line.what);
                }
            }
        }
    }
}
