//! Admitted → permitted: the endpoint's limits, and its customer's share of the worker, leave room for
//! one more call.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::admit::Admitted;
use super::endpoint_book::KnownEndpoint;
use super::limiters::Place;
use super::resolve::Resolved;
use super::{Halt, Pipeline};
use crate::domain::breaker::Change;
use crate::domain::gate::{Ask, Turn};
use crate::domain::limiter::{Ended, Leave, Refusal, Used, Verdict};
use crate::domain::outcome::Attempt;
use crate::domain::timestamp::Timestamp;
use crate::domain::wait::Wait;

/// Leave to make one attempt. What it holds is given back when it is dropped, however that comes.
pub struct Permit {
    known: Arc<KnownEndpoint>,
    leave: Leave,
    used: Used,
    _place: Place,
}

impl Permit {
    /// The first call begins.
    pub fn begins(&mut self) {
        self.used = Used::CutShort;
    }

    /// The attempt ended; what it changes for the endpoint.
    pub fn ended(&mut self, attempt: &Attempt, now: Timestamp, chance: f64) -> Option<Change> {
        self.used = Used::Ended;
        let took = Duration::from_millis(attempt.duration_ms);
        let ended = Ended { now, took, verdict: Verdict::of(&attempt.outcome), chance };
        self.known.meter.ended(&self.known.endpoint.limits, &self.leave, &ended)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.known.meter.leave(&self.known.endpoint.limits, &self.leave, self.used);
    }
}

impl Pipeline {
    /// Takes a permit, or says when the job should come back. What will be there in a moment is waited
    /// for in hand: putting a job back costs more.
    pub(super) async fn permit(
        &self,
        admitted: &Admitted<'_>,
        stop: &CancellationToken,
    ) -> Result<Permit, Halt> {
        let (resolved, now) = (&admitted.0, self.clock.now());
        let (known, waits) = (&resolved.known, resolved.decoded.state.waits);
        let (latest, chance) = (resolved.last_chance(), self.chance.fraction());
        let ask = Ask { now, latest, waits, turn: Turn::New, chance };
        let later = |refusal| put_off(resolved, now, refusal);
        let (meter, limits) = (&known.meter, &known.endpoint.limits);
        let place = meter.place(&ask).map_err(later)?;
        let leave = meter.leave_to_call(known.version, limits, ask, &*self.clock, stop).await;
        let leave = leave.map_err(later)?;
        let permit = Permit { known: Arc::clone(known), leave, used: Used::Not, _place: place };
        self.tell(known, leave.change);
        if leave.at > now {
            tokio::select! {
                () = sleep(leave.at.since(self.clock.now())) => {}
                () = stop.cancelled() => return Err(Halt::Limited(leave.at, Wait::RateLimit)),
            }
        }
        Ok(permit)
    }

    /// Tells those who watch what a breaker did.
    pub(super) fn tell(&self, known: &KnownEndpoint, change: Option<Change>) {
        if let Some(change) = change {
            self.tally.breaker(&known.endpoint.customer_id, &known.endpoint.endpoint_id, change);
        }
    }
}

/// The job comes back when it was told, or shortly before its last moment, or is given up.
fn put_off(resolved: &Resolved<'_>, now: Timestamp, refusal: Refusal) -> Halt {
    let (until, why) = match refusal {
        Refusal::Until(until, why) => (until, why),
        // Only told to those who wait in hand.
        Refusal::Soon => (now, Wait::ConcurrencyLimit),
        // What was leased was taken by others meanwhile.
        Refusal::Lease(_) => (now.plus(Duration::from_millis(100)), Wait::RateLimit),
    };
    let reason = resolved.reason_against(until);
    resolved.wait_within(now, until, why, reason, why.words()).limited()
}
