//! What was accepted and what arrived.

use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;

use tokio::time::Instant;

use super::traffic::Kind;

/// One job.
struct Job {
    kind: Kind,
    made: Instant,
    /// `None` while it is not known whether the queue has it.
    is_accepted: bool,
    /// Calls that were answered with success, and when the first of them came.
    arrivals: u32,
    arrived: Option<Instant>,
}

/// All jobs, by number.
#[derive(Default)]
pub struct Ledger {
    jobs: Mutex<Vec<Job>>,
    limited: Mutex<Vec<Instant>>,
    refusals: Mutex<BTreeMap<String, usize>>,
}

/// What became of the jobs that were accepted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Balance {
    pub accepted: usize,
    pub delivered: usize,
    /// Dead letters of jobs that did not arrive.
    pub dead_lettered: usize,
    /// Of these, jobs for endpoints that work.
    pub wrongly_dead: usize,
    pub pending: usize,
    /// Deliveries after the first of the same job.
    pub duplicates: usize,
    /// Jobs of which nobody knows whether they were accepted, and which did not arrive.
    pub unknown: usize,
}

impl Balance {
    /// Accepted, and nowhere. What is pending may be a copy of what arrived, so this is the least.
    pub fn lost(&self) -> usize {
        self.accepted.saturating_sub(self.delivered + self.dead_lettered + self.pending)
    }
}

/// The id of a job.
pub fn id_of(number: usize) -> String {
    format!("soak-{number}")
}

fn number_of(id: &str) -> Option<usize> {
    id.strip_prefix("soak-")?.parse().ok()
}

impl Ledger {
    /// Enters jobs that are about to be sent; the number of the first.
    pub fn made(&self, kinds: &[Kind]) -> usize {
        let (mut jobs, made) = (self.jobs.lock().unwrap(), Instant::now());
        let first = jobs.len();
        jobs.extend(kinds.iter().map(|kind| Job {
            kind: *kind,
            made,
            is_accepted: false,
            arrivals: 0,
            arrived: None,
        }));
        first
    }

    /// The queue has so many jobs from `first` on.
    pub fn accepted(&self, first: usize, count: usize) {
        let mut jobs = self.jobs.lock().unwrap();
        jobs[first..first + count].iter_mut().for_each(|job| job.is_accepted = true);
    }

    /// The queue did not take a batch of jobs, or nobody knows whether it has.
    pub fn refused(&self, why: String) {
        *self.refusals.lock().unwrap().entry(why).or_default() += 1;
    }

    /// Why batches were refused, and how many.
    pub fn refusals(&self) -> BTreeMap<String, usize> {
        self.refusals.lock().unwrap().clone()
    }

    /// A call of a job was answered with success.
    pub fn arrived(&self, id: &str, is_limited: bool) {
        let (mut jobs, now) = (self.jobs.lock().unwrap(), Instant::now());
        if is_limited {
            self.limited.lock().unwrap().push(now);
        }
        if let Some(job) = number_of(id).and_then(|number| jobs.get_mut(number)) {
            job.arrivals += 1;
            job.arrived.get_or_insert(now);
        }
    }

    /// When the endpoint with a rate was called.
    pub fn limited_calls(&self) -> Vec<Instant> {
        self.limited.lock().unwrap().clone()
    }

    /// The balance, with the ids of the dead letters and what is left in the queue.
    pub fn balance(&self, dead: &HashSet<String>, pending: u64) -> Balance {
        let jobs = self.jobs.lock().unwrap();
        let mut balance =
            Balance { pending: usize::try_from(pending).unwrap(), ..Balance::default() };
        for (number, job) in jobs.iter().enumerate() {
            let (has_arrived, is_dead) = (job.arrivals > 0, dead.contains(&id_of(number)));
            if !job.is_accepted {
                balance.unknown += usize::from(!has_arrived && !is_dead);
                continue;
            }
            balance.accepted += 1;
            balance.delivered += usize::from(has_arrived);
            balance.duplicates += job.arrivals.saturating_sub(1) as usize;
            if is_dead && !has_arrived {
                balance.dead_lettered += 1;
                balance.wrongly_dead += usize::from(job.kind.works());
            }
        }
        balance
    }

    /// From the making of a job for a healthy endpoint to its arrival, in ms, sorted.
    pub fn healthy_latencies(&self) -> Vec<u64> {
        let jobs = self.jobs.lock().unwrap();
        let healthy = jobs.iter().filter(|job| matches!(job.kind, Kind::Healthy(_)));
        let took = healthy.filter_map(|job| Some(job.arrived?.duration_since(job.made)));
        let mut sorted: Vec<u64> =
            took.map(|took| u64::try_from(took.as_millis()).unwrap()).collect();
        sorted.sort_unstable();
        sorted
    }
}
