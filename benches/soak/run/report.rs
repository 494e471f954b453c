//! What a soak says in the end, and what of it is wrong.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::form::Form;
use super::ledger::Balance;
use super::traffic::RATE;

/// Memory says something after so long only.
const LONG_ENOUGH: Duration = Duration::from_secs(120);
/// By how much it may grow.
const GROWTH: f64 = 1.1;
/// From which part of the time on it is watched: after the last kill of an only worker, and the
/// filling of its caches.
const WATCHED: f64 = 0.75;

/// What a form did.
pub struct Report {
    pub form: &'static str,
    pub balance: Balance,
    /// Why batches of jobs were refused, and how many.
    pub refusals: BTreeMap<String, usize>,
    /// From the making of a job for a healthy endpoint to its arrival, in ms, sorted.
    pub latencies: Vec<u64>,
    /// Most calls of the endpoint with a rate in ten seconds.
    pub in_ten_seconds: usize,
    pub kills: usize,
    pub other_faults: usize,
    /// Deliveries in hand at once, of each worker.
    pub concurrency: usize,
    /// Resident memory of a worker, in KiB, when it began to be watched and at the end; `None` of a
    /// soak that was too short.
    pub memory: Option<(u64, u64)>,
}

impl Report {
    /// What must not be.
    pub fn problems(&self) -> Vec<String> {
        let (mut problems, balance) = (Vec::new(), self.balance);
        if balance.lost() > 0 {
            problems.push(format!("{} jobs were lost", balance.lost()));
        }
        if balance.pending > 0 {
            problems.push(format!("{} messages are still in the queue", balance.pending));
        }
        if balance.wrongly_dead > 0 {
            let given_up = balance.wrongly_dead;
            problems.push(format!("{given_up} jobs of endpoints that work were given up"));
        }
        // A kill, or a standstill, may repeat what was in hand.
        let most = (self.kills + self.other_faults) * self.concurrency;
        if balance.duplicates > most {
            problems.push(format!("{} duplicates, more than {most}", balance.duplicates));
        }
        if let Some((begin, end)) = self.memory.filter(|(a, b)| *b as f64 > *a as f64 * GROWTH) {
            problems.push(format!("memory grew from {begin} to {end} KiB"));
        }
        problems
    }

    fn latency(&self, part: f64) -> u64 {
        let index = (self.latencies.len() as f64 * part).ceil() as usize;
        self.latencies.get(index.max(1) - 1).copied().unwrap_or(0)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { balance, .. } = self;
        writeln!(f, "{}: {} kills, {} other faults", self.form, self.kills, self.other_faults)?;
        writeln!(
            f,
            "  {} accepted = {} delivered + {} dead-lettered + {} pending; lost: {}",
            balance.accepted,
            balance.delivered,
            balance.dead_lettered,
            balance.pending,
            balance.lost()
        )?;
        writeln!(f, "  {} duplicates, {} never accepted", balance.duplicates, balance.unknown)?;
        for (why, count) in &self.refusals {
            writeln!(f, "  {count} batches refused: {why}")?;
        }
        writeln!(
            f,
            "  healthy endpoints: half within {} ms, 99 of 100 within {} ms, all within {} ms",
            self.latency(0.5),
            self.latency(0.99),
            self.latency(1.0)
        )?;
        write!(f, "  rate of {RATE}/s: {} calls in ten seconds at most", self.in_ten_seconds)?;
        match self.memory {
            Some((begin, end)) => {
                write!(f, "\n  memory: {:.1} MiB, in the end {:.1} MiB", mib(begin), mib(end))
            }
            None => Ok(()),
        }
    }
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

/// Memory over time.
#[derive(Debug, Default)]
pub struct Memory {
    begin: Option<u64>,
    end: u64,
}

impl Memory {
    /// Reads it, when `part` of the time is over.
    pub fn read(&mut self, form: &Form, part: f64) {
        if part >= WATCHED {
            let now = form.resident();
            self.begin.get_or_insert(now);
            self.end = now;
        }
    }

    /// When it began to be watched, and at the end.
    pub fn of(&self, span: Duration) -> Option<(u64, u64)> {
        Some((self.begin?, self.end)).filter(|_| span >= LONG_ENOUGH)
    }
}

/// The most of `calls` in ten seconds; they are in order.
pub fn most_in_ten_seconds(calls: &[Instant]) -> usize {
    let (mut most, mut first) = (0, 0);
    for (last, at) in calls.iter().enumerate() {
        while at.duration_since(calls[first]) > Duration::from_secs(10) {
            first += 1;
        }
        most = most.max(last + 1 - first);
    }
    most
}
