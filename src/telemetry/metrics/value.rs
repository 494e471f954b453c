//! Counters and histograms: raised without a lock and without memory.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::label::Label;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn one(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// The number now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A counter for each value of a label.
#[derive(Debug)]
pub struct PerLabel<L> {
    counters: Box<[Counter]>,
    label: PhantomData<L>,
}

impl<L: Label> Default for PerLabel<L> {
    fn default() -> Self {
        let counters = L::ALL.iter().map(|_| Counter::default()).collect();
        Self { counters, label: PhantomData }
    }
}

impl<L: Label> PerLabel<L> {
    /// The counter of `label`.
    pub fn of(&self, label: L) -> &Counter {
        &self.counters[label.index()]
    }

    /// All counters together.
    pub fn sum(&self) -> u64 {
        self.counters.iter().map(Counter::get).sum()
    }
}

/// How often something took how long.
#[derive(Debug)]
pub struct Histogram {
    /// In seconds, growing.
    bounds: &'static [f64],
    /// How many were within each bound and above the one before, and last how many above all.
    counts: Box<[Counter]>,
    micros: Counter,
}

impl Histogram {
    /// For calls to endpoints: milliseconds to the longest timeout.
    pub const CALL: &[f64] =
        &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0];
    /// For deliveries: milliseconds to the days of a late retry.
    pub const DELIVERY: &[f64] = &[
        0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 21_600.0,
        86_400.0, 259_200.0,
    ];
    /// For requests to the API and calls of AWS.
    pub const REQUEST: &[f64] =
        &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 30.0];

    /// An empty one with these bounds.
    pub fn new(bounds: &'static [f64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| Counter::default()).collect();
        Self { bounds, counts, micros: Counter::default() }
    }

    /// Something took so long.
    pub fn observe(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        self.counts[self.bounds.partition_point(|bound| *bound < seconds)].one();
        self.micros.add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    /// How many were within each bound, those below it included; last those within infinity.
    pub fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        bounds.zip(&self.counts).scan(0, |sum, (bound, count)| {
            *sum += count.get();
            Some((bound, *sum))
        })
    }

    /// All together, in seconds.
    pub fn seconds(&self) -> f64 {
        Duration::from_micros(self.micros.get()).as_secs_f64()
    }

    /// Whether there was none.
    pub fn is_empty(&self) -> bool {
        self.counts.iter().all(|count| count.get() == 0)
    }
}
