//! The dashboard and the alert rules ask for what there is; the documents list it all.

use std::collections::BTreeSet;
use std::path::Path;

use sealpost::telemetry::metrics::family::named;
use sealpost::telemetry::metrics::{FAMILIES, Family, Kind};

use crate::bench::loopback;
use crate::watched::Watched;

fn file(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// What Prometheus adds to every series.
const ADDED: [&str; 2] = ["job", "instance"];
/// The words of the language that are used.
const WORDS: [&str; 11] = [
    "sum",
    "max",
    "count",
    "by",
    "rate",
    "increase",
    "histogram_quantile",
    "time",
    "up",
    "le",
    "on",
];

/// An expression's names, each with the matchers that follow it in braces.
fn names(expression: &str) -> Vec<(String, Option<String>)> {
    let (mut found, mut rest) = (Vec::new(), expression);
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphanumeric() || "_\"[$".contains(c)) {
        rest = &rest[start..];
        let first = rest.chars().next().unwrap();
        if first == '"' || first == '[' {
            let close = if first == '"' { '"' } else { ']' };
            rest = &rest[rest[1..].find(close).unwrap() + 2..];
            continue;
        }
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        let end = rest.find(|c| !is_part(c) && c != '$').unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        rest = after;
        if name.starts_with(|c: char| c.is_ascii_digit()) {
            continue;
        }
        let matchers = after.strip_prefix('{').map(|inner| inner.split('}').next().unwrap());
        if let Some(matchers) = matchers {
            rest = &after[matchers.len() + 2..];
        }
        found.push((name.to_owned(), matchers.map(str::to_owned)));
    }
    found
}

/// The family of a series' name: histograms have three of them.
fn family(name: &str) -> Option<&'static Family> {
    let histogram = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
    let of = histogram.and_then(named).filter(|family| family.kind == Kind::Histogram);
    of.or_else(|| named(name).filter(|family| family.kind != Kind::Histogram))
}

/// Checks an expression against the families and against what the program says; the families it names.
fn check(expression: &str, text: &str) -> BTreeSet<&'static str> {
    let (mut families, mut labels) = (BTreeSet::new(), BTreeSet::<&str>::new());
    let mut words = Vec::new();
    for (name, matchers) in names(expression) {
        let Some(family) = family(&name) else {
            words.push(name);
            continue;
        };
        families.insert(family.name);
        labels.extend(family.labels);
        for matcher in matchers.iter().flat_map(|m| m.split(',')) {
            let (label, value) = matcher.split_once(['=', '~']).unwrap();
            let is_known = family.labels.contains(&label) || ADDED.contains(&label);
            assert!(is_known, "{} has no label {label}: {expression}", family.name);
            let value = value.trim_matches(['~', '"']);
            if ADDED.contains(&label) || !text.contains(&format!("\n{}{{", family.name)) {
                continue;
            }
            for value in value.split('|') {
                let there = text.lines().any(|line| {
                    line.starts_with(&name) && line.contains(&format!("{label}=\"{value}\""))
                });
                assert!(there, "{name} never has {label}={value}: {expression}");
            }
        }
    }
    for word in words {
        let is_known = WORDS.contains(&word.as_str())
            || ADDED.contains(&word.as_str())
            || labels.contains(word.as_str());
        assert!(is_known, "{word} is neither a metric nor a label of one: {expression}");
    }
    families
}

async fn text() -> String {
    Watched::open(loopback()).await.monitor.metrics().await
}

/// Each alert with its expression.
fn alerts() -> Vec<(String, String)> {
    let rules = file("ops/prometheus/alerts.yml");
    let rules = rules.split("- alert: ").skip(1).map(|rule| {
        let (name, rest) = rule.split_once('\n').unwrap();
        let (_, expression) = rest.split_once("expr: ").unwrap();
        let end = ["\n        for:", "\n        labels:"].iter();
        let end = end.filter_map(|end| expression.find(end)).min().unwrap();
        let expression = expression[..end].trim_start_matches('|').trim().to_owned();
        assert!(rest.contains("summary: \"") && rest.contains("severity: "), "{name}");
        (name.to_owned(), expression)
    });
    rules.collect()
}

#[tokio::test]
async fn every_alert_asks_for_what_there_is_and_has_its_place_in_the_runbook() {
    let (text, runbook) = (text().await, file("docs/OPERATIONS.md"));
    let alerts = alerts();
    assert!(alerts.len() >= 15, "{alerts:?}");
    for (name, expression) in &alerts {
        let families = check(expression, &text);
        assert!(!families.is_empty() || expression.starts_with("up{"), "{name}: {expression}");
        assert!(runbook.contains(&format!("| `{name}` | ")), "docs/OPERATIONS.md lacks {name}");
    }
    for row in runbook.lines().filter_map(|line| line.strip_prefix("| `Sealpost")) {
        let name = format!("Sealpost{}", row.split('`').next().unwrap());
        assert!(alerts.iter().any(|(alert, _)| *alert == name), "there is no alert {name}");
    }
}

#[test]
fn every_alarm_of_the_infrastructure_has_its_place_in_the_runbook() {
    let (source, runbook) = (file("infra/lib/alarms.ts"), file("docs/OPERATIONS.md"));
    let made = source.split("this.alarm(\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let made: BTreeSet<&str> = made.collect();
    let (_, table) = runbook.split_once("has alarms of CloudWatch's:").unwrap();
    let rows = table.split("\n\n").nth(1).unwrap().lines().skip(2);
    let listed: BTreeSet<&str> = rows.map(|row| row.split('`').nth(1).unwrap()).collect();
    assert!(made.len() >= 5, "{made:?}");
    assert_eq!(made, listed);
}

#[tokio::test]
async fn the_dashboard_asks_for_what_there_is_and_shows_all_of_it() {
    let text = text().await;
    let dashboard: serde_json::Value =
        serde_json::from_str(&file("ops/grafana/sealpost.json")).unwrap();
    let (mut shown, mut ids) = (BTreeSet::new(), BTreeSet::new());
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        for target in panel["targets"].as_array().into_iter().flatten() {
            shown.extend(check(target["expr"].as_str().unwrap(), &text));
        }
    }
    let all: BTreeSet<&str> = FAMILIES.iter().map(|family| family.name).collect();
    assert_eq!(shown, all);
}

#[test]
fn what_is_no_metric_no_label_or_no_value_is_found() {
    let text = "\nsealpost_faults_total{dependency=\"queue\"} 0\n";
    let wrong = [
        "rate(sealpost_faultz_total[5m])",
        "sum by (reason) (rate(sealpost_faults_total[5m]))",
        "sealpost_faults_total{reason=\"queue\"}",
        "sealpost_faults_total{dependency=\"quue\"}",
        "sealpost_attempt_seconds > 1",
    ];
    for expression in wrong {
        let checked = std::panic::catch_unwind(|| check(expression, text));
        assert!(checked.is_err(), "{expression}");
    }
    assert_eq!(
        check("sum(rate(sealpost_faults_total{dependency=\"queue\"}[5m])) > 0.1", text).len(),
        1
    );
}

#[test]
fn the_documents_list_every_metric_and_no_other() {
    let documented = file("docs/OPERATIONS.md");
    for Family { name, labels, help, .. } in FAMILIES {
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        let row = format!("| `{name}` | {} | {help} |", labels.join(", "));
        assert!(documented.contains(&row), "docs/OPERATIONS.md lacks: {row}");
    }
    let rows = documented.lines().filter_map(|line| line.strip_prefix("| `sealpost_"));
    for row in rows {
        let name = format!("sealpost_{}", row.split('`').next().unwrap());
        assert!(named(&name).is_some(), "there is no metric {name}");
    }
}
