//! What is between a shape and an encoding, and how a job's data is read.

use bytes::Bytes;

use super::budget::Problem;
use super::cloud_events::Content;
use super::json::Json;
use crate::domain::body::is_json;
use crate::domain::job::Payload;

/// What a shape made.
pub enum Shaped {
    AsItCame,
    Value(Json),
    /// Text that is JSON.
    JsonText(String),
    /// Lines of an input transformer, in quotes.
    Lines(String),
    /// Any other text, and its content type.
    Text(String, String),
}

impl Shaped {
    /// As JSON: text that is not becomes a string.
    pub fn into_json(self, payload: &Payload) -> Result<String, Problem> {
        match self {
            Self::Value(value) => value.to_json(),
            Self::JsonText(text) => Ok(text),
            Self::Lines(text) | Self::Text(text, _) => Json::string(text).to_json(),
            Self::AsItCame if says_json(payload) => {
                let text = utf8(payload)?;
                check_json(text)?;
                Ok(text.to_owned())
            }
            Self::AsItCame => data(payload)?.to_json(),
        }
    }

    /// The content of a string, other scalars by their text; text as it is.
    pub fn into_plain(self, payload: &Payload) -> Result<Bytes, Problem> {
        let value = match self {
            Self::Text(text, _) => return Ok(text.into()),
            Self::Lines(text) => return unquoted_lines(&text).map(Bytes::from),
            Self::AsItCame if !says_json(payload) => return Ok(payload.bytes.clone()),
            Self::AsItCame => data(payload)?,
            Self::Value(value) => value,
            Self::JsonText(text) => Json::parse(&text)?,
        };
        if matches!(value, Json::Array(_) | Json::Object(_)) {
            let kind = value.kind();
            return Err(format!("text is made of a string or a number, not of an {kind}").into());
        }
        Ok(Bytes::copy_from_slice(value.to_text()?.as_bytes()))
    }

    pub fn into_value(self, payload: &Payload) -> Result<Json, Problem> {
        match self {
            Self::AsItCame => data(payload),
            Self::Value(value) => Ok(value),
            Self::JsonText(text) => Json::parse(&text),
            Self::Lines(text) | Self::Text(text, _) => Ok(Json::string(text)),
        }
    }
}

fn says_json(payload: &Payload) -> bool {
    payload.content_type.as_deref().is_some_and(is_json)
}

fn utf8(payload: &Payload) -> Result<&str, Problem> {
    std::str::from_utf8(&payload.bytes)
        .map_err(|e| format!("the job's body is not UTF-8 at byte {}", e.valid_up_to()).into())
}

/// The data of a job: JSON as a tree, text as a string, no body as null.
pub fn data(payload: &Payload) -> Result<Json, Problem> {
    if payload.content_type.is_none() {
        return Ok(Json::Null);
    }
    let text = utf8(payload)?;
    if !says_json(payload) {
        return Ok(Json::string(text));
    }
    Json::parse(text).map_err(|problem| format!("the job's body is {}", problem.0).into())
}

/// Whether a text is JSON.
pub fn check_json(text: &str) -> Result<(), Problem> {
    match serde_json::from_str::<serde::de::IgnoredAny>(text) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("does not make JSON: {error}").into()),
    }
}

/// Text that has to be JSON.
pub fn json_text(text: String) -> Result<Shaped, Problem> {
    check_json(&text)?;
    Ok(Shaped::JsonText(text))
}

/// Lines in quotes, without them.
fn unquoted_lines(text: &str) -> Result<String, Problem> {
    let mut lines = Vec::new();
    for line in text.lines() {
        lines.push(match line.trim() {
            quoted if quoted.starts_with('"') => match Json::parse(quoted)? {
                Json::String(line) => line,
                _ => line.into(),
            },
            _ => line.into(),
        });
    }
    Ok(lines.join("\n"))
}

/// A job's body, as an event carries it.
pub fn came(payload: &Payload) -> Result<Content, Problem> {
    let Some(content_type) = payload.content_type.clone() else { return Ok(Content::None) };
    if is_json(&content_type) {
        let text = utf8(payload)?;
        check_json(text)?;
        return Ok(Content::Text(text.to_owned(), content_type));
    }
    let is_text = content_type.trim_start().to_ascii_lowercase().starts_with("text/");
    match std::str::from_utf8(&payload.bytes) {
        Ok(text) if is_text => Ok(Content::Text(text.to_owned(), content_type)),
        Ok(_) | Err(_) => Ok(Content::Bytes(payload.bytes.clone(), Some(content_type))),
    }
}
