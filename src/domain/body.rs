//! How the body of a call is made of a job's data: the endpoint's field `body`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::field::FieldError;
use crate::domain::header;

/// Longest template, in bytes.
pub const MAX_TEMPLATE: usize = 64 * 1024;
/// Longest JMESPath expression, in bytes.
pub const MAX_JMESPATH: usize = 8 * 1024;
/// Longest input template, in characters (Amazon EventBridge API Reference, "InputTransformer").
pub const MAX_INPUT_TEMPLATE: usize = 8192;
/// Most input paths (the same page).
pub const MAX_INPUT_PATHS: usize = 100;

/// What an endpoint makes of a job's data. At most one of `jmespath`, `template`,
/// `input_transformer` and `input_path`; with none of them, the data stays as it came.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Body {
    /// A JMESPath expression over the data; its result is the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jmespath: Option<String>,
    /// A template, whose variables are the data and what is known of the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// An input transformer as Amazon EventBridge has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_transformer: Option<InputTransformer>,
    /// An input path as Amazon EventBridge has them: `$.detail`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_path: Option<String>,
    /// How the result is written; by default as it was made.
    #[serde(rename = "as", skip_serializing_if = "Option::is_none")]
    pub encoding: Option<Encoding>,
    /// The content type that is sent; with `cloudEvents`, that of the data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
}

/// Values taken from the event, and a template they are put into.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InputTransformer {
    /// Names, each with the path of its value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub input_paths_map: BTreeMap<String, String>,
    /// Text with `<name>` where a value goes.
    pub input_template: String,
    /// What `<aws.events.rule-name>` stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule_name: Option<String>,
    /// What `<aws.events.rule-arn>` stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule_arn: Option<String>,
}

/// How a result is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "WrittenEncoding", into = "WrittenEncoding")]
pub enum Encoding {
    /// As JSON.
    Json,
    /// The content of a string, without quotes.
    Text,
    /// `application/x-www-form-urlencoded`.
    Form(Form),
    /// A CloudEvent.
    CloudEvents(CloudEvents),
}

/// A name alone, or one with settings.
#[derive(Clone, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected \"json\", \"text\", \"form\", {\"form\": {\"arrays\": …}}, \"cloudEvents\" or {\"cloudEvents\": {\"mode\": …}}"
)]
enum WrittenEncoding {
    Name(EncodingName),
    Settings(EncodingSettings),
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum EncodingName {
    Json,
    Text,
    Form,
    CloudEvents,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum EncodingSettings {
    Form(Form),
    CloudEvents(CloudEvents),
}

impl From<WrittenEncoding> for Encoding {
    fn from(written: WrittenEncoding) -> Self {
        match written {
            WrittenEncoding::Name(EncodingName::Json) => Self::Json,
            WrittenEncoding::Name(EncodingName::Text) => Self::Text,
            WrittenEncoding::Name(EncodingName::Form) => Self::Form(Form::default()),
            WrittenEncoding::Name(EncodingName::CloudEvents) => {
                Self::CloudEvents(CloudEvents::default())
            }
            WrittenEncoding::Settings(EncodingSettings::Form(form)) => Self::Form(form),
            WrittenEncoding::Settings(EncodingSettings::CloudEvents(events)) => {
                Self::CloudEvents(events)
            }
        }
    }
}

impl From<Encoding> for WrittenEncoding {
    fn from(encoding: Encoding) -> Self {
        match encoding {
            Encoding::Json => Self::Name(EncodingName::Json),
            Encoding::Text => Self::Name(EncodingName::Text),
            Encoding::Form(form) => Self::Settings(EncodingSettings::Form(form)),
            Encoding::CloudEvents(events) => Self::Settings(EncodingSettings::CloudEvents(events)),
        }
    }
}

/// How a form is written.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Form {
    /// How the items of an array are named.
    #[serde(default)]
    pub arrays: Arrays,
}

/// How the items of an array are named in a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Arrays {
    /// `list[0]=a&list[1]=b`
    #[default]
    Indices,
    /// `list=a&list=b`
    Repeat,
    /// `list=a,b`
    Commas,
    /// `list[]=a&list[]=b`
    Brackets,
}

/// The attributes of a CloudEvent (CloudEvents 1.0). Those of a job that is a CloudEvent itself
/// are kept; these stand for what it lacks.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CloudEvents {
    /// Where the attributes stand.
    #[serde(default)]
    pub mode: Mode,
    /// Where events come from; by default `/customers/` and the customer's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The type of events whose job has none.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// What the event is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The schema of the data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_schema: Option<String>,
    /// Further attributes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extensions: BTreeMap<String, String>,
}

/// Where the attributes of a CloudEvent stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// In the body, around the data.
    #[default]
    Structured,
    /// In headers; the body is the data.
    Binary,
}

impl Body {
    /// Checks all that can be seen without compiling what it holds.
    ///
    /// # Errors
    /// With the path of the first field that is wrong, below `body`.
    pub fn check(&self) -> Result<(), FieldError> {
        let shapes = [
            ("jmespath", self.jmespath.is_some()),
            ("template", self.template.is_some()),
            ("inputTransformer", self.input_transformer.is_some()),
            ("inputPath", self.input_path.is_some()),
        ];
        let mut set = shapes.iter().filter(|(_, is_set)| *is_set).map(|(name, _)| *name);
        if let (Some(first), Some(second)) = (set.next(), set.next()) {
            return Err(FieldError::new(second, format!("stands beside {first}: keep one")));
        }
        check_length("jmespath", self.jmespath.as_deref(), MAX_JMESPATH)?;
        check_length("template", self.template.as_deref(), MAX_TEMPLATE)?;
        if let Some(content_type) = &self.content_type {
            check_content_type(content_type)?;
        }
        self.input_transformer.as_ref().map_or(Ok(()), InputTransformer::check)
    }
}

fn check_length(field: &str, text: Option<&str>, most: usize) -> Result<(), FieldError> {
    match text {
        Some(text) if text.len() > most => {
            Err(FieldError::new(field, format!("{} bytes: at most {most}", text.len())))
        }
        Some(_) | None => Ok(()),
    }
}

fn check_content_type(text: &str) -> Result<(), FieldError> {
    header::check_value(text).map_err(|e| FieldError::new("contentType", e.to_string()))?;
    let essence = text.split(';').next().unwrap_or_default().trim();
    let parts: Vec<&str> = essence.split('/').collect();
    if parts.len() == 2 && parts.iter().all(|part| header::check_name(part).is_ok()) {
        return Ok(());
    }
    Err(FieldError::new("contentType", "expected a type and a subtype, as application/json"))
}

impl InputTransformer {
    fn check(&self) -> Result<(), FieldError> {
        let field = |name: &str| format!("inputTransformer.{name}");
        let length = self.input_template.chars().count();
        if length == 0 || length > MAX_INPUT_TEMPLATE {
            let problem = format!("{length} characters: expected 1 to {MAX_INPUT_TEMPLATE}");
            return Err(FieldError::new(field("inputTemplate"), problem));
        }
        let paths = self.input_paths_map.len();
        if paths > MAX_INPUT_PATHS {
            let problem = format!("{paths} paths: at most {MAX_INPUT_PATHS}");
            return Err(FieldError::new(field("inputPathsMap"), problem));
        }
        Ok(())
    }
}

/// Whether a content type says JSON: `application/json`, `text/json` or any `…+json`.
pub fn is_json(content_type: &str) -> bool {
    let essence = essence(content_type);
    essence == "application/json" || essence == "text/json" || essence.ends_with("+json")
}

/// A content type without its parameters, in lower case.
pub fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Body, String> {
        let body: Body = serde_json::from_str(json).map_err(|e| e.to_string())?;
        body.check().map_err(|e| e.to_string())?;
        Ok(body)
    }

    #[test]
    fn two_shapes_at_once_are_refused() {
        let problem = read(r#"{"jmespath":"a","inputPath":"$.a"}"#).unwrap_err();
        assert!(problem.contains("inputPath: stands beside jmespath"), "{problem}");
    }

    #[test]
    fn an_encoding_is_a_name_or_a_name_with_settings() {
        for (json, encoding) in [
            (r#""json""#, Encoding::Json),
            (r#""text""#, Encoding::Text),
            (r#""form""#, Encoding::Form(Form::default())),
            (r#"{"form":{"arrays":"commas"}}"#, Encoding::Form(Form { arrays: Arrays::Commas })),
            (r#""cloudEvents""#, Encoding::CloudEvents(CloudEvents::default())),
        ] {
            let body = read(&format!(r#"{{"as":{json}}}"#)).unwrap();
            assert_eq!(body.encoding.as_ref(), Some(&encoding), "{json}");
            let written = serde_json::to_string(&body).unwrap();
            assert_eq!(read(&written).unwrap(), body, "{written}");
        }
        for wrong in
            [r#""xml""#, r#"{"form":{"array":"commas"}}"#, r#"{"cloudEvents":{"mode":"b"}}"#]
        {
            assert!(read(&format!(r#"{{"as":{wrong}}}"#)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_too_long_or_no_content_type_is_refused_with_its_path() {
        let long = |field: &str, n: usize| format!(r#"{{"{field}":"{}"}}"#, "x".repeat(n));
        assert!(read(&long("template", MAX_TEMPLATE)).is_ok());
        assert!(read(&long("template", MAX_TEMPLATE + 1)).unwrap_err().starts_with("template: "));
        assert!(read(&long("jmespath", MAX_JMESPATH + 1)).unwrap_err().starts_with("jmespath: "));
        for wrong in ["json", "a/b/c", "a /b", "", "application/json\\n"] {
            let problem = read(&format!(r#"{{"contentType":"{wrong}"}}"#)).unwrap_err();
            assert!(problem.starts_with("contentType: "), "{problem}");
        }
        let template = "é".repeat(MAX_INPUT_TEMPLATE + 1);
        let problem = read(&format!(r#"{{"inputTransformer":{{"inputTemplate":"{template}"}}}}"#))
            .unwrap_err();
        assert!(problem.starts_with("inputTransformer.inputTemplate: "), "{problem}");
    }
}
