//! What an endpoint sends in a header, the query, the path or the body: a text of its own, a secret,
//! or a piece of the event.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::domain::field::FieldError;
use crate::domain::ids::SecretId;

/// The value of one parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub enum Parameter {
    /// This text.
    Plain(String),
    /// The current value of a secret, after a plain text.
    Secret {
        /// The secret.
        secret: SecretId,
        /// What stands before it, for instance `Token `.
        prefix: String,
    },
    /// What stands in the event at this place, as in `$.detail.orderId`.
    Event(String),
}

const EXPECTED: &str =
    r#"expected a text, {"secret": "ID"} with an optional "prefix", or {"event": "$.path"}"#;

impl Parameter {
    /// The secret, if it is one.
    pub fn secret(&self) -> Option<&SecretId> {
        match self {
            Self::Secret { secret, .. } => Some(secret),
            Self::Plain(_) | Self::Event(_) => None,
        }
    }
}

impl TryFrom<Value> for Parameter {
    type Error = FieldError;
    fn try_from(value: Value) -> Result<Self, FieldError> {
        match value {
            Value::String(text) => Ok(Self::Plain(text)),
            Value::Object(members) => from_members(members),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
                Err(FieldError::new("", EXPECTED))
            }
        }
    }
}

fn from_members(mut members: Map<String, Value>) -> Result<Parameter, FieldError> {
    let mut text = |name: &str| match members.remove(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(FieldError::new("", format!("{name} is no text: {EXPECTED}"))),
    };
    let (secret, prefix, event) = (text("secret")?, text("prefix")?, text("event")?);
    if let Some(name) = members.keys().next() {
        return Err(FieldError::new("", format!("unknown field {name:?}: {EXPECTED}")));
    }
    match (secret, prefix, event) {
        (Some(id), prefix, None) => {
            let secret = id.parse().map_err(|e| FieldError::new("", format!("secret: {e}")))?;
            Ok(Parameter::Secret { secret, prefix: prefix.unwrap_or_default() })
        }
        (None, None, Some(path)) => Ok(Parameter::Event(path)),
        (_, _, _) => Err(FieldError::new("", EXPECTED)),
    }
}

impl From<Parameter> for Value {
    fn from(parameter: Parameter) -> Self {
        match parameter {
            Parameter::Plain(text) => text.into(),
            Parameter::Secret { secret, prefix } if prefix.is_empty() => {
                json!({"secret": secret.as_str()})
            }
            Parameter::Secret { secret, prefix } => {
                json!({"secret": secret.as_str(), "prefix": prefix})
            }
            Parameter::Event(path) => json!({"event": path}),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Parameter, String> {
        serde_json::from_str(json).map_err(|e| e.to_string())
    }

    #[test]
    fn a_parameter_is_a_text_a_secret_or_a_piece_of_the_event() {
        assert_eq!(read(r#""a""#), Ok(Parameter::Plain("a".to_owned())));
        let secret =
            Parameter::Secret { secret: "k".parse().unwrap(), prefix: "Token ".to_owned() };
        assert_eq!(read(r#"{"secret": "k", "prefix": "Token "}"#), Ok(secret));
        assert_eq!(read(r#"{"event": "$.a"}"#), Ok(Parameter::Event("$.a".to_owned())));
        for json in
            [r#""a""#, r#"{"secret":"k"}"#, r#"{"prefix":"p","secret":"k"}"#, r#"{"event":"$.a"}"#]
        {
            assert_eq!(serde_json::to_string(&read(json).unwrap()).unwrap(), json);
        }
    }

    #[test]
    fn anything_else_is_refused_with_what_was_expected() {
        for json in [
            "1",
            "null",
            "[]",
            "{}",
            r#"{"secret": 1}"#,
            r#"{"secret": "a", "event": "$"}"#,
            r#"{"event": "$", "prefix": "x"}"#,
            r#"{"secret": "a", "other": 1}"#,
            r#"{"secret": "a b"}"#,
        ] {
            assert!(read(json).unwrap_err().contains("expected"), "{json}");
        }
    }
}
