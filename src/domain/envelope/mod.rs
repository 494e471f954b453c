//! Messages of others that are accepted as they come: events of Amazon EventBridge, CloudEvents and
//! notifications of Amazon SNS. Where they name customer and endpoint is a setting.

mod cloudevents;
mod eventbridge;
mod fields;
pub mod pointer;
mod sns;
#[cfg(test)]
mod tests;

use bytes::Bytes;

use crate::domain::field::FieldError;
use crate::domain::job::{Job, Undecodable, decode_or};
use crate::domain::reason::Reason;
use fields::Fields;
pub use pointer::{Pointer, Pointers};

/// What a job came as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Envelope {
    /// A job of ours.
    Job,
    /// An event of Amazon EventBridge.
    EventBridge,
    /// A CloudEvent in JSON.
    CloudEvents,
    /// A notification of Amazon SNS whose message is none of the others.
    Sns,
}

/// Reads a job from the bytes of a message: one of ours, or what can be taken as one.
///
/// # Errors
/// With a stable reason and the path of the field that is wrong.
pub fn read(bytes: &Bytes, pointers: &Pointers) -> Result<Job, Undecodable> {
    // Only what is no job of ours costs a second reading.
    decode_or(bytes, |text| foreign(text, pointers))
}

/// Reads an envelope; `None` if `text` is none.
fn foreign(text: &str, pointers: &Pointers) -> Option<Result<Job, Undecodable>> {
    let fields = Fields::of(text)?;
    event(&fields, text, pointers).or_else(|| sns::read(&fields, pointers))
}

/// Reads an event, in an envelope or by itself; `None` if it is none.
fn event(fields: &Fields<'_>, text: &str, pointers: &Pointers) -> Option<Result<Job, Undecodable>> {
    cloudevents::read(fields, text, pointers).or_else(|| eventbridge::read(fields, text, pointers))
}

fn invalid(path: impl Into<String>, problem: impl Into<String>) -> Undecodable {
    Undecodable { reason: Reason::InvalidJob, error: FieldError::new(path, problem) }
}
