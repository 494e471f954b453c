//! Every family with its numbers, as Prometheus reads them.

use super::{Monitor, Reading, process};
use crate::cache::Usage;
use crate::delivery::Pipeline;
use crate::telemetry::WorkerState;
use crate::telemetry::metrics::label::{KeyOperation, KeyResult, Lookup, StatusClass, Success};
use crate::telemetry::metrics::{Exposition, Label, family};

impl Monitor {
    /// All metrics of this process. Families that it has nothing for are left out: those of a worker
    /// where none runs, those of AWS in the embedded form.
    pub async fn metrics(&self) -> String {
        let reading = self.reading().await;
        let mut text = Exposition::default();
        self.process(&mut text);
        self.deliveries(&mut text);
        if let Some(worker) = &self.worker {
            self.worker(worker, &mut text);
        }
        self.queue(&reading, &mut text);
        self.faults(&mut text);
        self.keys(&mut text);
        #[cfg(feature = "aws")]
        self.aws(&mut text);
        self.api(&mut text);
        text.finish()
    }

    fn process(&self, text: &mut Exposition) {
        let form = if self.app.config.is_aws() { "aws" } else { "embedded" };
        text.family(&family::BUILD_INFO).add(&[env!("CARGO_PKG_VERSION"), form], 1.0);
        let started = self.app.started_at.as_millis() as f64 / 1000.0;
        text.value(&family::START_TIME, started);
        if let Some(usage) = process::usage() {
            text.value(&family::CPU, usage.cpu_seconds);
            text.value(&family::MEMORY, usage.memory_bytes);
            text.value(&family::OPEN_FILES, usage.open_files);
        }
    }

    fn deliveries(&self, text: &mut Exposition) {
        let counters = &self.app.tally.counters;
        text.count(&family::RECEIVED, counters.received.get());
        text.per_label(&family::DELIVERIES, &counters.deliveries);
        text.per_label(&family::ATTEMPTS, &counters.attempts);
        let mut seconds = text.family(&family::ATTEMPT_SECONDS);
        for result in Success::ALL {
            seconds.histogram(&[result.value()], counters.attempt_seconds(*result));
        }
        let mut seconds = text.family(&family::DELIVERY_SECONDS);
        seconds.histogram(&[], &counters.delivery_seconds);
        text.count(&family::RETRIES, counters.retries.get());
        text.per_label(&family::PARKED, &counters.parked);
        text.per_label(&family::DEAD_LETTERS, &counters.dead_letters);
        text.per_label(&family::FAN_OUTS, &counters.fan_outs);
        text.count(&family::LEFTOVERS, counters.leftovers.get());
        text.count(&family::PREVIOUS_SECRETS, counters.previous_secrets.get());
        text.per_label(&family::BREAKER_CHANGES, &counters.breaker_changes);
        text.per_label(&family::HEALTH_CHANGES, &counters.health_changes);
        text.per_label(&family::TOKEN_REQUESTS, &counters.token_requests);
    }

    fn worker(&self, worker: &Pipeline, text: &mut Exposition) {
        let (app, now) = (&self.app, self.app.tally.worker());
        let mut states = text.family(&family::WORKER_STATE);
        for state in [WorkerState::Receiving, WorkerState::Failing, WorkerState::Stopped] {
            states.add(&[state.word()], f64::from(u8::from(state == now)));
        }
        text.count(&family::CONCURRENCY, app.config.worker.concurrency as u64);
        text.count(&family::IN_HAND, app.tally.counters.in_hand.get());
        let (open, half_open) = worker.endpoints.breakers();
        let mut breakers = text.family(&family::BREAKERS);
        breakers.add(&["open"], open as f64);
        breakers.add(&["half_open"], half_open as f64);
        let [secrets, tenant_keys] = worker.vault.usage();
        let caches = [
            ("endpoints", worker.endpoints.usage()),
            ("secrets", secrets),
            ("tenant_keys", tenant_keys),
        ];
        caches_of(&caches, text);
    }

    fn queue(&self, reading: &Reading, text: &mut Exposition) {
        if let Some(depth) = reading.depth {
            let mut messages = text.family(&family::QUEUE_MESSAGES);
            messages.add(&["pending"], depth.pending as f64);
            messages.add(&["dead"], depth.dead as f64);
        }
        if let Some(oldest) = reading.oldest_due {
            text.value(&family::QUEUE_OLDEST, oldest.as_secs_f64());
        }
    }

    fn faults(&self, text: &mut Exposition) {
        let counters = &self.app.tally.counters;
        text.per_label(&family::FAULTS, &counters.faults);
        text.per_label(&family::ALARMS, &counters.alarms);
        text.per_label(&family::EVENTS, &counters.events);
        text.count(&family::EVENTS_DROPPED, self.app.events.dropped());
        text.per_label(&family::SPANS, &counters.spans);
    }

    fn keys(&self, text: &mut Exposition) {
        let keys = &self.app.tally.counters.keys;
        let mut calls = text.family(&family::KEY_CALLS);
        for operation in KeyOperation::ALL {
            for result in KeyResult::ALL {
                let count = keys.of(*operation).of(*result).get();
                calls.add(&[operation.value(), result.value()], count as f64);
            }
        }
    }

    #[cfg(feature = "aws")]
    fn aws(&self, text: &mut Exposition) {
        let Some(counts) = &self.app.aws_calls else { return };
        let mut calls = text.family(&family::AWS_CALLS);
        for made in counts.made() {
            for (result, count) in made.results {
                calls.add(&[made.service, made.operation, result], count as f64);
            }
        }
        let mut seconds = text.family(&family::AWS_CALL_SECONDS);
        for made in counts.made() {
            seconds.histogram(&[made.service, made.operation], made.seconds);
        }
    }

    fn api(&self, text: &mut Exposition) {
        let tally = &self.app.tally;
        let asked = tally.requests.asked();
        let mut requests = text.family(&family::API_REQUESTS);
        for (method, route, requested) in &asked {
            for status in StatusClass::ALL {
                let count = requested.statuses.of(*status).get();
                requests.add(&[method, route, status.value()], count as f64);
            }
        }
        let mut seconds = text.family(&family::API_REQUEST_SECONDS);
        for (method, route, requested) in &asked {
            seconds.histogram(&[method, route], &requested.seconds);
        }
        text.per_label(&family::JOBS_TAKEN, &tally.counters.jobs_taken);
        text.count(&family::REPLAYS_RUNNING, tally.counters.replays_running.get());
        text.per_label(&family::REPLAYED, &tally.counters.replayed);
    }
}

fn caches_of(caches: &[(&str, Usage<'_>)], text: &mut Exposition) {
    let mut lookups = text.family(&family::CACHE_LOOKUPS);
    for (name, usage) in caches {
        for result in Lookup::ALL {
            let count = usage.lookups.of(*result).get();
            lookups.add(&[name, result.value()], count as f64);
        }
    }
    let mut entries = text.family(&family::CACHE_ENTRIES);
    for (name, usage) in caches {
        entries.add(&[name], usage.size as f64);
    }
}
