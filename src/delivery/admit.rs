//! Resolved → admitted: an attempt may be made now.

use std::time::Duration;

use super::Halt;
use super::resolve::Resolved;
use crate::domain::decide::{Standing, too_late};
use crate::domain::health::{Health, OnDisabled};
use crate::domain::parking::growing;
use crate::domain::reason::Reason;
use crate::domain::timestamp::Timestamp;
use crate::domain::wait::Wait;

/// A job whose attempt may be made now.
pub struct Admitted<'d>(pub Resolved<'d>);

impl Resolved<'_> {
    /// The facts that decisions need; the attempt is the next one.
    pub fn standing(&self) -> Standing {
        let (state, job) = (&self.decoded.state, &self.decoded.job);
        Standing {
            attempt: state.attempt + 1,
            accepted_at: state.age_begins(),
            expires_at: job.expires_at,
        }
    }

    /// A wait without an attempt; the reason against it if it would end too late, for such a wait is
    /// not begun.
    pub fn wait(&self, until: Timestamp, why: Wait) -> Result<Halt, Reason> {
        match too_late(self.standing(), &self.known.retry, until) {
            Some(reason) => Err(reason),
            None => Ok(Halt::Park(until, why)),
        }
    }

    /// The last time at which it is of use to come back.
    pub fn last_chance(&self) -> Timestamp {
        let standing = self.standing();
        let oldest = standing.accepted_at.plus(self.known.retry.max_age);
        let end = standing.expires_at.map_or(oldest, |expiry| expiry.min(oldest));
        end.minus(LAST_CHANCE)
    }

    /// Why a job that can come back at `until` only is given up: it is too old then or, by a little,
    /// not yet.
    pub fn reason_against(&self, until: Timestamp) -> Reason {
        let policy = &self.known.retry;
        too_late(self.standing(), policy, until.plus(LAST_CHANCE)).unwrap_or(Reason::TooOld)
    }

    /// A wait for others until `until`, or until shortly before the job's last moment if that is
    /// sooner, because they may be ready before; then the job is given up for `reason`.
    pub fn wait_within(
        &self,
        now: Timestamp,
        until: Timestamp,
        what: Wait,
        reason: Reason,
        why: &str,
    ) -> Halt {
        let last_chance = self.last_chance();
        if until <= last_chance {
            return Halt::Park(until, what);
        }
        if now < last_chance {
            return Halt::Park(last_chance, what);
        }
        Halt::DeadLetter(reason, format!("{why}; the job may wait no longer"))
    }

    /// What becomes of a job whose endpoint is disabled. One that is held waits longer every time, so
    /// that a backlog costs a bounded number of queue calls.
    pub fn left_alone(&self, now: Timestamp, why: &str, chance: f64) -> Halt {
        let reason = Reason::EndpointDisabled;
        match self.known.endpoint.health_policy.on_disabled {
            OnDisabled::DeadLetter => Halt::DeadLetter(reason, why.to_owned()),
            OnDisabled::Hold => {
                let until = now.plus(growing(FIRST_HOLD, self.decoded.state.waits, chance));
                self.wait_within(now, until, Wait::EndpointDisabled, reason, why).limited()
            }
        }
    }

    /// What becomes of a job whose endpoint has not agreed to be called: it waits, longer every time.
    fn unverified(&self, now: Timestamp, chance: f64) -> Halt {
        let until = now.plus(growing(FIRST_HOLD, self.decoded.state.waits, chance));
        let (what, reason) = (Wait::EndpointUnverified, Reason::EndpointUnverified);
        let why = "its handshake was not passed for this url";
        self.wait_within(now, until, what, reason, why).limited()
    }

    fn is_due_for_a_probe(&self, now: Timestamp) -> bool {
        let probe_at = self.known.record.probe_at(&self.known.endpoint.health_policy);
        probe_at.is_some_and(|probe_at| probe_at <= now)
    }
}

/// The first wait of a job that is held for a disabled endpoint.
const FIRST_HOLD: Duration = Duration::from_secs(60);

/// How long before a job's last moment it is tried for the last time: queues count in seconds.
const LAST_CHANCE: Duration = Duration::from_secs(5);

/// Admits a job, or says when it may come back.
pub fn admit(resolved: Resolved<'_>, now: Timestamp, chance: f64) -> Result<Admitted<'_>, Halt> {
    let give_up =
        |reason: Reason| Halt::DeadLetter(reason, format!("at {now}, before the attempt"));
    let (standing, policy) = (resolved.standing(), &resolved.known.retry);
    if let Some(reason) = too_late(standing, policy, now) {
        return Err(give_up(reason));
    }
    if !resolved.known.endpoint.enabled {
        let problem = "its configuration says `enabled: false`".to_owned();
        return Err(Halt::DeadLetter(Reason::EndpointDisabled, problem));
    }
    if !resolved.known.record.is_verified(&resolved.known.endpoint) {
        return Err(resolved.unverified(now, chance));
    }
    let paused_until = match &resolved.known.record.health {
        Health::Active => None,
        Health::Paused { until } => Some(*until),
        Health::Deauthorized { why, probe_at } if *probe_at > now => {
            let reason = Reason::EndpointDeauthorized;
            let what = Wait::EndpointDeauthorized;
            return Err(resolved.wait_within(now, *probe_at, what, reason, why));
        }
        Health::Deauthorized { .. } => None,
        Health::Disabled { .. } if resolved.is_due_for_a_probe(now) => None,
        Health::Disabled { why } => return Err(resolved.left_alone(now, why, chance)),
    };
    let waits =
        [(resolved.decoded.job.not_before, Wait::NotBefore), (paused_until, Wait::EndpointPaused)];
    let latest = waits.into_iter().filter_map(|(at, why)| Some((at?, why))).max();
    match latest.filter(|(at, _)| *at > now) {
        Some((at, why)) => Err(resolved.wait(at, why).unwrap_or_else(give_up)),
        None => Ok(Admitted(resolved)),
    }
}
