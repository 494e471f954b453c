//! Attempted → learnt: what a call says of the endpoint itself, beside its own delivery.

use std::time::Duration;

use super::admit::Admitted;
use super::endpoint_book::KnownEndpoint;
use super::{Halt, Pipeline};
use crate::domain::decide::{Consequence, consequence};
use crate::domain::health::{Failing, Health, HealthRecord, Noted, after_failure, gap};
use crate::domain::operational_event::{Fact, OperationalEvent};
use crate::domain::outcome::AttemptOutcome;
use crate::domain::timestamp::Timestamp;
use crate::ports::Result;

/// How often a record that others change is read anew before it is left to them.
pub const TRIES: usize = 3;

impl Pipeline {
    /// Keeps what an outcome says about the endpoint itself.
    pub(super) async fn learn(&self, known: &KnownEndpoint, outcome: &AttemptOutcome) {
        let is_probe = known.record.health.is_disabled();
        if !is_probe {
            self.learn_authorization(known, outcome).await;
        }
        if outcome.is_success() {
            known.meter.went_well(self.clock.now());
            match is_probe {
                true => self.enable(known).await,
                false => self.forget_failures(known).await,
            }
            return;
        }
        if is_probe {
            // Noted when it was claimed.
            return;
        }
        match consequence(outcome, &known.retry) {
            Consequence::None => self.note_failure(known).await,
            Consequence::Pause(wait) => {
                self.note_failure(known).await;
                let until = self.clock.now().plus(wait);
                self.set_health(known, &Health::Paused { until }).await;
            }
            Consequence::Disable => self.disable_gone(known).await,
        }
    }

    /// Of the jobs of a disabled endpoint that find it due for a probe, one is let through.
    pub(super) async fn claim_probe(
        &self,
        admitted: &Admitted<'_>,
    ) -> std::result::Result<(), Halt> {
        let known = &admitted.0.known;
        let Health::Disabled { why } = &known.record.health else { return Ok(()) };
        let now = self.clock.now();
        let probed = known.record.failing(Some(noted(known.record.failing, now)));
        if self.change_health(known, &known.record, &probed).await? {
            return Ok(());
        }
        Err(admitted.0.left_alone(now, why, self.chance.fraction()))
    }

    /// Leaves an endpoint alone that has nothing left of its own rate limit.
    pub(super) async fn pause(&self, known: &KnownEndpoint, wait: Duration) {
        let until = self.clock.now().plus(wait);
        if known.meter.is_new_pause(until) {
            self.set_health(known, &Health::Paused { until }).await;
        }
    }

    /// Records the health of an endpoint. Failing to harms no delivery: the next one learns it again.
    pub(super) async fn set_health(&self, known: &KnownEndpoint, health: &Health) {
        let (customer, endpoint) = (&known.endpoint.customer_id, &known.endpoint.endpoint_id);
        self.tally.health(customer, endpoint, health);
        if let Health::Deauthorized { why, probe_at } = health {
            let (endpoint_id, why, probe_at) = (endpoint.clone(), why.clone(), Some(*probe_at));
            self.tell_operator(known, Fact::EndpointDeauthorized { endpoint_id, why, probe_at });
        }
        if let Err(error) = self.health.set(customer, endpoint, known.version, health).await {
            self.tally.fault(&error, endpoint.as_str());
        }
        self.endpoints.forget(customer, endpoint).await;
    }

    /// A failure may be the one that disables the endpoint. If others have changed the record since it
    /// was read, the next failure is as good.
    async fn note_failure(&self, known: &KnownEndpoint) {
        let patience = known.endpoint.health_policy.patience(known.endpoint.profile);
        let (failing, well_at) = (known.record.failing, known.meter.well_at());
        let now = self.clock.now();
        let noted = after_failure(failing, patience, well_at, now);
        let may_note = |patience| known.meter.may_note(now, gap(patience));
        if noted == Noted::Nothing || !patience.is_some_and(may_note) {
            return;
        }
        match noted {
            Noted::Nothing => {}
            Noted::Failing(failing) => {
                let next = known.record.failing(Some(failing));
                self.try_to_change(known, &known.record, &next).await;
            }
            Noted::Disable(failing) => {
                let why = format!("every call has failed since {}", failing.since);
                self.disable(known, &known.record, why, failing).await;
            }
        }
    }

    async fn forget_failures(&self, known: &KnownEndpoint) {
        if known.record.failing.is_some() {
            self.try_to_change(known, &known.record, &known.record.failing(None)).await;
        }
    }

    /// A 410 disables whatever others have learnt since.
    async fn disable_gone(&self, known: &KnownEndpoint) {
        let mut seen = known.record.clone();
        for _ in 0..TRIES {
            if seen.health.is_disabled() {
                return;
            }
            let why = "the endpoint answered 410 Gone".to_owned();
            let failing = noted(seen.failing, self.clock.now());
            if self.disable(known, &seen, why, failing).await {
                return;
            }
            let Some(now) = self.read_health(known).await else { return };
            seen = now;
        }
    }

    async fn disable(
        &self,
        known: &KnownEndpoint,
        seen: &HealthRecord,
        why: String,
        failing: Failing,
    ) -> bool {
        let next = seen.disabled(why.clone(), failing);
        let made = self.try_to_change(known, seen, &next).await;
        if made {
            let (customer, endpoint) = (&known.endpoint.customer_id, &known.endpoint.endpoint_id);
            self.tally.health(customer, endpoint, &next.health);
            let endpoint_id = endpoint.clone();
            self.tell_operator(known, Fact::EndpointDisabled { endpoint_id, why });
        }
        made
    }

    /// A probe went well.
    async fn enable(&self, known: &KnownEndpoint) {
        for _ in 0..TRIES {
            let Some(seen) = self.read_health(known).await else { return };
            if !seen.health.is_disabled() {
                return;
            }
            if self.try_to_change(known, &seen, &seen.well()).await {
                let (customer, id) = (&known.endpoint.customer_id, &known.endpoint.endpoint_id);
                self.tally.health(customer, id, &Health::Active);
                self.tell_operator(known, Fact::EndpointEnabled { endpoint_id: id.clone() });
                return;
            }
        }
    }

    /// The record as it is now; our own trouble in finding out changes nothing.
    pub(super) async fn read_health(&self, known: &KnownEndpoint) -> Option<HealthRecord> {
        let (customer, endpoint) = (&known.endpoint.customer_id, &known.endpoint.endpoint_id);
        let read = self.health.read(customer, endpoint, known.version).await;
        read.map_err(|error| self.tally.fault(&error, endpoint.as_str())).ok()
    }

    async fn change_health(
        &self,
        known: &KnownEndpoint,
        seen: &HealthRecord,
        next: &HealthRecord,
    ) -> Result<bool> {
        let (customer, endpoint) = (&known.endpoint.customer_id, &known.endpoint.endpoint_id);
        let made = self.health.change(customer, endpoint, known.version, seen, next).await;
        self.endpoints.forget(customer, endpoint).await;
        made
    }

    /// Whether it was changed. Failing to harms no delivery: the next one learns it again.
    pub(super) async fn try_to_change(
        &self,
        known: &KnownEndpoint,
        seen: &HealthRecord,
        next: &HealthRecord,
    ) -> bool {
        self.change_health(known, seen, next).await.unwrap_or_else(|error| {
            self.tally.fault(&error, known.endpoint.endpoint_id.as_str());
            false
        })
    }

    pub(super) fn tell_operator(&self, known: &KnownEndpoint, fact: Fact) {
        let customer_id = known.endpoint.customer_id.clone();
        self.events.tell(OperationalEvent { at: self.clock.now(), customer_id, fact });
    }
}

/// The time of failures with one more of them.
fn noted(failing: Option<Failing>, now: Timestamp) -> Failing {
    let failing = failing.unwrap_or(Failing { since: now, noted_at: now, notes: 0 });
    Failing { noted_at: now, notes: failing.notes.saturating_add(1), ..failing }
}
