//! CloudEvents 1.0: the JSON format and the HTTP binding, in structured and in binary mode.

use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;

use super::budget::Problem;
use super::json::Json;
use super::output::Output;
use super::{Event, Made};
use crate::domain::body::{CloudEvents, Mode, essence, is_json};
use crate::domain::field::FieldError;
use crate::domain::header;

/// The content type of one event in JSON.
pub const CONTENT_TYPE: &str = "application/cloudevents+json";
/// Most attributes of one event: each becomes a header.
const MAX_ATTRIBUTES: usize = 64;
/// The attributes that every event may have (CloudEvents 1.0 section "Context Attributes").
const CORE: [&str; 8] =
    ["specversion", "id", "source", "type", "time", "subject", "dataschema", "datacontenttype"];

/// What an event carries.
pub enum Content {
    /// Nothing.
    None,
    /// Text, JSON or other, and its content type.
    Text(String, String),
    /// Bytes, and their content type.
    Bytes(Bytes, Option<String>),
}

type Attributes = Vec<(Arc<str>, Json)>;

/// Checks settings.
pub fn check(settings: &CloudEvents) -> Result<(), FieldError> {
    let texts = [
        ("source", &settings.source),
        ("type", &settings.event_type),
        ("subject", &settings.subject),
        ("dataSchema", &settings.data_schema),
    ];
    for (field, value) in texts {
        if let Some(value) = value {
            let name = field.to_ascii_lowercase();
            check_value(&name, &Json::string(value.as_str()))
                .map_err(|problem| FieldError::new(field, problem.0))?;
        }
    }
    for (name, value) in &settings.extensions {
        let field = || format!("extensions.{name:.64}");
        if CORE.contains(&name.as_str()) {
            return Err(FieldError::new(field(), "this attribute is no extension"));
        }
        check_name(name)
            .and_then(|()| check_value(name, &Json::string(value.as_str())))
            .map_err(|problem| FieldError::new(field(), problem.0))?;
    }
    Ok(())
}

/// Whether a job is a CloudEvent itself.
pub fn is_event(content_type: Option<&str>) -> bool {
    content_type.is_some_and(|content_type| essence(content_type) == CONTENT_TYPE)
}

/// The data of a job that is a CloudEvent.
pub fn content(event: &Json) -> Result<Content, Problem> {
    let declared = event.get("datacontenttype").and_then(Json::as_str);
    match (event.get("data"), event.get("data_base64")) {
        (None, None | Some(Json::Null)) => Ok(Content::None),
        (None, Some(encoded)) => {
            let encoded = encoded.as_str().unwrap_or("?");
            let bytes = BASE64_STANDARD.decode(encoded);
            let bytes = bytes.map_err(|_| "the event's data_base64 is not base64")?;
            Ok(Content::Bytes(bytes.into(), declared.map(str::to_owned)))
        }
        (Some(data), None) => {
            let content_type = declared.unwrap_or("application/json");
            let text = match data {
                Json::String(text) if !is_json(content_type) => text.to_string(),
                data => data.to_json()?,
            };
            Ok(Content::Text(text, content_type.to_owned()))
        }
        (Some(_), Some(_)) => Err("the event has both data and data_base64".into()),
    }
}

/// Writes an event. `own` is the job's data, if that is a CloudEvent itself.
pub fn write(
    settings: &CloudEvents,
    event: &Event<'_>,
    own: Option<&Json>,
    content: Content,
) -> Result<Made, Problem> {
    let mut attributes = attributes(settings, event, own)?;
    attributes.retain(|(name, _)| **name != *"datacontenttype");
    let content_type = match &content {
        Content::None => None,
        Content::Text(_, content_type) => Some(content_type.clone()),
        Content::Bytes(_, content_type) => content_type.clone(),
    };
    match settings.mode {
        Mode::Structured => structured(attributes, content, content_type),
        Mode::Binary => binary(&attributes, content, content_type),
    }
}

fn attributes(
    settings: &CloudEvents,
    event: &Event<'_>,
    own: Option<&Json>,
) -> Result<Attributes, Problem> {
    let mut attributes = own.map_or_else(|| Ok(Vec::new()), own_attributes)?;
    let mut fill = |name: &str, value: Option<String>| {
        let is_set = attributes.iter().any(|(own, _)| **own == *name);
        if let (false, Some(value)) = (is_set, value) {
            attributes.push((name.into(), Json::string(value)));
        }
    };
    fill("specversion", Some("1.0".to_owned()));
    fill("id", Some(event.id.as_str().to_owned()));
    let source = || format!("/customers/{}", event.customer_id);
    fill("source", Some(settings.source.clone().unwrap_or_else(source)));
    let event_type = event.event_type.map(str::to_owned);
    fill("type", event_type.or_else(|| settings.event_type.clone()));
    // A foreign event without a time happened at one that is not known.
    fill("time", own.is_none().then(|| event.accepted_at.to_string()));
    fill("subject", settings.subject.clone());
    fill("dataschema", settings.data_schema.clone());
    for (name, value) in &settings.extensions {
        fill(name, Some(value.clone()));
    }
    if attributes.len() > MAX_ATTRIBUTES {
        return Err(format!("more than {MAX_ATTRIBUTES} attributes").into());
    }
    for (name, value) in &attributes {
        check_value(name, value)?;
    }
    for required in ["specversion", "id", "source", "type"] {
        if !attributes.iter().any(|(name, _)| **name == *required) {
            let what = "the job has no type: send it with one, or set cloudEvents.type";
            return Err(format!("an event needs the attribute {required}; {what}").into());
        }
    }
    Ok(attributes)
}

fn own_attributes(own: &Json) -> Result<Attributes, Problem> {
    let Json::Object(object) = own else { return Err("the job's event is no object".into()) };
    let mut attributes = Vec::new();
    for (name, value) in object.members() {
        if matches!(&**name, "data" | "data_base64") || matches!(value, Json::Null) {
            continue;
        }
        check_name(name)?;
        if **name == *"specversion" && value.as_str() != Some("1.0") {
            return Err("the job's event has another specversion than 1.0".into());
        }
        attributes.push((name.clone(), value.clone()));
        if attributes.len() > MAX_ATTRIBUTES {
            return Err(format!("more than {MAX_ATTRIBUTES} attributes").into());
        }
    }
    Ok(attributes)
}

fn check_name(name: &str) -> Result<(), Problem> {
    let is_part = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    if name.is_empty() || name.len() > 64 || !name.bytes().all(is_part) || name == "data" {
        return Err("an attribute's name has 1 to 64 letters a-z and digits".into());
    }
    Ok(())
}

/// Section "Type System": strings without control characters, booleans, and 32-bit integers.
fn check_value(name: &str, value: &Json) -> Result<(), Problem> {
    let is_core = CORE.contains(&name);
    let is_fit = match value {
        Json::String(text) => {
            let is_uri = |c: char| c.is_ascii_graphic() && !"\"<>\\^`{|}".contains(c);
            let accepts = |c| if name == "source" { is_uri(c) } else { !c.is_control() };
            text.chars().all(accepts) && !(is_core && text.is_empty())
        }
        Json::Bool(_) => !is_core,
        Json::Number(text) => !is_core && text.parse::<i32>().is_ok(),
        Json::Null | Json::Array(_) | Json::Object(_) => false,
    };
    if is_fit {
        return Ok(());
    }
    let expected = match (name, is_core) {
        ("source", _) => "a URI",
        (_, true) => "a string that is not empty, without control characters",
        (_, false) => "a string without control characters, a boolean or a 32-bit integer",
    };
    Err(format!("the attribute {name:.64} cannot be sent: expected {expected}").into())
}

fn structured(
    mut attributes: Attributes,
    content: Content,
    content_type: Option<String>,
) -> Result<Made, Problem> {
    if let Some(content_type) = &content_type {
        attributes.push(("datacontenttype".into(), Json::string(content_type.as_str())));
    }
    let mut output = Output::default();
    for (n, (name, value)) in attributes.iter().enumerate() {
        output.push(if n == 0 { "{" } else { "," })?;
        output.string(name)?;
        output.push(":")?;
        output.json(value)?;
    }
    match content {
        Content::None => {}
        Content::Text(text, content_type) => {
            output.push(",\"data\":")?;
            if is_json(&content_type) {
                output.push(&text)?;
            } else {
                output.string(&text)?;
            }
        }
        Content::Bytes(bytes, _) => {
            output.push(",\"data_base64\":\"")?;
            output.push(&BASE64_STANDARD.encode(bytes))?;
            output.push("\"")?;
        }
    }
    output.push("}")?;
    Ok(Made {
        bytes: output.into_text().into(),
        content_type: Some(CONTENT_TYPE.to_owned()),
        headers: Vec::new(),
    })
}

fn binary(
    attributes: &Attributes,
    content: Content,
    content_type: Option<String>,
) -> Result<Made, Problem> {
    let mut headers = Vec::new();
    for (name, value) in attributes {
        let encoded = percent_encoded(&value.to_text()?);
        let (header, value) = header::check_plain(&format!("ce-{name}"), &encoded)
            .map_err(|e| format!("the attribute {name:.64} cannot be a header: {e}"))?;
        headers.push((header, value.to_owned()));
    }
    let bytes = match content {
        Content::None => Bytes::new(),
        Content::Text(text, _) => text.into(),
        Content::Bytes(bytes, _) => bytes,
    };
    Ok(Made { bytes, content_type, headers })
}

/// HTTP binding, section 3.1.3.2: spaces, double quotes, percent signs, and all that is not visible
/// ASCII.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'"' | b'%' => encoded.push_str(if byte == b'"' { "%22" } else { "%25" }),
            b'!'..=b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
