//! What spans say of deliveries: ids, codes and numbers. Of a URL they say the host and the port: its
//! path and its query may hold secrets.

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::decode::{Decoded, Message, Parent};
use super::{Halt, Pipeline};
use crate::domain::decide::Disposition;
use crate::domain::outcome::{Attempt, AttemptOutcome};
use crate::domain::request::OutboundRequest;
use crate::domain::span::Attributes;
use crate::domain::trace_context::TraceId;
use crate::egress::client::Timeline;
use crate::ports::deliveries::AttemptRecord;
use crate::telemetry::tracer::{Stage, Trace, attribute};

/// When a call carries `traceparent`. Where the delivery is traced, it names the span of the call;
/// elsewhere it is the job's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Traceparent {
    /// Where the job brought one.
    #[default]
    Given,
    /// Always where the delivery is traced, and where the job brought one.
    Traced,
    /// Never.
    Never,
}

impl Traceparent {
    /// What the call carries, of a job that brought `given`.
    pub fn of(self, trace: &Trace, given: Option<&str>) -> Option<String> {
        let own = || trace.context().map(|context| context.to_string());
        match (self, given) {
            (Self::Never, _) | (Self::Given, None) => None,
            (Self::Given | Self::Traced, Some(given)) => Some(own().unwrap_or(given.to_owned())),
            (Self::Traced, None) => own(),
        }
    }
}

impl Pipeline {
    /// Begins the trace of what was decoded, from `begun` on.
    pub(super) fn trace<'m>(&self, message: &mut Message<'m>, begun: Option<Instant>) {
        let (Some(tracer), Some(begun)) = (&self.tracer, begun) else { return };
        match message {
            Message::Delivery(decoded) => {
                let (key, round) = (&decoded.key, decoded.key.round.to_string());
                let own = || {
                    let (customer, endpoint) = (key.customer_id.as_str(), key.endpoint_id.as_str());
                    TraceId::of(&[customer, key.job_id.as_str(), endpoint, &round])
                };
                let given = decoded.job.traceparent.as_deref();
                decoded.trace = tracer.begin("deliver", begun, given, own);
                decoded.trace.since("decode", begun);
                decoded.trace.note(|| of_delivery(decoded));
            }
            Message::Parent(parent) => {
                let (key, round) = (&parent.key, parent.key.round.to_string());
                let own = || TraceId::of(&[key.customer_id.as_str(), key.job_id.as_str(), &round]);
                let given = parent.job.traceparent.as_deref();
                parent.trace = tracer.begin("fan_out", begun, given, own);
                parent.trace.since("decode", begun);
                parent.trace.note(|| of_parent(parent));
            }
        }
    }
}

fn of_delivery(decoded: &Decoded<'_>) -> Attributes {
    let key = &decoded.key;
    vec![
        attribute("messaging.operation.type", "process"),
        attribute("messaging.message.id", decoded.message.message_id.as_str()),
        attribute("sealpost.customer_id", key.customer_id.as_str()),
        attribute("sealpost.endpoint_id", key.endpoint_id.as_str()),
        attribute("sealpost.job_id", key.job_id.as_str()),
        attribute("sealpost.round", i64::from(key.round)),
        attribute("sealpost.attempt", i64::from(decoded.state.attempt) + 1),
    ]
}

fn of_parent(parent: &Parent<'_>) -> Attributes {
    vec![
        attribute("messaging.operation.type", "process"),
        attribute("messaging.message.id", parent.message.message_id.as_str()),
        attribute("sealpost.customer_id", parent.key.customer_id.as_str()),
        attribute("sealpost.job_id", parent.key.job_id.as_str()),
    ]
}

/// What follows from the delivery's stages.
pub fn note_result(trace: &Trace, result: &Result<AttemptRecord, Halt>) {
    let (disposition, error) = match result {
        Ok(record) | Err(Halt::Finish(record)) => match record.disposition {
            Disposition::Done => ("done", None),
            Disposition::RetryAt(_) => ("retry", Some(outcome(&record.attempt.outcome))),
            Disposition::DeadLetter(reason) => ("dead_letter", Some(reason.code().to_owned())),
        },
        Err(Halt::DeadLetter(reason, _)) => ("dead_letter", Some(reason.code().to_owned())),
        Err(Halt::Park(_, why) | Halt::Limited(_, why)) => {
            trace.note(|| vec![attribute("sealpost.wait", why.code())]);
            ("park", None)
        }
        Err(Halt::Leftover | Halt::Lost) => ("leftover", None),
        Err(Halt::Ours(error)) => ("fault", Some(error.operation.to_owned())),
    };
    trace.note(|| vec![attribute("sealpost.disposition", disposition)]);
    if let Some(error) = error {
        trace.fail(&error);
    }
}

fn outcome(outcome: &AttemptOutcome) -> String {
    match outcome {
        AttemptOutcome::Answered { status, .. } => status.to_string(),
        AttemptOutcome::Failed { phase } => phase.name().to_owned(),
    }
}

/// What is known of a call when it has ended.
pub fn note_call(stage: &mut Stage<'_>, request: &OutboundRequest, attempt: &Attempt) {
    stage.note(|| {
        let mut attributes = vec![
            attribute("http.request.method", request.method.as_str()),
            attribute("url.scheme", request.url.scheme()),
            attribute("server.address", request.url.host_str().unwrap_or_default()),
        ];
        let port = request.url.port_or_known_default();
        attributes.extend(port.map(|port| attribute("server.port", i64::from(port))));
        let peer = attempt.address.as_deref();
        attributes.extend(peer.map(|peer| attribute("network.peer.address", peer)));
        if let AttemptOutcome::Answered { status, .. } = attempt.outcome {
            attributes.push(attribute("http.response.status_code", i64::from(status)));
        }
        attributes
    });
    if !attempt.outcome.is_success() {
        stage.fail(&outcome(&attempt.outcome));
    }
}

/// The parts of a call: looking the name up, connecting, the TLS handshake, sending, waiting, reading.
pub fn note_parts(trace: &Trace, begun: Instant, timeline: &Timeline, ended: Instant) {
    let Timeline { connecting, handshaking, connected, written, answered } = *timeline;
    let mut from = begun;
    // A part that was not come to has no end of its own: the one before lasted until then.
    let parts = [
        ("dns", connecting),
        ("connect", handshaking.or(connected)),
        ("tls", handshaking.and(connected)),
        ("send", written),
        ("wait", answered),
        ("read", answered.map(|_| ended)),
    ];
    for (name, until) in parts {
        if let Some(until) = until.filter(|until| *until >= from) {
            trace.within_attempt(name, from, until);
            from = until;
        }
    }
}
