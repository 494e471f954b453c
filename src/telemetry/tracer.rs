//! Traces of deliveries: spans are made where the work is done, and handed over in batches behind its
//! back. Where nobody looks, nothing is made and no clock is read.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::Tally;
use super::metrics::label::SpanResult;
use super::span_export::{Handed, WAITING, hand_over};
use crate::domain::span::{Attributes, Span, SpanKind, Value};
use crate::domain::trace_context::{SpanId, TraceContext, TraceId};
use crate::ports::spans::Spans;
use crate::ports::{Chance, Clock};

/// Makes traces.
#[derive(Clone)]
pub struct Tracer(Arc<Inner>);

struct Inner {
    sample: f64,
    sender: mpsc::Sender<Handed>,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    tally: Arc<Tally>,
}

impl Tracer {
    /// Looks at this share of the traces that come from nowhere, and at those whose callers do.
    pub fn start(
        sample: f64,
        spans: Arc<dyn Spans>,
        clock: Arc<dyn Clock>,
        chance: Arc<dyn Chance>,
        tally: Arc<Tally>,
    ) -> Self {
        let (sender, handed) = mpsc::channel(WAITING);
        tokio::spawn(hand_over(handed, spans, Arc::clone(&tally)));
        Self(Arc::new(Inner { sample, sender, clock, chance, tally }))
    }

    /// Begins the trace of something that was begun at `begun` and caused by what `traceparent` says;
    /// `own` is its trace if it says nothing.
    pub fn begin(
        &self,
        name: &'static str,
        begun: Instant,
        traceparent: Option<&str>,
        own: impl FnOnce() -> TraceId,
    ) -> Trace {
        let inner = &self.0;
        let given: Option<TraceContext> = traceparent.and_then(|text| text.parse().ok());
        let (trace_id, parent, is_sampled) = match given {
            Some(given) => (given.trace_id, Some(given.parent), given.is_sampled),
            None => {
                let trace_id = own();
                (trace_id, None, trace_id.is_within(inner.sample))
            }
        };
        if !is_sampled {
            return Trace(None);
        }
        let wall = inner.clock.now().as_millis().unsigned_abs().saturating_mul(1_000_000);
        let begun_at = wall.saturating_sub(nanos(begun.elapsed()));
        let (root, attempt) = (inner.id(), inner.id());
        let state = Mutex::default();
        let inner = Arc::clone(inner);
        Trace(Some(Box::new(Active {
            inner,
            name,
            trace_id,
            parent,
            root,
            attempt,
            begun,
            begun_at,
            state,
        })))
    }

    /// Waits until everything that was handed over before was taken or given up.
    pub async fn flush(&self) {
        let (reply, flushed) = oneshot::channel();
        if self.0.sender.send(Handed::Flush(reply)).await.is_ok() {
            let _ = flushed.await;
        }
    }
}

impl Inner {
    fn id(&self) -> SpanId {
        let mut bytes = [0; 8];
        self.chance.fill(&mut bytes);
        SpanId::new(bytes)
    }
}

/// The trace of one delivery at one worker. It ends when it is dropped.
#[derive(Default)]
pub struct Trace(Option<Box<Active>>);

struct Active {
    inner: Arc<Inner>,
    name: &'static str,
    trace_id: TraceId,
    parent: Option<SpanId>,
    root: SpanId,
    /// The span of the call, whose id is sent before it begins.
    attempt: SpanId,
    begun: Instant,
    /// The same in nanoseconds since the Unix epoch.
    begun_at: u64,
    state: Mutex<State>,
}

/// What was seen so far.
#[derive(Default)]
struct State {
    spans: Vec<Span>,
    attributes: Attributes,
    error: Option<String>,
}

/// A part of the work: it ends when this is dropped.
pub struct Stage<'t>(Option<Open<'t>>);

struct Open<'t> {
    active: &'t Active,
    id: SpanId,
    name: &'static str,
    kind: SpanKind,
    begun: Instant,
    attributes: Attributes,
    error: Option<String>,
}

impl Trace {
    /// Nobody looks.
    pub fn none() -> Self {
        Self(None)
    }

    /// What the call tells the endpoint that it was caused by; `None` if nobody looks.
    pub fn context(&self) -> Option<TraceContext> {
        let active = self.0.as_ref()?;
        Some(TraceContext { trace_id: active.trace_id, parent: active.attempt, is_sampled: true })
    }

    /// A part of the work begins.
    pub fn stage(&self, name: &'static str) -> Stage<'_> {
        Stage(self.0.as_deref().map(|active| {
            let (id, begun) = (active.inner.id(), Instant::now());
            Open::new(active, id, name, SpanKind::Internal, begun)
        }))
    }

    /// A part of the work has ended that began at `begun`.
    pub fn since(&self, name: &'static str, begun: Instant) {
        if let Some(active) = self.0.as_deref() {
            drop(Stage(Some(Open::new(
                active,
                active.inner.id(),
                name,
                SpanKind::Internal,
                begun,
            ))));
        }
    }

    /// The call begins.
    pub fn attempt(&self) -> Stage<'_> {
        Stage(self.0.as_deref().map(|active| {
            Open::new(active, active.attempt, "attempt", SpanKind::Client, Instant::now())
        }))
    }

    /// A part of the call: it took from one moment to the other.
    pub fn within_attempt(&self, name: &'static str, begun: Instant, ended: Instant) {
        if let Some(active) = self.0.as_deref() {
            let (id, parent) = (active.inner.id(), Some(active.attempt));
            let kind = SpanKind::Internal;
            let span = active.span(id, parent, name, kind, (begun, ended));
            active.state().spans.push(span);
        }
    }

    /// Notes something of the whole; `attributes` are made only if somebody looks.
    pub fn note(&self, attributes: impl FnOnce() -> Attributes) {
        if let Some(active) = self.0.as_deref() {
            active.state().attributes.extend(attributes());
        }
    }

    /// The whole went wrong, for this reason.
    pub fn fail(&self, code: &str) {
        if let Some(active) = self.0.as_deref() {
            active.state().error = Some(code.to_owned());
        }
    }
}

impl<'t> Open<'t> {
    fn new(
        active: &'t Active,
        id: SpanId,
        name: &'static str,
        kind: SpanKind,
        begun: Instant,
    ) -> Self {
        Self { active, id, name, kind, begun, attributes: Vec::new(), error: None }
    }
}

impl Stage<'_> {
    /// Notes something of it; `attributes` are made only if somebody looks.
    pub fn note(&mut self, attributes: impl FnOnce() -> Attributes) {
        if let Some(open) = &mut self.0 {
            open.attributes.extend(attributes());
        }
    }

    /// It went wrong, for this reason.
    pub fn fail(&mut self, code: &str) {
        if let Some(open) = &mut self.0 {
            open.error = Some(code.to_owned());
        }
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        let Some(open) = self.0.take() else { return };
        let Open { active, id, name, kind, begun, attributes, error } = open;
        let mut span = active.span(id, Some(active.root), name, kind, (begun, Instant::now()));
        (span.attributes, span.error) = (attributes, error);
        active.state().spans.push(span);
    }
}

impl Active {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn span(
        &self,
        id: SpanId,
        parent: Option<SpanId>,
        name: &'static str,
        kind: SpanKind,
        (begun, ended): (Instant, Instant),
    ) -> Span {
        let at = |moment: Instant| {
            self.begun_at.saturating_add(nanos(moment.saturating_duration_since(self.begun)))
        };
        let (begun, ended) = (at(begun), at(ended.max(begun)));
        let (trace_id, attributes) = (self.trace_id, Vec::new());
        Span { trace_id, id, parent, name, kind, begun, ended, error: None, attributes }
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        let times = (self.begun, Instant::now());
        let mut root = self.span(self.root, self.parent, self.name, SpanKind::Consumer, times);
        let State { mut spans, attributes, error } = std::mem::take(&mut *self.state());
        (root.attributes, root.error) = (attributes, error);
        spans.push(root);
        let (count, inner) = (spans.len() as u64, &self.inner);
        match inner.sender.try_send(Handed::Spans(spans)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => {
                inner.tally.counters.spans.of(SpanResult::Dropped).add(count);
            }
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// An attribute.
pub fn attribute(name: &'static str, value: impl Into<Value>) -> (&'static str, Value) {
    (name, value.into())
}
