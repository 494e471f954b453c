//! Leaves an endpoint that fails alone, and finds out with one call at a time whether it works again.

use std::time::Duration;

use crate::domain::gate::Ask;
use crate::domain::limits::BreakerPolicy;
use crate::domain::parking::growing;
use crate::domain::timestamp::Timestamp;

/// Probes that have to go well, one after another, before the endpoint is called as usual.
pub const PROBES: u32 = 3;
/// The first wait of a job while the endpoint is left alone.
pub const ALONE: Duration = Duration::from_secs(15);
/// The first wait of a job while a probe is out.
const PROBING: Duration = Duration::from_secs(1);
/// The shortest share of a wait for a probe, the rest is random.
const LEAST: f64 = 0.75;

/// The breaker of one endpoint.
#[derive(Debug, Clone, Copy, Default)]
pub struct Breaker {
    state: State,
    /// How often it has opened since the endpoint last worked.
    openings: u32,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed(Recent),
    /// Until `probe_at` no call is made. The first job that asks is told to be the probe.
    Open {
        probe_at: Timestamp,
        is_told: bool,
    },
    HalfOpen {
        is_probing: bool,
        well: u32,
    },
}

impl Default for State {
    fn default() -> Self {
        Self::Closed(Recent::default())
    }
}

/// The last calls.
#[derive(Debug, Clone, Copy, Default)]
struct Recent {
    in_a_row: u32,
    /// One bit a call, the latest lowest; set if it failed.
    failed: u64,
    calls: u32,
}

/// What a job may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// Call.
    Free,
    /// Call to find out whether the endpoint works again; [`Breaker::probe`] says that it does so.
    Probe,
    /// Come back then.
    Wait(Timestamp),
}

/// What changed, for those who watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The endpoint is left alone; a probe is made then.
    Opened {
        /// When.
        probe_at: Timestamp,
    },
    /// A probe is made.
    HalfOpened,
    /// The endpoint is called as usual, gently at first.
    Closed,
}

impl Recent {
    fn push(&mut self, failed: bool) {
        self.in_a_row = if failed { self.in_a_row.saturating_add(1) } else { 0 };
        self.failed = self.failed << 1 | u64::from(failed);
        self.calls = (self.calls + 1).min(64);
    }

    fn is_enough(&self, policy: &BreakerPolicy) -> bool {
        let calls = policy.calls.clamp(1, 64);
        let failed = (self.failed & (u64::MAX >> (64 - calls))).count_ones();
        let too_many = self.calls >= calls && failed * 100 >= policy.percent * calls;
        self.in_a_row >= policy.failures || too_many
    }
}

impl Breaker {
    /// Whether the endpoint is left alone.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    /// Whether it is probed.
    pub fn is_half_open(&self) -> bool {
        matches!(self.state, State::HalfOpen { .. })
    }

    /// What the job may do now.
    pub fn ask(&mut self, policy: &BreakerPolicy, ask: &Ask) -> Pass {
        match &mut self.state {
            State::Closed(_) => Pass::Free,
            State::Open { probe_at, .. } if *probe_at <= ask.now => Pass::Probe,
            State::Open { probe_at, is_told } => {
                // Further away than it was ever set: the clock was set back.
                *probe_at = (*probe_at).min(ask.now.plus(policy.max_wait));
                if std::mem::replace(is_told, true) {
                    let wait = growing(ALONE, ask.waits, ask.chance);
                    return Pass::Wait(ask.now.plus(wait).max(*probe_at));
                }
                Pass::Wait(ask.back_at(*probe_at))
            }
            State::HalfOpen { is_probing: false, .. } => Pass::Probe,
            State::HalfOpen { is_probing: true, .. } => {
                Pass::Wait(ask.now.plus(growing(PROBING, ask.waits, ask.chance)))
            }
        }
    }

    /// The job that was told [`Pass::Probe`] makes its call.
    pub fn probe(&mut self) -> Option<Change> {
        match &mut self.state {
            State::Closed(_) => None,
            State::Open { .. } => {
                self.state = State::HalfOpen { is_probing: true, well: 0 };
                Some(Change::HalfOpened)
            }
            State::HalfOpen { is_probing, .. } => {
                *is_probing = true;
                None
            }
        }
    }

    /// The probe made no call after all: the next job may.
    pub fn gave_up_probe(&mut self) {
        if let State::HalfOpen { is_probing, .. } = &mut self.state {
            *is_probing = false;
        }
    }

    /// A call ended. Calls that were out when the breaker opened say nothing new.
    pub fn ended(
        &mut self,
        policy: &BreakerPolicy,
        is_probe: bool,
        failed: bool,
        now: Timestamp,
        chance: f64,
    ) -> Option<Change> {
        match &mut self.state {
            State::Closed(recent) => {
                recent.push(failed);
                recent.is_enough(policy).then(|| self.open(policy, now, chance))
            }
            State::HalfOpen { .. } if is_probe && failed => Some(self.open(policy, now, chance)),
            State::HalfOpen { is_probing, well } if is_probe => {
                (*is_probing, *well) = (false, *well + 1);
                let closes = *well >= PROBES;
                closes.then(|| {
                    *self = Self::default();
                    Change::Closed
                })
            }
            State::Open { .. } | State::HalfOpen { .. } => None,
        }
    }

    fn open(&mut self, policy: &BreakerPolicy, now: Timestamp, chance: f64) -> Change {
        let wait = policy.wait.saturating_mul(1 << self.openings.min(16)).min(policy.max_wait);
        let wait = wait.mul_f64(LEAST + (1.0 - LEAST) * chance.clamp(0.0, 1.0));
        let probe_at = now.plus(wait);
        self.openings = self.openings.saturating_add(1);
        self.state = State::Open { probe_at, is_told: false };
        Change::Opened { probe_at }
    }
}

#[cfg(test)]
#[path = "breaker_tests.rs"]
mod tests;
