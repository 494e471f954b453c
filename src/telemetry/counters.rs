//! What this process has counted since it began.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use super::metrics::label::{
    BreakerState, Dependency, Ended, FannedOut, KeyOperation, KeyResult, Learnt, Outcome, Replayed,
    SpanResult, Success, Taken, TokenResult, Told,
};
use super::metrics::{Counter, Histogram, Label, PerLabel};
use crate::domain::reason::Reason;
use crate::domain::timestamp::Timestamp;
use crate::domain::wait::Wait;
use crate::ports::Alarm;

/// The counters, each named as its family.
#[derive(Debug)]
#[allow(missing_docs, reason = "telemetry::metrics::family says what each means")]
pub struct Counters {
    pub received: Counter,
    pub in_hand: Gauge,
    pub deliveries: PerLabel<Ended>,
    pub attempts: PerLabel<Outcome>,
    attempt_seconds: [Histogram; 2],
    pub delivery_seconds: Histogram,
    pub retries: Counter,
    pub parked: PerLabel<Wait>,
    pub dead_letters: PerLabel<Reason>,
    pub fan_outs: PerLabel<FannedOut>,
    pub leftovers: Counter,
    pub previous_secrets: Counter,
    pub breaker_changes: PerLabel<BreakerState>,
    pub health_changes: PerLabel<Learnt>,
    pub token_requests: PerLabel<TokenResult>,
    pub faults: PerLabel<Dependency>,
    pub alarms: PerLabel<Alarm>,
    pub events: PerLabel<Told>,
    pub keys: KeyCalls,
    pub jobs_taken: PerLabel<Taken>,
    pub spans: PerLabel<SpanResult>,
    pub replays_running: Gauge,
    pub replayed: PerLabel<Replayed>,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            received: Counter::default(),
            in_hand: Gauge::default(),
            deliveries: PerLabel::default(),
            attempts: PerLabel::default(),
            attempt_seconds: [Histogram::new(Histogram::CALL), Histogram::new(Histogram::CALL)],
            delivery_seconds: Histogram::new(Histogram::DELIVERY),
            retries: Counter::default(),
            parked: PerLabel::default(),
            dead_letters: PerLabel::default(),
            fan_outs: PerLabel::default(),
            leftovers: Counter::default(),
            previous_secrets: Counter::default(),
            breaker_changes: PerLabel::default(),
            health_changes: PerLabel::default(),
            token_requests: PerLabel::default(),
            faults: PerLabel::default(),
            alarms: PerLabel::default(),
            events: PerLabel::default(),
            keys: KeyCalls::default(),
            jobs_taken: PerLabel::default(),
            spans: PerLabel::default(),
            replays_running: Gauge::default(),
            replayed: PerLabel::default(),
        }
    }
}

impl Counters {
    /// How long the attempts took that gave this.
    pub fn attempt_seconds(&self, result: Success) -> &Histogram {
        &self.attempt_seconds[result.index()]
    }
}

/// How many there are of something now.
#[derive(Debug, Clone, Default)]
pub struct Gauge(Arc<AtomicU64>);

/// One of them, until this is dropped.
#[derive(Debug)]
pub struct Counted(Gauge);

impl Gauge {
    /// One more, until what is returned is dropped.
    #[must_use]
    pub fn begin(&self) -> Counted {
        self.0.fetch_add(1, Ordering::Relaxed);
        Counted(self.clone())
    }

    /// How many there are.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How long a failure of the key service counts, if nothing was asked of it since.
const LATELY: Duration = Duration::from_secs(60);

/// What the key service was asked for.
#[derive(Debug, Default)]
pub struct KeyCalls {
    by_operation: [PerLabel<KeyResult>; KeyOperation::ALL.len()],
    /// When it failed last, in milliseconds since the Unix epoch; 0 if it has worked since.
    failed_at: AtomicI64,
}

impl KeyCalls {
    /// The calls of one operation.
    pub fn of(&self, operation: KeyOperation) -> &PerLabel<KeyResult> {
        &self.by_operation[operation.index()]
    }

    /// It was asked, and this came of it.
    pub fn note(&self, operation: KeyOperation, result: KeyResult, now: Timestamp) {
        self.of(operation).of(result).one();
        let failed_at = match result {
            KeyResult::Failed => now.as_millis(),
            KeyResult::Ok | KeyResult::Refused => 0,
        };
        self.failed_at.store(failed_at, Ordering::Relaxed);
    }

    /// Whether it failed within the last minute and has not worked since.
    pub fn is_failing(&self, now: Timestamp) -> bool {
        let failed_at = self.failed_at.load(Ordering::Relaxed);
        failed_at > 0 && now.since(Timestamp::from_millis(failed_at)) < LATELY
    }
}
