//! A summary as a table: for people who wait for it, or in Markdown for `docs/PERFORMANCE.md`.

use std::path::Path;

use anyhow::Context;
use comfy_table::{Table, presets};
use serde_json::Value;

/// Prints a summary.
pub fn print(summary: &Value) {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(HEADER);
    for row in rows(summary) {
        table.add_row(row);
    }
    println!("{table}\n{}", measured(summary));
}

/// Prints a summary that was written, in Markdown.
pub fn print_markdown(path: &Path) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let summary = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    println!("{}\n\n| {} |", measured(&summary), HEADER.join(" | "));
    println!("|{}", "---|".repeat(HEADER.len()));
    for row in rows(&summary) {
        println!("| {} |", row.join(" | "));
    }
    Ok(())
}

const HEADER: [&str; 7] = ["", "median", "min to max", "runs", "x bare sender", "mark", "holds"];

fn rows(summary: &Value) -> Vec<[String; HEADER.len()]> {
    summary["figures"].as_array().map_or(&[][..], Vec::as_slice).iter().map(row).collect()
}

fn row(figure: &Value) -> [String; HEADER.len()] {
    let unit = figure["unit"].as_str().unwrap_or_default();
    let marks = figure["marks"].as_array().map_or(&[][..], Vec::as_slice);
    let each = |field: &str| {
        let text = |mark: &Value| match &mark[field] {
            Value::Bool(true) => "yes".to_owned(),
            Value::Bool(false) => "NO".to_owned(),
            other => other.as_str().unwrap_or_default().to_owned(),
        };
        marks.iter().map(text).collect::<Vec<_>>().join("; ")
    };
    let ratio = &figure["times_bare_sender"]["median"];
    [
        figure["figure"].as_str().unwrap_or_default().to_owned(),
        format!("{} {unit}", number(&figure["median"])),
        format!("{} to {}", number(&figure["min"]), number(&figure["max"])),
        figure["runs"].to_string(),
        if ratio.is_null() { String::new() } else { number(ratio) },
        each("mark"),
        each("holds"),
    ]
}

/// About three digits.
fn number(value: &Value) -> String {
    let value = value.as_f64().unwrap_or_default();
    match value.abs() {
        0.0 => "0".to_owned(),
        0.0..0.01 => format!("{value:.5}"),
        0.01..1.0 => format!("{value:.3}"),
        1.0..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

fn measured(summary: &Value) -> String {
    let facts = &summary["measured"];
    let load = |when: &str| facts[when][0].as_f64().unwrap_or_default();
    format!(
        "Commit {}{}, {}, {} cores, load average {:.1} at the beginning and {:.1} at the end.",
        facts["commit"].as_str().unwrap_or("unknown").get(..12).unwrap_or("unknown"),
        if facts["uncommitted_changes"] == true { " with changes" } else { "" },
        facts["date"].as_str().unwrap_or_default(),
        facts["cores"],
        load("load_at_begin"),
        load("load_at_end"),
    )
}
