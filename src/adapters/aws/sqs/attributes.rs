//! What travels beside a message's body: everything of ours in one attribute named `sealpost`, a
//! dead letter's three attributes to filter on, and the producer's own.
//!
//! A message has ten attributes at most (Amazon SQS Developer Guide, "Amazon SQS message metadata").
//! Of the producer's, the smallest move inside ours where there is no place for them.

use std::collections::{BTreeMap, HashMap};
use std::iter::successors;

use aws_sdk_sqs::types::MessageAttributeValue;
use bytes::Bytes;

use super::envelope::{Envelope, Inner};
use crate::domain::dead_letter::DeadLetter;
use crate::domain::eventbridge;

/// The attribute that holds everything of ours.
pub const OURS: &str = "sealpost";
/// The dead letter's id, to filter on.
pub const DEAD_LETTER_ID: &str = "sealpost-dead-letter-id";
const CUSTOMER_ID: &str = "sealpost-customer-id";
const REASON: &str = "sealpost-reason";

/// Most attributes of a message.
const MOST: usize = 10;
/// The longest that our attribute may be, without what the producer's attributes add to it.
const LONGEST_OURS: usize = 4096;

/// The producer's attributes, by name.
pub type Attributes = BTreeMap<String, MessageAttributeValue>;

/// The attributes of a message that was received, taken apart.
#[derive(Debug, Default)]
pub struct Opened {
    /// Ours; `Err` with its bytes if it cannot be read.
    pub envelope: Option<Result<Envelope, Bytes>>,
    /// The producer's.
    pub producer: Attributes,
}

/// Takes a message's attributes apart.
pub fn open(attributes: HashMap<String, MessageAttributeValue>) -> Opened {
    let mut opened = Opened::default();
    let mut dead_letter_id = None;
    for (name, value) in attributes {
        match name.as_str() {
            OURS => opened.envelope = Some(read(&value)),
            DEAD_LETTER_ID => dead_letter_id = value.string_value,
            CUSTOMER_ID | REASON => {}
            _ => {
                opened.producer.insert(name, value);
            }
        }
    }
    // A dead letter whose own attribute was lost on the way is one all the same.
    if let (None, Some(id)) = (&opened.envelope, dead_letter_id) {
        opened.envelope = Some(Ok(Envelope { dead_letter_id: Some(id), ..Envelope::default() }));
    }
    if let Some(Ok(envelope)) = &mut opened.envelope {
        if envelope.dead_letter_id.is_some() {
            // Ours: the producer's own of these names are inside.
            opened.producer.retain(|name, _| !eventbridge::NAMES.contains(&name.as_str()));
        }
        let inner = std::mem::take(&mut envelope.attributes);
        opened.producer.extend(inner.into_iter().filter_map(|(name, i)| Some((name, i.open()?))));
    }
    opened
}

fn read(value: &MessageAttributeValue) -> Result<Envelope, Bytes> {
    let text = value.string_value.as_deref().unwrap_or_default();
    serde_json::from_str(text).map_err(|_| match &value.binary_value {
        Some(blob) => Bytes::copy_from_slice(blob.as_ref()),
        None => Bytes::copy_from_slice(text.as_bytes()),
    })
}

/// The attributes of a message to be sent, and their size.
#[derive(Debug, Clone, Default)]
pub struct Closed {
    /// All of them.
    pub attributes: HashMap<String, MessageAttributeValue>,
    /// What they add to the message: names, types and values, in bytes.
    pub size: usize,
}

/// A message's attributes do not fit beside its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a body of {body} bytes leaves no room for its state: the queue takes {limit} bytes for both"
)]
pub struct NoRoom {
    body: usize,
    limit: usize,
}

/// Puts the attributes of a message together so that they fit beside a body of `body` bytes in
/// `limit`. The state's history is shortened where it has to be.
///
/// # Errors
/// If they do not fit even so.
pub fn close(
    envelope: Envelope,
    producer: &Attributes,
    body: usize,
    limit: usize,
) -> Result<Closed, NoRoom> {
    let shorter_and_shorter = successors(Some(envelope), Envelope::shortened);
    let ways = shorter_and_shorter.map(|envelope| assemble(&envelope, producer, &[]));
    first_fitting(ways, body, limit)
}

/// The same for a dead letter. Where the state does not fit, it is left to the index record.
///
/// # Errors
/// If not even the dead letter's id fits.
pub fn close_dead_letter(
    envelope: Envelope,
    producer: &Attributes,
    letter: &DeadLetter,
    body: usize,
    limit: usize,
) -> Result<Closed, NoRoom> {
    let mut filters = vec![(DEAD_LETTER_ID, letter.id.as_str()), (REASON, letter.reason.code())];
    filters.extend(letter.customer_id.as_ref().map(|id| (CUSTOMER_ID, id.as_str())));
    filters.extend(letter.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let whole = Envelope { dead_letter_id: Some(letter.id.clone()), ..envelope };
    let bare = Envelope { state: None, ..whole.clone() };
    let id_alone = Envelope { dead_letter_id: whole.dead_letter_id.clone(), ..Envelope::default() };
    let shorter_and_shorter = successors(Some(whole), Envelope::shortened);
    let ways = shorter_and_shorter.map(|envelope| assemble(&envelope, producer, &filters));
    first_fitting(ways, body, limit).or_else(|_| {
        let without_state = [
            assemble(&bare, producer, &filters),
            assemble(&bare, producer, &[]),
            assemble(&id_alone, &Attributes::new(), &[]),
        ];
        first_fitting(without_state.into_iter(), body, limit)
    })
}

/// The first that fits with an attribute of ours that is not too long; otherwise the shortest that
/// fits: longer than we wish is no reason to stop.
fn first_fitting(
    ways: impl Iterator<Item = (Closed, usize)>,
    body: usize,
    limit: usize,
) -> Result<Closed, NoRoom> {
    let mut shortest = Err(NoRoom { body, limit });
    for (closed, ours) in ways.filter(|(closed, _)| body + closed.size <= limit) {
        if ours <= LONGEST_OURS {
            return Ok(closed);
        }
        shortest = Ok(closed);
    }
    shortest
}

/// The attributes as they would be sent, and the length of ours.
fn assemble(
    envelope: &Envelope,
    producer: &Attributes,
    filters: &[(&str, &str)],
) -> (Closed, usize) {
    let mut envelope = envelope.clone();
    let own = envelope.json();
    let is_needed = own != "{}" || !filters.is_empty();
    let places = MOST - filters.len() - usize::from(is_needed);
    // A dead letter may have attributes of ours in the place of the producer's.
    let is_taken = |name: &str| !filters.is_empty() && eventbridge::NAMES.contains(&name);
    let mut by_size: Vec<_> = producer.iter().collect();
    by_size.sort_by_key(|(name, value)| (!is_taken(name), size_of(name, value), *name));
    let taken = by_size.iter().filter(|(name, _)| is_taken(name)).count();
    let (inside, beside) = by_size.split_at(producer.len().saturating_sub(places).max(taken));
    let inside = inside.iter().map(|(name, value)| ((*name).clone(), Inner::of(value)));
    envelope.attributes = inside.collect();
    let mut closed = Closed::default();
    for (name, value) in beside {
        closed.add(name, (*value).clone());
    }
    if is_needed {
        closed.add(OURS, text(envelope.json()));
    }
    for (name, value) in filters {
        closed.add(name, text((*value).to_owned()));
    }
    (closed, own.len())
}

impl Closed {
    fn add(&mut self, name: &str, value: MessageAttributeValue) {
        self.size += size_of(name, &value);
        self.attributes.insert(name.to_owned(), value);
    }
}

fn size_of(name: &str, value: &MessageAttributeValue) -> usize {
    let string = value.string_value.as_ref().map_or(0, String::len);
    let binary = value.binary_value.as_ref().map_or(0, |blob| blob.as_ref().len());
    name.len() + value.data_type.len() + string + binary
}

#[allow(clippy::expect_used, reason = "only a missing data type makes the builder fail")]
fn text(value: String) -> MessageAttributeValue {
    let builder = MessageAttributeValue::builder().data_type("String").string_value(value);
    builder.build().expect("the data type is set")
}

#[cfg(test)]
#[path = "attributes_tests.rs"]
mod tests;
