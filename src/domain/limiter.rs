//! All limits of one endpoint together: whether a job may call it now, or when it should come back.

use std::time::Duration;

use crate::domain::adaptive::Adaptive;
use crate::domain::breaker::{Breaker, Change, Pass};
use crate::domain::bucket::LONGEST_PATIENCE;
use crate::domain::gate::{Ask, Gate, Later};
use crate::domain::leased::{Leased, Missing};
use crate::domain::limits::{Limits, Rate};
use crate::domain::outcome::{AttemptOutcome, Phase};
use crate::domain::parking::Line;
use crate::domain::rate_lease::{LeaseAnswer, LeaseRequest};
use crate::domain::timestamp::Timestamp;
use crate::domain::tokens::Tokens;
use crate::domain::wait::Wait;

/// An endpoint that has answered nothing for so long, and for four times what it usually takes, is
/// given no more than [`FEW`] calls at once.
const QUIET: Duration = Duration::from_secs(1);
const FEW: u32 = 4;
/// A call that takes twice the usual time, and more than this, went well, but no better than before.
const PROMPT: Duration = Duration::from_millis(50);

/// What a call says about how much the endpoint bears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It answers; what it answers is about the job.
    Works,
    /// It fails, for whatever reason.
    Fails,
    /// It fails, and shows that it has too much to do.
    TooMuch,
}

impl Verdict {
    /// What an outcome says. Only what the endpoint does comes here: a fault of ours is no outcome.
    pub fn of(outcome: &AttemptOutcome) -> Self {
        match outcome {
            AttemptOutcome::Answered { status: 429 | 503, .. } => Self::TooMuch,
            AttemptOutcome::Answered { status: 500..=599, .. } => Self::Fails,
            AttemptOutcome::Answered { .. } => Self::Works,
            AttemptOutcome::Failed { phase } => match phase {
                Phase::Connect
                | Phase::ConnectTimeout
                | Phase::TlsTimeout
                | Phase::ResponseTimeout => Self::TooMuch,
                Phase::Dns
                | Phase::Blocked
                | Phase::Tls
                | Phase::BeforeWrite
                | Phase::AfterWrite
                | Phase::Response => Self::Fails,
            },
        }
    }
}

/// Leave to make one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leave {
    /// Not before then: up to [`LONGEST_PATIENCE`] from now.
    pub at: Timestamp,
    /// Whether the call finds out if the endpoint works again.
    pub is_probe: bool,
    /// Whether a token was taken for it.
    has_token: bool,
    /// Whether there is room for one of those who wait beside the gate.
    pub has_room: bool,
    /// What changed for those who watch.
    pub change: Option<Change>,
}

/// No leave now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Wait beside the gate, between [`Limiter::wait`] and [`Limiter::stop_waiting`].
    Soon,
    /// Carry this out, tell [`Limiter::leased`], and ask again.
    Lease(LeaseRequest),
    /// Come back then, because this limit is reached.
    Until(Timestamp, Wait),
}

/// What became of a leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Used {
    /// No call was made.
    Not,
    /// A call was begun, and nobody knows how it ended.
    CutShort,
    /// [`Limiter::ended`] was told how the call ended.
    Ended,
}

/// How a call ended.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    /// When.
    pub now: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// What it says.
    pub verdict: Verdict,
    /// A random number in `0.0..1.0`.
    pub chance: f64,
}

/// The limits of one endpoint, as far as they are used.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limiter {
    version: u64,
    gate: Gate,
    adaptive: Adaptive,
    breaker: Breaker,
    tokens: Tokens,
    first_time: Line,
    again: Line,
    paused_until: Timestamp,
}

impl Limiter {
    /// Of a worker among others, which share the rate: tokens are leased.
    pub fn of_many() -> Self {
        Self { tokens: Tokens::Leased(Leased::default()), ..Self::default() }
    }

    /// Asks for leave to call the endpoint in this version of its configuration. A new version
    /// forgets what was learnt of the old one, but not which calls are out or which tokens are used.
    pub fn ask(&mut self, version: u64, limits: &Limits, ask: &Ask) -> Result<Leave, Refusal> {
        if self.version != version {
            (self.version, self.breaker) = (version, Breaker::default());
            self.adaptive =
                if limits.adaptive { Adaptive::default() } else { Adaptive::unbounded() };
            self.gate.forget();
            self.tokens.forget();
        }
        let pass =
            limits.breaker.as_ref().map_or(Pass::Free, |policy| self.breaker.ask(policy, ask));
        let is_probe = match pass {
            Pass::Free => false,
            Pass::Probe => true,
            Pass::Wait(until) => return Err(Refusal::Until(until, Wait::EndpointLeftAlone)),
        };
        let places = self.places(limits, ask.now);
        if !is_probe {
            self.gate.admit(ask, places).map_err(|later| match later {
                Later::Soon => Refusal::Soon,
                Later::At(until) => Refusal::Until(until, Wait::ConcurrencyLimit),
            })?;
        }
        let at = match &limits.rate {
            Some(rate) => self.token(rate, ask)?,
            None => ask.now,
        };
        self.gate.enter(ask.now);
        let change = if is_probe { self.breaker.probe() } else { None };
        let has_room = self.gate.is_waited_for() && self.gate.held() < places;
        Ok(Leave { at, is_probe, has_token: limits.rate.is_some(), has_room, change })
    }

    /// The endpoint's breaker.
    pub fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    /// One more waits beside the gate.
    pub fn wait(&mut self) {
        self.gate.wait();
    }

    /// One waits no longer.
    pub fn stop_waiting(&mut self) {
        self.gate.stop_waiting();
    }

    /// How many calls at once it bears now.
    fn places(&self, limits: &Limits, now: Timestamp) -> u32 {
        let places = self.adaptive.allowed(limits.concurrency);
        if limits.adaptive && self.gate.is_quiet(now, QUIET) { places.min(FEW) } else { places }
    }

    /// A token, for those who come for the first time only if nobody waits for one. Those who come
    /// at the time that they were told are given one that is there very soon: queues that count in
    /// whole seconds bring many of them at once.
    fn token(&mut self, rate: &Rate, ask: &Ask) -> Result<Timestamp, Refusal> {
        let is_first = ask.waits == 0;
        let taken = if is_first && self.first_time.is_waiting(ask.now) {
            Err(Missing::Until(ask.now))
        } else {
            let patience = if is_first { Duration::ZERO } else { LONGEST_PATIENCE };
            self.tokens.take(rate, ask.now, patience)
        };
        taken.map_err(|missing| match missing {
            Missing::Lease(request) => Refusal::Lease(request),
            Missing::Until(earliest) => {
                let line = if is_first { &mut self.first_time } else { &mut self.again };
                let turn = line.join(self.tokens.pace(rate), earliest, ask.latest);
                Refusal::Until(ask.back_at(turn), Wait::RateLimit)
            }
        })
    }

    /// What came of a [`Refusal::Lease`]; `None` if it failed. `chance` in `0.0..1.0`.
    pub fn leased(
        &mut self,
        request: &LeaseRequest,
        answer: Option<&LeaseAnswer>,
        now: Timestamp,
        chance: f64,
    ) {
        match answer {
            Some(answer) => self.tokens.answered(request, answer, now, chance),
            None => self.tokens.failed(now),
        }
    }

    /// A call ended; it keeps its place until [`Limiter::leave`].
    pub fn ended(&mut self, limits: &Limits, leave: &Leave, ended: &Ended) -> Option<Change> {
        let usual = self.gate.average().unwrap_or(ended.took);
        let is_prompt = ended.took <= usual.saturating_mul(2).max(PROMPT);
        self.gate.came_back(ended.now, ended.took);
        match ended.verdict {
            Verdict::Works if is_prompt => self.adaptive.went_well(limits.concurrency),
            Verdict::TooMuch if limits.adaptive => {
                let begun = ended.now.minus(ended.took);
                self.adaptive.was_too_much(limits.concurrency, begun, ended.now);
            }
            Verdict::Works | Verdict::Fails | Verdict::TooMuch => {}
        }
        let failed = match ended.verdict {
            Verdict::Works => false,
            Verdict::Fails | Verdict::TooMuch => true,
        };
        let policy = limits.breaker.as_ref()?;
        let change = self.breaker.ended(policy, leave.is_probe, failed, ended.now, ended.chance);
        if change == Some(Change::Closed) {
            self.adaptive = Adaptive::gently();
        }
        change
    }

    /// Whether a pause until then is news: it is later, by a second at least, than any before.
    pub fn is_new_pause(&mut self, until: Timestamp) -> bool {
        let is_new = until > self.paused_until.plus(QUIET);
        if is_new {
            self.paused_until = until;
        }
        is_new
    }

    /// Gives the place back; of a call that was not made, the token too. Whether somebody waits for
    /// the place.
    pub fn leave(&mut self, limits: &Limits, leave: &Leave, used: Used) -> bool {
        self.gate.leave();
        let (is_known, has_called) = match used {
            Used::Not => (false, false),
            Used::CutShort => (false, true),
            Used::Ended => (true, true),
        };
        if leave.is_probe && !is_known {
            self.breaker.gave_up_probe();
        }
        if let Some(rate) = limits.rate.as_ref().filter(|_| leave.has_token && !has_called) {
            self.tokens.give_back(rate);
        }
        self.gate.is_waited_for()
    }
}

#[cfg(test)]
#[path = "limiter_tests.rs"]
mod tests;
