//! A backlog before limiters, played through without a clock.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::super::*;
use super::{LATEST, SECOND, START};
use crate::domain::gate::Turn;

/// A queue of jobs before the limiters of one worker or more, and an endpoint behind them.
pub struct Simulation {
    pub workers: Vec<Limiter>,
    /// Of those that share a rate.
    account: Duration,
    pub leases: usize,
    pub limits: Limits,
    pub now: Timestamp,
    /// What happens when: the number of the job, and the leave that ends.
    events: BinaryHeap<Reverse<(Timestamp, u32, usize, bool)>>,
    leaves: Vec<Option<(usize, Leave)>>,
    waits: Vec<u32>,
    pub parks: Vec<u32>,
    pub calls: Vec<Timestamp>,
    pub done: Vec<usize>,
    pub most_at_once: u32,
    /// Times are rounded up to whole seconds, as those of SQS are.
    pub whole_seconds: bool,
    dice: u64,
}

impl Simulation {
    pub fn new(limits: Limits, jobs: usize) -> Self {
        let events = (0..jobs).map(|job| Reverse((START, 0, job, false))).collect();
        let (calls, done) = (Vec::new(), Vec::new());
        Self {
            workers: vec![Limiter::default()],
            account: Duration::ZERO,
            leases: 0,
            limits,
            now: START,
            events,
            leaves: vec![None; jobs],
            waits: vec![0; jobs],
            parks: vec![0; jobs],
            calls,
            done,
            most_at_once: 0,
            whole_seconds: false,
            dice: 7,
        }
    }

    /// With workers that share the rate, and jobs that come one after another in `span`; each comes to
    /// one of the workers, whichever it is.
    pub fn of_many(limits: Limits, jobs: usize, workers: usize, span: Duration) -> Self {
        let at = |job: usize| START.plus(span.mul_f64(job as f64 / jobs as f64));
        let events = (0..jobs).map(|job| Reverse((at(job), 0, job, false))).collect();
        let workers = vec![Limiter::of_many(); workers];
        Self { workers, events, ..Self::new(limits, jobs) }
    }

    fn chance(&mut self) -> f64 {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.dice >> 33) as f64 / (1u64 << 31) as f64
    }

    /// Runs until `end`, or until nothing is left. `endpoint` says how long a call takes and what
    /// comes of it.
    pub fn run(&mut self, end: Timestamp, mut endpoint: impl FnMut(f64) -> (Duration, Verdict)) {
        while let Some(Reverse((at, order, job, ends))) = self.events.pop() {
            self.now = at.max(self.now);
            if self.now > end {
                return self.events.push(Reverse((at, order, job, ends)));
            }
            let chance = self.chance();
            if ends {
                let (took, verdict) = endpoint(chance);
                self.finish(job, took, verdict, chance);
                continue;
            }
            let ask = Ask {
                now: self.now,
                latest: LATEST,
                waits: self.waits[job],
                turn: Turn::Over,
                chance,
            };
            let worker = match self.workers.len() {
                1 => 0,
                many => (self.chance() * many as f64) as usize,
            };
            match self.ask(worker, &ask) {
                Ok(leave) => {
                    assert!(leave.at.since(self.now) <= SECOND);
                    self.calls.push(leave.at);
                    self.leaves[job] = Some((worker, leave));
                    self.most_at_once = self.most_at_once.max(self.workers[worker].gate.held());
                    let (took, _) = endpoint(chance);
                    self.events.push(Reverse((leave.at.plus(took), 0, job, true)));
                }
                Err(Refusal::Until(until, _)) => self.park(job, until),
                Err(Refusal::Soon) => unreachable!("nobody waits beside the gate"),
                Err(Refusal::Lease(_)) => unreachable!("it was just answered"),
            }
        }
    }

    fn ask(&mut self, worker: usize, ask: &Ask) -> Result<Leave, Refusal> {
        let limiter = &mut self.workers[worker];
        let asked = limiter.ask(1, &self.limits, ask);
        let Err(Refusal::Lease(request)) = asked else { return asked };
        self.leases += 1;
        let answer = request.carry_out(&mut self.account);
        limiter.leased(&request, Some(&answer), ask.now, ask.chance);
        limiter.ask(1, &self.limits, ask)
    }

    fn park(&mut self, job: usize, until: Timestamp) {
        assert!(until > self.now);
        self.waits[job] += 1;
        self.parks[job] += 1;
        self.come_back(job, until);
    }

    fn come_back(&mut self, job: usize, until: Timestamp) {
        let wait = until.since(self.now).as_millis() as u64;
        let wait = if self.whole_seconds { wait.div_ceil(1000) * 1000 } else { wait };
        let order = self.chance() * f64::from(u32::MAX);
        self.events.push(Reverse((
            self.now.plus(Duration::from_millis(wait)),
            order as u32,
            job,
            false,
        )));
    }

    fn finish(&mut self, job: usize, took: Duration, verdict: Verdict, chance: f64) {
        let (worker, leave) = self.leaves[job].take().unwrap();
        let ended = Ended { now: self.now, took, verdict, chance };
        self.workers[worker].ended(&self.limits, &leave, &ended);
        self.workers[worker].leave(&self.limits, &leave, Used::Ended);
        self.waits[job] = 0;
        match verdict {
            Verdict::Works => self.done.push(job),
            // The retry policy's wait, as it is after a few attempts.
            Verdict::Fails | Verdict::TooMuch => self.come_back(job, self.now.plus(SECOND * 3600)),
        }
    }

    pub fn mean_parks(&self) -> f64 {
        self.parks.iter().map(|parks| f64::from(*parks)).sum::<f64>() / self.parks.len() as f64
    }
}
