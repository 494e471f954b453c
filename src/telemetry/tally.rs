//! Counts what happens to deliveries, and logs what somebody may want to know. Ids, codes and
//! numbers only: no header, body or URL ever comes here.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use tracing::{debug, info, warn};

use crate::domain::breaker::Change;
use crate::domain::dead_letter::DeadLetter;
use crate::domain::decide::Disposition;
use crate::domain::delivery::DeliveryKey;
use crate::domain::endpoint::{Endpoint, Health};
use crate::domain::fan_out::FanOutKey;
use crate::domain::ids::{CustomerId, EndpointId};
use crate::domain::outcome::{Attempt, AttemptOutcome};
use crate::domain::test_call::TestRecord;
use crate::domain::test_report::TestReport;
use crate::domain::timestamp::Timestamp;
use crate::ports::{Alarm, Error};

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

/// Counters since the process began.
#[derive(Debug, Default)]
pub struct Tally {
    delivered: AtomicU64,
    retried: AtomicU64,
    dead_lettered: AtomicU64,
    parked: AtomicU64,
    fanned_out: AtomicU64,
    unmatched: AtomicU64,
    faults: AtomicU64,
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
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            delivered: read(&self.delivered),
            retried: read(&self.retried),
            dead_lettered: read(&self.dead_lettered),
            parked: read(&self.parked),
            fanned_out: read(&self.fanned_out),
            unmatched: read(&self.unmatched),
            faults: read(&self.faults),
        }
    }

    /// An attempt was made, and this follows.
    pub fn attempted(&self, key: &DeliveryKey, attempt: &Attempt, disposition: Disposition) {
        let DeliveryKey { customer_id, endpoint_id, job_id, .. } = key;
        let (number, outcome, ms) = (attempt.number, &attempt.outcome, attempt.duration_ms);
        match disposition {
            Disposition::Done => {
                self.delivered.fetch_add(1, Ordering::Relaxed);
                debug!(event = "delivered", %customer_id, %endpoint_id, %job_id, attempt = number, %outcome, ms);
            }
            Disposition::RetryAt(at) => {
                self.retried.fetch_add(1, Ordering::Relaxed);
                info!(event = "retry", %customer_id, %endpoint_id, %job_id, attempt = number, %outcome, ms, %at);
            }
            // Told when it is in the index.
            Disposition::DeadLetter(_) => {}
        }
    }

    /// A job was given up.
    pub fn dead_lettered(&self, letter: &DeadLetter) {
        self.dead_lettered.fetch_add(1, Ordering::Relaxed);
        let text = |id: Option<&str>| id.unwrap_or("-").to_owned();
        let customer_id = text(letter.customer_id.as_ref().map(|id| id.as_str()));
        let endpoint_id = text(letter.endpoint_id.as_ref().map(|id| id.as_str()));
        let (id, reason, attempts) = (&letter.id, letter.reason, letter.attempts);
        warn!(event = "dead_letter", id, customer_id, endpoint_id, %reason, attempts, "{}", letter.message);
    }

    /// A job was put back without an attempt.
    pub fn parked(&self, key: &DeliveryKey, until: Timestamp, why: &'static str) {
        self.parked.fetch_add(1, Ordering::Relaxed);
        let DeliveryKey { customer_id, endpoint_id, job_id, .. } = key;
        debug!(event = "parked", %customer_id, %endpoint_id, %job_id, %until, why);
    }

    /// A job that names no endpoint went to so many.
    pub fn fanned_out(&self, key: &FanOutKey, endpoints: usize) {
        self.fanned_out.fetch_add(1, Ordering::Relaxed);
        let FanOutKey { customer_id, job_id, .. } = key;
        if endpoints > 0 {
            debug!(event = "fanned_out", %customer_id, %job_id, endpoints);
        } else {
            self.unmatched.fetch_add(1, Ordering::Relaxed);
            info!(event = "unmatched", %customer_id, %job_id, "no endpoint wants it");
        }
    }

    /// Something was learnt of an endpoint.
    pub fn health(&self, customer_id: &CustomerId, endpoint_id: &EndpointId, health: &Health) {
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
        let DeliveryKey { customer_id, endpoint_id, job_id, .. } = key;
        debug!(event = "leftover", %customer_id, %endpoint_id, %job_id);
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
        self.faults.fetch_add(1, Ordering::Relaxed);
        let alarm = error.alarm.map(Alarm::name);
        warn!(event = "fault", operation = error.operation, alarm, what, "{error}");
    }
}
