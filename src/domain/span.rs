//! Spans: what took how long, as part of which trace. They hold ids, codes and numbers: no header, no
//! body, and of a URL its host alone.

use crate::domain::trace_context::{SpanId, TraceId};

/// Which side of a call a span is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    /// Work within the process.
    Internal,
    /// A call to somebody else.
    Client,
    /// Work on a message.
    Consumer,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A whole number.
    Whole(i64),
}

/// The attributes of a span, by the names of OpenTelemetry's semantic conventions where those have one.
pub type Attributes = Vec<(&'static str, Value)>;

/// A span that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Its trace.
    pub trace_id: TraceId,
    /// Its own id.
    pub id: SpanId,
    /// The span that caused it.
    pub parent: Option<SpanId>,
    /// What was done: one of a few words.
    pub name: &'static str,
    /// Which side of a call it is.
    pub kind: SpanKind,
    /// When it began, in nanoseconds since the Unix epoch.
    pub begun: u64,
    /// When it ended.
    pub ended: u64,
    /// What went wrong, as a code, if anything did.
    pub error: Option<String>,
    /// What is known of it.
    pub attributes: Attributes,
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Whole(number)
    }
}
