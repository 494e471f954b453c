//! `sealpost cost`: what it costs a month, each way, at the article's prices and at AWS's.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};

use super::{Global, duration, output};
use crate::cost::{ARTICLE, Bill, LEFT_OUT, Line, NAMES, Prices, ROWS, TODAY, Usage, bills};

/// Compare what it costs a month on AWS to keep customers' secrets, each way, and to deliver with
/// them: at the prices of the article that this project grew from, and at today's.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  sealpost cost --secrets 50000 --deliveries-per-month 10000000\n\nOther prices: `sealpost cost --print-prices > prices.toml`, edit them, `sealpost cost --prices prices.toml`. How the numbers come about is explained in docs/COST.md."
)]
pub struct Cost {
    /// Secrets that are kept
    #[arg(long, value_name = "N", default_value_t = Usage::default().secrets)]
    secrets: u64,
    /// Bytes of a secret's value; 600 more are kept beside it
    #[arg(long, value_name = "N", default_value_t = Usage::default().secret_bytes)]
    secret_bytes: u64,
    /// Customers whose secrets they are
    #[arg(long, value_name = "N", default_value_t = Usage::default().customers)]
    customers: u64,
    /// Deliveries a month
    #[arg(long, value_name = "N", default_value_t = Usage::default().deliveries)]
    deliveries_per_month: u64,
    /// Attempts that a delivery takes, on average
    #[arg(long, value_name = "N", default_value = "1", value_parser = thousandths)]
    attempts_per_delivery: u64,
    /// Calls a month that read or write a secret where it is stored, for the bills of storage; one
    /// for each attempt if it is left out
    #[arg(long, value_name = "N")]
    api_calls_per_month: Option<u64>,
    /// Workers that run all the time, each with half a vCPU and 1 GB
    #[arg(long, value_name = "N", default_value_t = Usage::default().workers)]
    workers: u64,
    /// Of 100 secrets, how many take all the deliveries
    #[arg(long, value_name = "N", default_value_t = Usage::default().hot_percent)]
    hot_percent: u64,
    /// How long workers use a secret before they read it anew: `cache.soft`
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    cache_refresh: Duration,
    /// How long workers use a value before they have it decrypted anew: `cache.hard`
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration)]
    cache_lifetime: Duration,
    /// A file with prices, in place of AWS's list prices
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// Print the file with AWS's list prices, to edit it
    #[arg(long)]
    print_prices: bool,
}

pub fn run(global: &Global, verb: &Cost) -> anyhow::Result<ExitCode> {
    if verb.print_prices {
        output::line(TODAY.trim_end())?;
        return Ok(ExitCode::SUCCESS);
    }
    let usage = verb.usage();
    usage.check()?;
    let lists = [
        Prices::parse(ARTICLE).context("the article's prices")?,
        match &verb.prices {
            Some(path) => read(path)?,
            None => Prices::parse(TODAY).context("AWS's list prices")?,
        },
    ];
    let priced: Vec<Priced> =
        lists.iter().map(|list| Priced { list, bills: bills(&usage, list) }).collect();
    if global.json {
        output::json(&as_json(&usage, &priced))?;
    } else {
        tell(&priced)?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Cost {
    fn usage(&self) -> Usage {
        Usage {
            secrets: self.secrets,
            secret_bytes: self.secret_bytes,
            customers: self.customers,
            deliveries: self.deliveries_per_month,
            attempts_per_thousand: self.attempts_per_delivery,
            api_calls: self.api_calls_per_month,
            workers: self.workers,
            hot_percent: self.hot_percent,
            cache_refresh: self.cache_refresh,
            cache_lifetime: self.cache_lifetime,
        }
    }
}

/// A number with at most three decimals, in thousandths.
fn thousandths(text: &str) -> Result<u64, String> {
    let expected = || format!("expected a number with at most three decimals, not {text:?}");
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) || fraction.len() > 3 {
        return Err(expected());
    }
    format!("{whole}{fraction:0<3}").parse().map_err(|_| expected())
}

fn read(path: &Path) -> anyhow::Result<Prices> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    Prices::parse(&text).with_context(|| path.display().to_string())
}

/// A price list and the bills at its prices.
struct Priced<'a> {
    list: &'a Prices,
    bills: Vec<Bill>,
}

impl Priced<'_> {
    fn bill(&self, name: &str) -> Option<&Bill> {
        self.bills.iter().find(|bill| bill.name == name)
    }
}

fn tell(priced: &[Priced]) -> anyhow::Result<()> {
    for name in NAMES {
        output::line(&format!("{name}, a month"))?;
        let lists = priced.iter().map(|p| p.list.name.as_str());
        let heading: Vec<&str> = ["what", "why so much"].into_iter().chain(lists).collect();
        let of_name: Vec<_> = priced.iter().map(|p| p.bill(name)).collect();
        output::table(&heading, rows(&of_name))?;
        // Notes and obstacles follow from the usage, not from the prices.
        if let Some(bill) = of_name.iter().flatten().next_back() {
            bill.obstacle.iter().try_for_each(|o| output::line(&format!("Not possible: {o}.")))?;
            bill.notes.iter().try_for_each(|note| output::line(note))?;
        }
        output::line("")?;
    }
    compare(priced)
}

/// A row for each thing that is paid for, with a cell for each price list.
fn rows(bills: &[Option<&Bill>]) -> Vec<Vec<String>> {
    let mut kinds: Vec<&Line> = Vec::new();
    for line in bills.iter().flatten().flat_map(|bill| &bill.lines) {
        if !kinds.iter().any(|known| known.what == line.what) {
            kinds.push(line);
        }
    }
    let row = |kind: &Line| {
        let mut row = vec![kind.what.to_owned(), wrapped(&kind.because)];
        row.extend(bills.iter().map(|bill| {
            let lines = bill.iter().flat_map(|bill| &bill.lines);
            lines.filter(|line| line.what == kind.what).map(cell).collect()
        }));
        row
    };
    let mut total = vec!["total".to_owned(), String::new()];
    total.extend(bills.iter().map(|bill| bill.map_or_else(String::new, |b| b.total().in_cents())));
    kinds.into_iter().map(row).chain([total]).collect()
}

fn cell(line: &Line) -> String {
    let not = if line.price.verified { "" } else { "\n(not verified)" };
    format!("{} = {}\n{}{not}", line.formula(), line.amount.in_cents(), wrapped(&line.price.source))
}

/// Broken into lines of about 40 characters, so that the table stays readable in a file, too.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.len() + word.len() < 40 => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}

fn compare(priced: &[Priced]) -> anyhow::Result<()> {
    let heading = |p: &Priced| format!("{}\n{}\n{}", p.list.name, p.list.region, p.list.date);
    let headings: Vec<String> =
        ["a month".to_owned()].into_iter().chain(priced.iter().map(heading)).collect();
    let headings: Vec<&str> = headings.iter().map(String::as_str).collect();
    let row = |name: &str| {
        let total = |p: &Priced| match p.bill(name) {
            None => "not priced".to_owned(),
            Some(Bill { obstacle: Some(_), .. }) => "not possible".to_owned(),
            Some(bill) => bill.total().in_cents(),
        };
        [name.to_owned()].into_iter().chain(priced.iter().map(total)).collect()
    };
    output::table(&headings, NAMES.iter().map(|name| row(name)))?;
    output::line(ROWS)?;
    output::line(LEFT_OUT)
}

fn as_json(usage: &Usage, priced: &[Priced]) -> Value {
    let list = |p: &Priced| {
        json!({"name": p.list.name, "date": p.list.date, "region": p.list.region,
               "bills": p.bills.iter().map(bill_as_json).collect::<Vec<_>>()})
    };
    json!({
        "usage": {
            "secrets": usage.secrets, "secretBytes": usage.secret_bytes,
            "customers": usage.customers, "deliveries": usage.deliveries,
            "attemptsPerThousandDeliveries": usage.attempts_per_thousand,
            "apiCalls": usage.api_calls, "workers": usage.workers,
            "hotPercent": usage.hot_percent,
            "cacheRefreshSeconds": usage.cache_refresh.as_secs(),
            "cacheLifetimeSeconds": usage.cache_lifetime.as_secs(),
        },
        "prices": priced.iter().map(list).collect::<Vec<_>>(),
    })
}

/// Dollars are strings, so that no reader rounds them.
fn bill_as_json(bill: &Bill) -> Value {
    let line = |line: &Line| {
        json!({"what": line.what, "quantity": line.quantity.to_string(), "free": line.price.free,
               "dollars": line.price.dollars.to_string(), "per": line.price.per.get(),
               "amount": line.amount, "because": line.because,
               "source": line.price.source, "verified": line.price.verified})
    };
    json!({"name": bill.name, "total": bill.total(), "obstacle": bill.obstacle,
           "notes": bill.notes, "lines": bill.lines.iter().map(line).collect::<Vec<_>>()})
}
