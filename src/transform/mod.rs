//! The body of a call, made of a job's data as the endpoint's field `body` says.
//!
//! A body is made in two steps: its *shape* takes what is wanted of the data (a JMESPath expression,
//! a template, an input transformer, a path, or all of it as it came), and its *encoding* says how
//! that is written (JSON, text, a form, a CloudEvent). Everything here is a function of the settings
//! and the job, the same at every attempt; numbers keep their text; and whatever settings and data
//! hold, it ends within milliseconds and a few mebibytes (`budget`).

mod budget;
mod cloud_events;
mod compare;
mod form;
mod input_transformer;
mod jmespath;
mod json;
mod merge;
mod number;
mod output;
mod path;
mod reader;
mod shaped;
mod template;

use std::fmt;

use bytes::Bytes;

use crate::domain::body::{Body, Encoding, is_json};
use crate::domain::field::FieldError;
use crate::domain::ids::{CustomerId, EndpointId, JobId};
use crate::domain::job::Payload;
use crate::domain::timestamp::Timestamp;

use budget::{Budget, Problem};
use cloud_events::Content;
pub use json::Json;
pub use merge::{BodyKind, merge};
pub use path::JsonPath;
use shaped::{Shaped, check_json, data, json_text};

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// What is known of a job, the same at every attempt.
#[derive(Debug, Clone, Copy)]
pub struct Event<'e> {
    /// The idempotency key.
    pub id: &'e JobId,
    /// The event's type.
    pub event_type: Option<&'e str>,
    /// Whose endpoint is called.
    pub customer_id: &'e CustomerId,
    /// Which endpoint is called.
    pub endpoint_id: &'e EndpointId,
    /// When the job was accepted.
    pub accepted_at: Timestamp,
    /// What it brings.
    pub payload: &'e Payload,
}

/// A body, as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// The bytes.
    pub bytes: Bytes,
    /// Their content type; `None` without a body.
    pub content_type: Option<String>,
    /// Further headers, names in lower case: the attributes of a CloudEvent in binary mode.
    pub headers: Vec<(String, String)>,
}

/// Why a body cannot be made of this job. Repeats nothing of its data beyond short names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransformError {
    /// The setting, as `body.template`; or empty.
    pub path: String,
    /// What is wrong.
    pub problem: String,
}

impl TransformError {
    fn new(path: impl Into<String>, problem: Problem) -> Self {
        Self { path: path.into(), problem: problem.0.into_owned() }
    }
}

impl fmt::Display for TransformError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            return f.write_str(&self.problem);
        }
        write!(f, "{}: {}", self.path, self.problem)
    }
}

impl std::error::Error for TransformError {}

/// A compiled body.
#[derive(Debug)]
pub struct Transform {
    shape: Shape,
    encoding: Option<Encoding>,
    content_type: Option<String>,
}

#[derive(Debug)]
enum Shape {
    AsItCame,
    Jmespath(jmespath::Expression),
    /// A template, and the content type of what it makes.
    Template(template::Template, String),
    Transformer(input_transformer::Transformer),
    Path(JsonPath),
}

impl Transform {
    /// Compiles the settings of a body.
    ///
    /// # Errors
    /// With the path of the first field that is wrong, as `body.template`.
    pub fn compile(body: &Body) -> Result<Self, FieldError> {
        Self::compiled(body).map_err(|e| e.under("body"))
    }

    fn compiled(body: &Body) -> Result<Self, FieldError> {
        body.check()?;
        if let Some(Encoding::CloudEvents(settings)) = &body.encoding {
            cloud_events::check(settings).map_err(|e| e.under("as.cloudEvents"))?;
        }
        let field = |name: &'static str| move |problem: Problem| FieldError::new(name, problem.0);
        let shape = if let Some(source) = &body.jmespath {
            Shape::Jmespath(jmespath::Expression::compile(source).map_err(field("jmespath"))?)
        } else if let Some(source) = &body.template {
            let made = template_type(body);
            let flavour = template::Flavour::of(&made);
            let compiled =
                template::Template::compile(source, flavour).map_err(field("template"))?;
            Shape::Template(compiled, made)
        } else if let Some(settings) = &body.input_transformer {
            let compiled = input_transformer::Transformer::compile(settings);
            Shape::Transformer(compiled.map_err(|e| e.under("inputTransformer"))?)
        } else if let Some(path) = &body.input_path {
            Shape::Path(JsonPath::read(path).map_err(field("inputPath"))?)
        } else {
            Shape::AsItCame
        };
        let content_type = body.content_type.as_deref().map(str::trim).map(str::to_owned);
        Ok(Self { shape, encoding: body.encoding.clone(), content_type })
    }

    /// Makes the body of a job.
    ///
    /// # Errors
    /// Where the data does not fit the settings, or making it costs too much.
    pub fn apply(&self, event: &Event<'_>) -> Result<Made, TransformError> {
        let budget = &mut Budget::default();
        let shaped = self
            .shaped(event, budget)
            .map_err(|problem| TransformError::new(self.shape.field(), problem))?;
        self.encoded(event, shaped, budget)
            .map_err(|problem| TransformError::new("body.as", problem))
    }

    fn shaped(&self, event: &Event<'_>, budget: &mut Budget) -> Result<Shaped, Problem> {
        match &self.shape {
            Shape::AsItCame => Ok(Shaped::AsItCame),
            Shape::Jmespath(expression) => {
                expression.search(&data(event.payload)?, budget).map(Shaped::Value)
            }
            Shape::Path(path) => {
                let found = path.find(&data(event.payload)?, budget)?;
                found.map(Shaped::Value).ok_or_else(|| "nothing stands at this path".into())
            }
            Shape::Transformer(transformer) => {
                let text = transformer.apply(event, &data(event.payload)?, budget)?;
                match transformer.kind {
                    input_transformer::Kind::Json => json_text(text),
                    input_transformer::Kind::Lines => Ok(Shaped::Lines(text)),
                }
            }
            Shape::Template(template, content_type) => {
                let text = template.render(&variables(event)?, budget)?;
                if is_json(content_type) {
                    return json_text(text);
                }
                Ok(Shaped::Text(text, content_type.clone()))
            }
        }
    }

    fn encoded(
        &self,
        event: &Event<'_>,
        shaped: Shaped,
        budget: &mut Budget,
    ) -> Result<Made, Problem> {
        let made = |bytes: Vec<u8>, default: &str| {
            let content_type = self.content_type.clone().unwrap_or_else(|| default.to_owned());
            Made { bytes: bytes.into(), content_type: Some(content_type), headers: Vec::new() }
        };
        match &self.encoding {
            None => Ok(match shaped {
                Shaped::AsItCame => {
                    let came = event.payload;
                    let content_type = came
                        .content_type
                        .as_ref()
                        .map(|own| self.content_type.as_ref().unwrap_or(own));
                    let content_type = content_type.cloned();
                    Made { bytes: came.bytes.clone(), content_type, headers: Vec::new() }
                }
                Shaped::Value(value) => made(value.to_json()?.into_bytes(), JSON),
                Shaped::JsonText(text) => made(text.into_bytes(), JSON),
                Shaped::Lines(text) => made(text.into_bytes(), TEXT),
                Shaped::Text(text, content_type) => made(text.into_bytes(), &content_type),
            }),
            Some(Encoding::Json) => Ok(made(shaped.into_json(event.payload)?.into_bytes(), JSON)),
            Some(Encoding::Text) => Ok(made(shaped.into_plain(event.payload)?.into(), TEXT)),
            Some(Encoding::Form(settings)) => {
                let form =
                    form::write(&shaped.into_value(event.payload)?, settings.arrays, budget)?;
                Ok(made(form.into_bytes(), form::CONTENT_TYPE))
            }
            Some(Encoding::CloudEvents(settings)) => {
                let is_event = cloud_events::is_event(event.payload.content_type.as_deref());
                let own = is_event.then(|| data(event.payload)).transpose()?;
                let content = self.content(event.payload, shaped, own.as_ref())?;
                cloud_events::write(settings, event, own.as_ref(), content)
            }
        }
    }

    /// What a CloudEvent carries.
    fn content(
        &self,
        payload: &Payload,
        shaped: Shaped,
        own: Option<&Json>,
    ) -> Result<Content, Problem> {
        let content = match (shaped, own) {
            (Shaped::AsItCame, Some(own)) => cloud_events::content(own)?,
            (Shaped::AsItCame, None) => shaped::came(payload)?,
            (Shaped::Value(value), _) => Content::Text(value.to_json()?, JSON.to_owned()),
            (Shaped::JsonText(text), _) => Content::Text(text, JSON.to_owned()),
            (Shaped::Lines(text), _) => Content::Text(text, TEXT.to_owned()),
            (Shaped::Text(text, content_type), _) => Content::Text(text, content_type),
        };
        let Some(declared) = &self.content_type else { return Ok(content) };
        Ok(match content {
            Content::None => Content::None,
            Content::Bytes(bytes, _) => Content::Bytes(bytes, Some(declared.clone())),
            Content::Text(text, was) => {
                if is_json(declared) && !is_json(&was) {
                    check_json(&text)?;
                }
                Content::Text(text, declared.clone())
            }
        })
    }
}

impl Shape {
    fn field(&self) -> &'static str {
        match self {
            Self::AsItCame => "body",
            Self::Jmespath(_) => "body.jmespath",
            Self::Template(..) => "body.template",
            Self::Transformer(_) => "body.inputTransformer",
            Self::Path(_) => "body.inputPath",
        }
    }
}

/// The content type of what a template makes.
fn template_type(body: &Body) -> String {
    let default = match body.encoding {
        // Both are made of JSON, whatever the content type that is sent.
        Some(Encoding::Json | Encoding::Form(_)) => return JSON.to_owned(),
        Some(Encoding::Text) => TEXT,
        Some(Encoding::CloudEvents(_)) | None => JSON,
    };
    body.content_type.as_deref().unwrap_or(default).trim().to_owned()
}

/// The data of a job, for [`JsonPath`]s: JSON as a tree, text as a string, no body as null.
///
/// # Errors
/// Where it is neither; the path of the error is empty.
pub fn data_of(payload: &Payload) -> Result<Json, TransformError> {
    data(payload).map_err(|problem| TransformError::new("", problem))
}

fn variables(event: &Event<'_>) -> Result<Vec<(&'static str, Json)>, Problem> {
    let mut variables = vec![
        ("data", data(event.payload)?),
        ("id", Json::string(event.id.as_str())),
        ("customerId", Json::string(event.customer_id.as_str())),
        ("endpointId", Json::string(event.endpoint_id.as_str())),
        ("timestamp", Json::string(event.accepted_at.to_string())),
    ];
    variables.extend(event.event_type.map(|name| ("type", Json::string(name))));
    Ok(variables)
}
