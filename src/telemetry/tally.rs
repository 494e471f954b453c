//! Counts what happens, and logs what somebody may want to know. Ids, codes and
//! numbers only: no header, body or URL ever comes here.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tracing::{debug, info, warn};

use super::counters::Counters;
use super::metrics::label::{BreakerState, Dependency, Ended, FannedOut, Learnt, Outcome, Success};
use super::pulse::Pulse;
use super::requests::Requests;

use crate::domain::breaker::Change;
use crate::domain::dead_letter::DeadLetter;
use crate::domain::decide::Disposition;
use crate::domain::delivery::DeliveryKey;
use crate::domain::endpoint::{Endpoint, Health};
use crate::domain::fan_out::FanOutKey;
use crate::domain::ids::{CustomerId, EndpointId};
use crate::domain::kept_body::BodyFate;
use crate::domain::outcome::{Attempt, AttemptOutcome};
use crate::domain::resend::{ResendOrder, ResendOutcome};
use crate::domain::test_call::TestRecord;
use crate::domain::test_report::TestReport;
use crate::domain::timestamp::Timestamp;
use crate::domain::wait::Wait;
use crate::ports::{Alarm, Error};
use crate::telemetry::recent::Recent;

/// What the worker of this process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerState {
    /// It receives, or waits for something to receive.
    Receiving,
    /// The queue failed when it was asked last.
    Failing,
    /// It receives no more, or not yet.
    Stopped,
}

impl WorkerState {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Receiving => "receiving",
            Self::Failing => "failing",
            Self::Stopped => "stopped",
        }
    }
}

/// What is told of in this process: it is counted, and logged where somebody may want to know.
#[derive(Debug, Default)]
pub struct Tally {
    /// What was counted.
    pub counters: Counters,
    /// What the HTTP API was asked.
    pub requests: Requests,
    /// The loop that receives.
    pub receiving: Pulse,
    /// The loop that renews leases.
    pub leases: Pulse,
    recent: Recent,
    /// [`WorkerState`]: 0 is stopped, 1 receiving, 2 failing.
    worker: AtomicU8,
}

/// The counters at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Deliveries made.
    pub delivered: u64,
    /// Attempts that failed and are tried again.
    pub retried: u64,
    /// Jobs given up.
    pub dead_lettered: u64,
    /// Jobs put back without an attempt.
    pub parked: u64,
    /// Jobs that went to more endpoints than they name.
    pub fanned_out: u64,
    /// Of these, jobs that no endpoint wanted.
    pub unmatched: u64,
    /// Faults on our side.
    pub faults: u64,
}

impl Tally {
    /// What the worker of this process does.
    pub fn worker(&self) -> WorkerState {
        match self.worker.load(Ordering::Relaxed) {
            1 => WorkerState::Receiving,
            2 => WorkerState::Failing,
            _ => WorkerState::Stopped,
        }
    }

    /// The worker of this process does that from now on.
    pub fn worker_is(&self, state: WorkerState) {
        let number = match state {
            WorkerState::Stopped => 0,
            WorkerState::Receiving => 1,
            WorkerState::Failing => 2,
        };
        self.worker.store(number, Ordering::Relaxed);
    }

    /// The counters now.
    pub fn counts(&self) -> Counts {
        let counters = &self.counters;
        Counts {
            delivered: counters.deliveries.of(Ended::Delivered).get(),
            retried: counters.retries.get(),
            dead_lettered: counters.deliveries.of(Ended::DeadLettered).get(),
            parked: counters.parked.sum(),
            fanned_out: counters.fan_outs.sum(),
            unmatched: counters.fan_outs.of(FannedOut::Unmatched).get(),
            faults: counters.faults.sum(),
        }
    }

    /// What happened lately.
    pub fn recent(&self) -> &Recent {
        &self.recent
    }

    /// The call of an attempt has ended.
    pub fn called(&self, attempt: &Attempt) {
        self.counters.attempts.of(Outcome::of(&attempt.outcome)).one();
        let is_success = attempt.outcome.is_success();
        let result = if is_success { Success::Ok } else { Success::Failed };
        let took = Duration::from_millis(attempt.duration_ms);
        self.counters.attempt_seconds(result).observe(took);
    }

    /// An attempt was made of a job of this age, and this follows.
    pub fn attempted(
        &self,
        key: &DeliveryKey,
        attempt: &Attempt,
        disposition: Disposition,
        age: Duration,
    ) {
        self.recent.attempted(key, attempt, disposition);
        let DeliveryKey { customer_id, endpoint_id, job_id, .. } = key;
        let (number, outcome, ms) = (attempt.number, &attempt.outcome, attempt.duration_ms);
        match disposition {
            Disposition::Done => {
                self.counters.deliveries.of(Ended::Delivered).one();
                self.counters.delivery_seconds.observe(age);
                debug!(event = "delivered", %customer_id, %endpoint_id, %job_id, attempt = number, %outcome, ms);
            }
            Disposition::RetryAt(at) => {
                self.counters.retries.one();
                info!(event = "retry", %customer_id, %endpoint_id, %job_id, attempt = number, %outcome, ms, %at);
            }
            // Told when it is in the index.
            Disposition::DeadLetter(_) => {}
        }
    }

    /// A job was given up.
    pub fn dead_lettered(&self, letter: &DeadLetter) {
        self.counters.deliveries.of(Ended::DeadLettered).one();
        self.counters.dead_letters.of(letter.reason).one();
        self.recent.given_up(letter.dead_at);
        let text = |id: Option<&str>| id.unwrap_or("-").to_owned();
        let customer_id = text(letter.customer_id.as_ref().map(|id| id.as_str()));
        let endpoint_id = text(letter.endpoint_id.as_ref().map(|id| id.as_str()));
        let (id, reason, attempts) = (&letter.id, letter.reason, letter.attempts);
        warn!(event = "dead_letter", id, customer_id, endpoint_id, %reason, attempts, "{}", letter.message);
    }

    /// A job was put back without an attempt.
    pub fn parked(&self, key: &DeliveryKey, until: Timestamp, why: Wait) {
        self.counters.parked.of(why).one();
        let DeliveryKey { customer_id, endpoint_id, job_id, .. } = key;
        debug!(event = "parked", %customer_id, %endpoint_id, %job_id, %until, why = why.words());
    }

    /// A job that names no endpoint went to so many.
    pub fn fanned_out(&self, key: &FanOutKey, endpoints: usize) {
        let FanOutKey { customer_id, job_id, .. } = key;
        if endpoints > 0 {
            self.counters.fan_outs.of(FannedOut::Sent).one();
            debug!(event = "fanned_out", %customer_id, %job_id, endpoints);
        } else {
            self.counters.fan_outs.of(FannedOut::Unmatched).one();
            info!(event = "unmatched", %customer_id, %job_id, "no endpoint wants it");
        }
    }

    /// Something was learnt of an endpoint.
    pub fn health(&self, customer_id: &CustomerId, endpoint_id: &EndpointId, health: &Health) {
        self.counters.health_changes.of(Learnt::of(health)).one();
        match health {
            Health::Active => info!(event = "health", %customer_id, %endpoint_id, "active"),
            Health::Paused { until } => {
                info!(event = "health", %customer_id, %endpoint_id, %until, "paused");
            }
            Health::Deauthorized { why, probe_at } => {
                warn!(event = "health", %customer_id, %endpoint_id, %probe_at, "deauthorized: {why}");
            }
            Health::Disabled { why } => {
                warn!(event = "health", %customer_id, %endpoint_id, "disabled: {why}");
            }
        }
    }

    /// An endpoint refuses our credentials, or its handshake.
    pub fn deauthorized(&self, customer_id: &CustomerId, endpoint_id: &EndpointId, why: &str) {
        warn!(event = "authorization", %customer_id, %endpoint_id, "deauthorized: {why}");
    }

    /// An endpoint takes our credentials again, or has agreed to be called.
    pub fn authorized(&self, customer_id: &CustomerId, endpoint_id: &EndpointId) {
        info!(event = "authorization", %customer_id, %endpoint_id, "authorized");
    }

    /// A call that was refused was made again with the previous value of a secret.
    pub fn fell_back(&self, key: &DeliveryKey, outcome: &AttemptOutcome) {
        self.counters.previous_secrets.one();
        let DeliveryKey { customer_id, endpoint_id, job_id, .. } = key;
        info!(event = "previous_secret", %customer_id, %endpoint_id, %job_id, %outcome);
    }

    /// A test call was made, or came as far as it could.
    pub fn tested(&self, record: &TestRecord) {
        let TestRecord { call, report } = record;
        let (id, customer_id, endpoint_id) = (&call.id, &call.customer_id, &call.endpoint_id);
        let failed = report.as_ref().and_then(TestReport::failure).map(|step| step.step.name());
        info!(event = "test_call", id, %customer_id, %endpoint_id, failed);
    }

    /// A stop of the worker may cut this endpoint's calls short.
    pub fn long_timeout(&self, endpoint: &Endpoint, drain: Duration) {
        let Endpoint { customer_id, endpoint_id, .. } = endpoint;
        let timeout = endpoint.timeout();
        warn!(
            event = "long_timeout", %customer_id, %endpoint_id, ?timeout, ?drain,
            "its timeout is longer than worker.drain: a stop may cut its calls short"
        );
    }

    /// A breaker left an endpoint alone, looks whether it works again, or found that it does.
    pub fn breaker(&self, customer_id: &CustomerId, endpoint_id: &EndpointId, change: Change) {
        self.counters.breaker_changes.of(BreakerState::after(change)).one();
        match change {
            Change::Opened { probe_at } => {
                warn!(event = "breaker", %customer_id, %endpoint_id, state = "open", %probe_at);
            }
            Change::HalfOpened => {
                info!(event = "breaker", %customer_id, %endpoint_id, state = "half_open");
            }
            Change::Closed => {
                info!(event = "breaker", %customer_id, %endpoint_id, state = "closed");
            }
        }
    }

    /// A message was removed because its delivery has gone on without it.
    pub fn leftover(&self, key: &DeliveryKey) {
        self.counters.leftovers.one();
        let DeliveryKey { customer_id, endpoint_id, job_id, .. } = key;
        debug!(event = "leftover", %customer_id, %endpoint_id, %job_id);
    }

    /// Counts a fault that was logged where it was met.
    pub fn count_fault(&self, dependency: Dependency, alarm: Option<Alarm>) {
        self.counters.faults.of(dependency).one();
        if let Some(alarm) = alarm {
            self.counters.alarms.of(alarm).one();
        }
    }

    /// The job of a customer's delivery is not kept, although the settings ask for it.
    pub fn body_not_kept(&self, customer_id: &CustomerId, fate: BodyFate) {
        let why = fate.name();
        warn!(event = "body_not_kept", %customer_id, why, "{}", fate.advice());
    }

    /// A delivery was ordered to be sent again, and this came of it.
    pub fn resend(&self, order: &ResendOrder, outcome: ResendOutcome, why: &str) {
        let ResendOrder { delivery_id: delivery, who } = order;
        let what = outcome.name();
        match outcome {
            ResendOutcome::Ordered | ResendOutcome::Sent | ResendOutcome::AlreadySent => {
                info!(event = "resend", delivery, who, what, "{why}");
            }
            ResendOutcome::Gone
            | ResendOutcome::TenantKeyShredded
            | ResendOutcome::BodyNotOpened
            | ResendOutcome::CrashLoop => {
                warn!(event = "resend", delivery, who, what, "{why}");
            }
        }
    }

    /// The queue will soon forget so many dead letters, this one first.
    pub fn ending(&self, count: usize, first: &str, at: Timestamp) {
        warn!(event = "dead_letters_ending", count, first, %at, "replay them before the queue forgets them");
    }

    /// The clock was set while the worker ran.
    pub fn clock_was_set(&self, by_ms: i64) {
        warn!(event = "clock_step", by_ms, "the machine's clock was set: see whether it is right");
    }

    /// Something failed on our side while `what` was in hand.
    pub fn fault(&self, error: &Error, what: &str) {
        self.count_fault(Dependency::of(error.operation), error.alarm);
        let alarm = error.alarm.map(Alarm::name);
        warn!(event = "fault", operation = error.operation, alarm, what, "{error}");
    }
}
