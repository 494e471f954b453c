//! What was measured: a table for people, a file for machines.

use std::collections::BTreeMap;
use std::path::Path;

use comfy_table::{Table, presets};
use serde_json::{Value, json};

/// The measurements by name.
#[derive(Default)]
pub struct Summary(BTreeMap<&'static str, Vec<f64>>);

impl Summary {
    /// Adds what one run measured.
    pub fn add(&mut self, key: &'static str, value: f64) {
        self.0.entry(key).or_default().push(value);
    }

    /// Prints a table, and each processor time as a ratio to the bare sender's.
    pub fn print(&self) {
        let mut table = Table::new();
        table.load_preset(presets::UTF8_HORIZONTAL_ONLY);
        table.set_header(["", "min", "median", "max", "runs"]);
        for (key, values) in &self.0 {
            let (min, median, max) = spread(values);
            let text = |value: f64| match value {
                small if small < 1.0 => format!("{small:.4}"),
                large => format!("{large:.1}"),
            };
            let runs = values.len().to_string();
            table.add_row([(*key).to_owned(), text(min), text(median), text(max), runs]);
        }
        println!("{table}");
        let median = |key: &str| self.0.get(key).map(|values| spread(values).1);
        let Some(bare) = median("bare_sender.cpu_us_per_request") else { return };
        for form in ["embedded", "aws"] {
            let key = format!("{form}.cpu_us_per_delivery");
            if let Some(ours) = median(&key) {
                println!("A delivery ({form}) costs {:.1} bare requests.", ours / bare);
            }
        }
    }

    /// Writes the summary as JSON.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let entry = |(key, values): (&&'static str, &Vec<f64>)| {
            let (min, median, max) = spread(values);
            let round = |value: f64| (value * 10_000.0).round() / 10_000.0;
            let shown = json!({"min": round(min), "median": round(median), "max": round(max),
                               "runs": values.len()});
            ((*key).to_owned(), shown)
        };
        let all: serde_json::Map<String, Value> = self.0.iter().map(entry).collect();
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, serde_json::to_string_pretty(&all)? + "\n")?;
        println!("{}", path.display());
        Ok(())
    }
}

/// Smallest, median and largest of at least one value.
fn spread(values: &[f64]) -> (f64, f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let median = if sorted.len().is_multiple_of(2) {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    } else {
        sorted[middle]
    };
    (sorted[0], median, sorted[sorted.len() - 1])
}
