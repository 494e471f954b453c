//! A strict reader of Prometheus's text format, version 0.0.4: what it takes, Prometheus takes.

#![allow(dead_code, reason = "each suite uses its part")]

use std::collections::{BTreeMap, BTreeSet};

use sealpost::telemetry::metrics::Kind;
use sealpost::telemetry::metrics::family::named;

/// The samples of a text, by name and labels as they are written.
#[derive(Debug)]
pub struct Samples(BTreeMap<String, f64>);

impl Samples {
    /// The value of a sample, as in `sealpost_deliveries_total{outcome="delivered"}`.
    pub fn of(&self, series: &str) -> f64 {
        *self.0.get(series).unwrap_or_else(|| panic!("there is no {series} in {self:#?}"))
    }

    pub fn has(&self, series: &str) -> bool {
        self.0.contains_key(series)
    }

    /// All samples whose name begins so, together.
    pub fn sum(&self, beginning: &str) -> f64 {
        self.0.iter().filter(|(series, _)| series.starts_with(beginning)).map(|(_, v)| v).sum()
    }

    /// The names of the families that are there.
    pub fn names(&self) -> BTreeSet<&str> {
        self.0.keys().map(|series| series.split('{').next().unwrap()).collect()
    }
}

/// Reads a text; fails where Prometheus, or what we promise of it, would be broken.
pub fn read(text: &str) -> Samples {
    assert!(text.ends_with('\n'), "the last line has no end");
    let (mut samples, mut seen) = (BTreeMap::new(), BTreeSet::new());
    let mut lines = text.lines().peekable();
    while let Some(help) = lines.next() {
        let (name, words) = help
            .strip_prefix("# HELP ")
            .unwrap_or_else(|| panic!("{help:?}"))
            .split_once(' ')
            .unwrap();
        let family = named(name).unwrap_or_else(|| panic!("{name} is in no list"));
        assert_eq!(words, family.help);
        assert!(seen.insert(name), "{name} is there twice");
        assert!(is_name(name), "{name}");
        let kind = lines.next().unwrap();
        assert_eq!(kind, format!("# TYPE {name} {}", family.kind.word()));
        assert_eq!(family.kind == Kind::Counter, name.ends_with("_total"), "{name}");
        let mut own = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
            let (suffix, labels, value) = sample(line, name);
            let names: Vec<&str> = labels.iter().map(|(name, _)| name.as_str()).collect();
            let expected = family.labels.iter().copied();
            match (family.kind, suffix) {
                (Kind::Histogram, "_bucket") => {
                    assert_eq!(names, expected.chain(["le"]).collect::<Vec<_>>(), "{line}");
                }
                (Kind::Histogram, "_sum" | "_count") | (Kind::Counter | Kind::Gauge, "") => {
                    assert_eq!(names, expected.collect::<Vec<_>>(), "{line}");
                }
                _ => panic!("{line:?} is no sample of a {}", family.kind.word()),
            }
            assert!(value >= 0.0 && value.is_finite(), "{line}");
            let series = line.rsplit_once(' ').unwrap().0.to_owned();
            assert!(samples.insert(series, value).is_none(), "{line} is there twice");
            own.push((suffix.to_owned(), labels, value));
        }
        if family.kind == Kind::Histogram {
            check_histogram(name, &own);
        }
    }
    Samples(samples)
}

fn is_name(name: &str) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    name.starts_with(first) && name.chars().all(|c| first(c) || c.is_ascii_digit())
}

type Labels = Vec<(String, String)>;

/// The suffix of a sample's name, its labels and its value.
fn sample<'l>(line: &'l str, name: &str) -> (&'l str, Labels, f64) {
    let rest = line.strip_prefix(name).unwrap_or_else(|| panic!("{line:?} is none of {name}"));
    let (series, value) = rest.rsplit_once(' ').unwrap();
    let value = value.parse().unwrap_or_else(|e| panic!("{line}: {e}"));
    let Some((suffix, labels)) = series.split_once('{') else { return (series, Vec::new(), value) };
    let mut labels = labels.strip_suffix('}').unwrap_or_else(|| panic!("{line}"));
    let mut found = Vec::new();
    while !labels.is_empty() {
        let (label, rest) = labels.split_once("=\"").unwrap();
        assert!(is_name(label) && !label.contains(':'), "{line}");
        let end = end_of_value(rest).unwrap_or_else(|| panic!("{line}"));
        found.push((label.to_owned(), rest[..end].to_owned()));
        labels = rest[end + 1..].strip_prefix(',').unwrap_or(&rest[end + 1..]);
    }
    (suffix, found, value)
}

/// Where the quote stands that ends a value.
fn end_of_value(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (index, c) in text.char_indices() {
        match (escaped, c) {
            (true, '\\' | '"' | 'n') => escaped = false,
            (true, _) => return None,
            (false, '\\') => escaped = true,
            (false, '"') => return Some(index),
            (false, _) => {}
        }
    }
    None
}

/// The buckets of one histogram, its sum and its count.
type Series = (Vec<(f64, f64)>, Option<f64>, Option<f64>);

fn check_histogram(name: &str, samples: &[(String, Labels, f64)]) {
    let mut by_labels: BTreeMap<Labels, Series> = BTreeMap::new();
    for (suffix, labels, value) in samples {
        let mut labels = labels.clone();
        let bound = (suffix == "_bucket").then(|| labels.pop().unwrap().1);
        let (buckets, sum, count) = by_labels.entry(labels).or_default();
        match (bound, suffix.as_str()) {
            (Some(bound), _) => {
                let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().unwrap() };
                buckets.push((bound, *value));
            }
            (None, "_sum") => *sum = Some(*value),
            (None, _) => *count = Some(*value),
        }
    }
    for (labels, (buckets, sum, count)) in by_labels {
        assert!(sum.is_some(), "{name} {labels:?} has no sum");
        let grows = |pair: &[(f64, f64)]| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1;
        assert!(buckets.windows(2).all(grows), "{name} {labels:?}: {buckets:?}");
        let (bound, all) = *buckets.last().unwrap();
        assert!(bound == f64::INFINITY && Some(all) == count, "{name} {labels:?}: {buckets:?}");
    }
}
