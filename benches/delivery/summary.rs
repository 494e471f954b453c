//! What was measured: runs of figures, as JSON with the marks beside them.

use std::path::Path;

use anyhow::Context;
use serde_json::{Value, json};

use crate::{machine, marks};

/// A figure: one value, and perhaps one ratio to the bare sender, of each run.
struct Figure {
    key: String,
    unit: &'static str,
    values: Vec<f64>,
    ratios: Vec<f64>,
}

/// The figures, in the order in which they came.
#[derive(Default)]
pub struct Summary(Vec<Figure>);

impl Summary {
    /// Adds what one run measured, and its ratio to what the bare sender did in the same run.
    pub fn add(&mut self, key: &str, unit: &'static str, value: f64, bare: Option<f64>) {
        let known = self.0.iter().position(|figure| figure.key == key).unwrap_or_else(|| {
            let (key, values, ratios) = (key.to_owned(), Vec::new(), Vec::new());
            self.0.push(Figure { key, unit, values, ratios });
            self.0.len() - 1
        });
        let figure = &mut self.0[known];
        figure.values.push(value);
        figure.ratios.extend(bare.map(|bare| value / bare));
    }

    /// The figures and what they were measured on; `load` is the load average at the beginning.
    pub fn json(&self, load: &[f64]) -> Value {
        let fsync = self.0.iter().find(|figure| figure.key == "fsync");
        let fsync_ms = fsync.map_or(0.0, |figure| spread(&figure.values).1);
        let figures: Vec<Value> = self.0.iter().map(|figure| figure.json(fsync_ms)).collect();
        json!({"measured": machine::facts(load), "figures": figures})
    }
}

impl Figure {
    fn json(&self, fsync_ms: f64) -> Value {
        let (min, median, max) = spread(&self.values);
        let ratio = (!self.ratios.is_empty()).then(|| spread(&self.ratios));
        let mut shown = json!({"figure": self.key, "unit": self.unit, "runs": self.values.len(),
                               "min": round(min), "median": round(median), "max": round(max)});
        if let Some((min, median, max)) = ratio {
            shown["times_bare_sender"] =
                json!({"min": round(min), "median": round(median), "max": round(max)});
        }
        let marks: Vec<Value> = marks::of(&self.key, fsync_ms)
            .into_iter()
            .map(|mark| mark.json(median, ratio.map(|(_, median, _)| median)))
            .collect();
        if !marks.is_empty() {
            shown["marks"] = marks.into();
        }
        shown
    }
}

/// Four digits that say something.
fn round(value: f64) -> f64 {
    if value == 0.0 {
        return 0.0;
    }
    let digits = 10_f64.powf(3.0 - value.abs().log10().floor());
    (value * digits).round() / digits
}

/// Writes a summary.
pub fn write(summary: &Value, path: &Path) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let text = serde_json::to_string_pretty(summary)? + "\n";
    std::fs::write(path, text).with_context(|| path.display().to_string())?;
    println!("{}", path.display());
    Ok(())
}

/// Smallest, median and largest of at least one value.
pub fn spread(values: &[f64]) -> (f64, f64, f64) {
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
