//! What the attribute `sealpost` holds: everything of ours in a message, in JSON.

use std::collections::BTreeMap;

use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::MessageAttributeValue;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::domain::delivery::DeliveryState;
use crate::domain::timestamp::Timestamp;
use crate::domain::version::Known;

/// What our attribute holds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// The version of its form. What is of a newer one is not read.
    #[serde(default, rename = "version", skip_serializing)]
    pub _version: Known,
    /// The whole of it, as it came and cannot be read: it goes on unchanged.
    #[serde(skip)]
    pub unread: Option<String>,
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
    /// The id that it had as a dead letter, if it was moved back since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_back: Option<String>,
    /// The producer's `SenderId`; absent where one of ours was the first to send it, or nobody asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    /// The message group of a dead letter in the FIFO queue that it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The delivery's state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// Attributes of the producer's that found no place.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, Inner>,
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
pub struct Inner {
    #[serde(rename = "type")]
    data_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    string: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    binary: Option<String>,
}

impl Inner {
    /// Puts it in.
    pub fn of(value: &MessageAttributeValue) -> Self {
        Self {
            data_type: value.data_type.clone(),
            string: value.string_value.clone(),
            binary: value.binary_value.as_ref().map(|blob| BASE64_STANDARD.encode(blob.as_ref())),
        }
    }

    /// Takes it out; `None` if it is none any more.
    pub fn open(self) -> Option<MessageAttributeValue> {
        let binary = self.binary.map(|text| BASE64_STANDARD.decode(text)).transpose().ok()?;
        MessageAttributeValue::builder()
            .data_type(self.data_type)
            .set_string_value(self.string)
            .set_binary_value(binary.map(Blob::new))
            .build()
            .ok()
    }
}

impl Envelope {
    /// The envelope in JSON. SQS takes the characters of XML 1.0 alone: of those that JSON leaves
    /// unescaped, that forbids two, which can only stand in a string.
    pub fn json(&self) -> String {
        if let Some(unread) = &self.unread {
            return unread.clone();
        }
        // Strings, numbers and JSON that was read before: none can fail to be written.
        let json = serde_json::to_string(self).unwrap_or_default();
        if json.contains(['\u{fffe}', '\u{ffff}']) {
            return json.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff");
        }
        json
    }

    /// The envelope without the oldest attempt of its state's history, if there is one.
    pub fn shortened(&self) -> Option<Self> {
        let mut state: DeliveryState =
            serde_json::from_slice(&self.state.as_ref()?.bytes()).ok()?;
        if state.history.is_empty() {
            return None;
        }
        state.history.remove(0);
        let state = serde_json::value::to_raw_value(&state).ok()?;
        Some(Self { state: Some(State::Json(state)), ..self.clone() })
    }
}
