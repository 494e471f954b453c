//! What travels beside a message's body: everything of ours in one attribute named `sealpost`, a
//! dead letter's three attributes to filter on, and the producer's own.
//!
//! A message has ten attributes at most (Amazon SQS Developer Guide, "Amazon SQS message metadata").
//! Of the producer's, the smallest move inside ours where there is no place for them.

use std::collections::{BTreeMap, HashMap};
use std::iter::successors;

use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::MessageAttributeValue;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::domain::dead_letter::DeadLetter;
use crate::domain::delivery::DeliveryState;
use crate::domain::timestamp::Timestamp;

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

/// What our attribute holds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// The id of the producer's message; absent until it was received once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// When the producer's message was accepted, or a replay of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Timestamp>,
    /// Not to be handed out before then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// How often the message was sent anew without a change.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub hops: u32,
    /// The dead letter's id; on the queue of jobs, it was moved back by AWS's own redrive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter_id: Option<String>,
    /// The delivery's state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// Attributes of the producer's that found no place.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) attributes: BTreeMap<String, Inner>,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// The delivery's state as the pipeline gave it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// JSON, as it is.
    Json(Box<RawValue>),
    /// Anything else, in base64.
    Bytes(String),
}

impl State {
    /// Wraps what the pipeline gave.
    pub fn of(bytes: &Bytes) -> Self {
        match serde_json::from_slice::<Box<RawValue>>(bytes) {
            Ok(json) => Self::Json(json),
            Err(_) => Self::Bytes(BASE64_STANDARD.encode(bytes)),
        }
    }

    /// What the pipeline gave.
    pub fn bytes(&self) -> Bytes {
        match self {
            Self::Json(json) => Bytes::copy_from_slice(json.get().as_bytes()),
            // What is no base64 any more is handed on as it is, to be told as unreadable.
            Self::Bytes(text) => {
                BASE64_STANDARD.decode(text).map_or_else(|_| text.clone().into(), Bytes::from)
            }
        }
    }
}

/// An attribute of the producer's inside ours.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Inner {
    #[serde(rename = "type")]
    data_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    string: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    binary: Option<String>,
}

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

impl Inner {
    fn of(value: &MessageAttributeValue) -> Self {
        Self {
            data_type: value.data_type.clone(),
            string: value.string_value.clone(),
            binary: value.binary_value.as_ref().map(|blob| BASE64_STANDARD.encode(blob.as_ref())),
        }
    }

    fn open(self) -> Option<MessageAttributeValue> {
        let binary = self.binary.map(|text| BASE64_STANDARD.decode(text)).transpose().ok()?;
        MessageAttributeValue::builder()
            .data_type(self.data_type)
            .set_string_value(self.string)
            .set_binary_value(binary.map(Blob::new))
            .build()
            .ok()
    }
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
    let shorter_and_shorter = successors(Some(envelope), shortened);
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
    let whole = Envelope { dead_letter_id: Some(letter.id.clone()), ..envelope };
    let bare = Envelope { state: None, ..whole.clone() };
    let id_alone = Envelope { dead_letter_id: whole.dead_letter_id.clone(), ..Envelope::default() };
    let shorter_and_shorter = successors(Some(whole), shortened);
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
    let own = json(&envelope);
    let is_needed = own != "{}" || !filters.is_empty();
    let places = MOST - filters.len() - usize::from(is_needed);
    let mut by_size: Vec<_> = producer.iter().collect();
    by_size.sort_by_key(|(name, value)| (size_of(name, value), *name));
    let (inside, beside) = by_size.split_at(producer.len().saturating_sub(places));
    let inside = inside.iter().map(|(name, value)| ((*name).clone(), Inner::of(value)));
    envelope.attributes = inside.collect();
    let mut closed = Closed::default();
    for (name, value) in beside {
        closed.add(name, (*value).clone());
    }
    if is_needed {
        closed.add(OURS, text(json(&envelope)));
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

/// The envelope in JSON. SQS takes the characters of XML 1.0 alone: of those that JSON leaves
/// unescaped, that forbids two, which can only stand in a string.
fn json(envelope: &Envelope) -> String {
    // Strings, numbers and JSON that was read before: none can fail to be written.
    let json = serde_json::to_string(envelope).unwrap_or_default();
    if json.contains(['\u{fffe}', '\u{ffff}']) {
        return json.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff");
    }
    json
}

/// The envelope without the oldest attempt of its state's history, if there is one.
fn shortened(envelope: &Envelope) -> Option<Envelope> {
    let mut state: DeliveryState =
        serde_json::from_slice(&envelope.state.as_ref()?.bytes()).ok()?;
    if state.history.is_empty() {
        return None;
    }
    state.history.remove(0);
    let state = serde_json::value::to_raw_value(&state).ok()?;
    Some(Envelope { state: Some(State::Json(state)), ..envelope.clone() })
}

#[cfg(test)]
#[path = "attributes_tests.rs"]
mod tests;
