//! The text that Prometheus reads: its exposition format, version 0.0.4.

use std::fmt::{self, Write as _};

use super::family::{Family, Kind};
use super::label::Label;
use super::value::{Histogram, PerLabel};

/// What the text is sent as.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A text in the making, one family after another.
#[derive(Debug, Default)]
pub struct Exposition(String);

/// The samples of one family.
pub struct Samples<'t> {
    text: &'t mut String,
    family: &'static Family,
}

impl Exposition {
    /// Begins a family. Each is begun once.
    pub fn family(&mut self, family: &'static Family) -> Samples<'_> {
        let Family { name, help, kind, .. } = family;
        let help = help.replace('\\', r"\\").replace('\n', r"\n");
        self.write(format_args!("# HELP {name} {help}\n# TYPE {name} {}\n", kind.word()));
        Samples { text: &mut self.0, family }
    }

    /// A family of one sample without labels.
    pub fn value(&mut self, family: &'static Family, value: f64) {
        self.family(family).add(&[], value);
    }

    /// The same of whole numbers.
    pub fn count(&mut self, family: &'static Family, value: u64) {
        self.family(family).add(&[], value as f64);
    }

    /// A family with a sample for each value of its label.
    pub fn per_label<L: Label>(&mut self, family: &'static Family, counters: &PerLabel<L>) {
        let mut samples = self.family(family);
        for label in L::ALL {
            samples.add(&[label.value()], counters.of(*label).get() as f64);
        }
    }

    /// The text.
    pub fn finish(self) -> String {
        self.0
    }

    fn write(&mut self, text: fmt::Arguments<'_>) {
        // Writing into memory does not fail.
        let _ = self.0.write_fmt(text);
    }
}

impl Samples<'_> {
    /// A sample with the values of the family's labels, in their order.
    pub fn add(&mut self, labels: &[&str], value: f64) {
        self.line("", labels, None, value);
    }

    /// A histogram with the values of the family's labels.
    pub fn histogram(&mut self, labels: &[&str], histogram: &Histogram) {
        debug_assert_eq!(self.family.kind, Kind::Histogram, "{}", self.family.name);
        let mut count = 0;
        for (bound, cumulative) in histogram.cumulative() {
            count = cumulative;
            self.line("_bucket", labels, Some(bound), cumulative as f64);
        }
        self.line("_sum", labels, None, histogram.seconds());
        self.line("_count", labels, None, count as f64);
    }

    fn line(&mut self, suffix: &str, labels: &[&str], bound: Option<f64>, value: f64) {
        let Family { name, labels: names, .. } = self.family;
        debug_assert_eq!(names.len(), labels.len(), "the labels of {name}");
        self.text.push_str(name);
        self.text.push_str(suffix);
        let mut open = '{';
        for (label, value) in names.iter().zip(labels) {
            let value = value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
            let _ = write!(self.text, "{open}{label}=\"{value}\"");
            open = ',';
        }
        if let Some(bound) = bound {
            let _ = write!(self.text, "{open}le=\"{}\"", Number(bound));
            open = ',';
        }
        if open == ',' {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {}", Number(value));
    }
}

/// A number as Prometheus writes it.
struct Number(f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == f64::INFINITY { f.write_str("+Inf") } else { write!(f, "{}", self.0) }
    }
}
