//! Reads a secret's value out of a body. No complaint repeats anything of the body: a value may stand
//! where something else was expected.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::input::{Body, Length};
use super::problem::{Answer, Code, Problem};
use crate::domain::field::FieldError;
use crate::domain::origin::Origin;
use crate::domain::secret::SecretBytes;

/// The longest overlap of two versions.
const LONGEST_OVERLAP: Duration = Duration::from_secs(366 * 24 * 3600);

/// A value, and where it may go. Only described here: it is read without ever being named.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[allow(dead_code, reason = "for the OpenAPI document")]
pub struct PutSecret {
    /// The value, as text.
    value: Option<String>,
    /// The value, in base64, instead of `value`.
    value_base64: Option<String>,
    /// Where the value may be sent: scheme, host and port.
    #[schema(min_items = 1)]
    origins: Vec<String>,
    /// How long the version before stays in use beside the new one, as in `24h`.
    overlap: Option<String>,
}

/// A new value; the origins stay.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[allow(dead_code, reason = "for the OpenAPI document")]
pub struct RotateSecret {
    /// The value, as text.
    value: Option<String>,
    /// The value, in base64, instead of `value`.
    value_base64: Option<String>,
    /// How long the version before stays in use beside the new one; by default `24h`, `0s` for not at
    /// all.
    overlap: Option<String>,
}

/// What a body says of a secret.
pub struct Given {
    /// The bytes.
    pub value: SecretBytes,
    /// Where they may go; empty if the body does not say.
    pub origins: BTreeSet<Origin>,
    /// How long the version before stays in use.
    pub overlap: Option<Duration>,
}

/// Reads a body with these members.
///
/// # Errors
/// With the path of the member that is wrong, and nothing of what stands there.
pub fn read(body: &Body, members: &[&str]) -> Answer<Given> {
    let mut given = object(body)?;
    if given.keys().any(|name| !members.contains(&name.as_str())) {
        let problem = format!("a member that is not known: expected {}", members.join(", "));
        return Err(FieldError::new("", problem).into());
    }
    let value = value(&mut given)?;
    let origins = match given.remove("origins") {
        None => BTreeSet::new(),
        Some(listed) => origins(listed)?,
    };
    if members.contains(&"origins") && origins.is_empty() {
        return Err(FieldError::new("origins", "expected at least one origin").into());
    }
    let overlap = given.remove("overlap").map(overlap).transpose()?;
    Ok(Given { value, origins, overlap })
}

fn object(body: &Body) -> Answer<Map<String, Value>> {
    let refused =
        |problem: &str| Problem::field(Code::InvalidRequest, &FieldError::new("", problem));
    match serde_json::from_slice(&body.0) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(refused("expected a JSON object")),
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            Err(refused(&format!("not JSON at line {line} column {column}")))
        }
    }
}

fn value(given: &mut Map<String, Value>) -> Answer<SecretBytes> {
    let refused = |path: &str, problem: &str| Err(FieldError::new(path, problem).into());
    match (given.remove("value"), given.remove("valueBase64")) {
        (Some(Value::String(text)), None) => Ok(SecretBytes::new(text.into_bytes())),
        (None, Some(Value::String(text))) => {
            let text = SecretBytes::new(text.into_bytes());
            match BASE64_STANDARD.decode(text.expose()) {
                Ok(bytes) => Ok(SecretBytes::new(bytes)),
                Err(_) => refused("valueBase64", "not base64 with padding"),
            }
        }
        (Some(_), None) => refused("value", "expected a text"),
        (None, Some(_)) => refused("valueBase64", "expected a text"),
        (None, None) => refused("value", "expected value or valueBase64"),
        (Some(_), Some(_)) => refused("valueBase64", "expected value or valueBase64, not both"),
    }
}

fn origins(listed: Value) -> Answer<BTreeSet<Origin>> {
    let Value::Array(listed) = listed else {
        return Err(FieldError::new("origins", "expected a list of origins").into());
    };
    let mut origins = BTreeSet::new();
    for (index, origin) in listed.iter().enumerate() {
        let origin = origin.as_str().and_then(|text| text.parse().ok());
        let Some(origin) = origin else {
            let problem = "expected scheme, host and optional port, as https://api.example.com";
            return Err(FieldError::new(format!("origins[{index}]"), problem).into());
        };
        origins.insert(origin);
    }
    Ok(origins)
}

fn overlap(given: Value) -> Answer<Duration> {
    let length = serde_json::from_value::<Length>(given).ok().map(|length| length.0);
    let refuse = || FieldError::new("overlap", "expected a time of at most a year, as 24h").into();
    length.filter(|length| *length <= LONGEST_OVERLAP).ok_or_else(refuse)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMBERS: [&str; 4] = ["value", "valueBase64", "origins", "overlap"];

    fn given(text: &str) -> Answer<Given> {
        read(&Body(text.to_owned().into()), &MEMBERS)
    }

    #[test]
    fn a_value_is_text_or_base64() {
        let text =
            given(r#"{"value":"k\n","origins":["https://a.example"],"overlap":"2h"}"#).unwrap();
        assert_eq!(text.value.expose(), b"k\n");
        assert_eq!((text.origins.len(), text.overlap), (1, Some(Duration::from_secs(7200))));
        let bytes = given(r#"{"valueBase64":"/wA=","origins":["https://a.example"]}"#).unwrap();
        assert_eq!(bytes.value.expose(), [255, 0]);
    }

    #[test]
    fn no_complaint_repeats_what_stands_in_the_body() {
        for bad in [
            r#""CANARY""#,
            r#"["CANARY"]"#,
            r#"{"value": CANARY}"#,
            r#"CANARY"#,
            r#"{"value": "CANARY", "CANARY": 1, "origins": ["https://a.example"]}"#,
            r#"{"value": ["CANARY"], "origins": ["https://a.example"]}"#,
            r#"{"value": {"CANARY": 1}, "origins": ["https://a.example"]}"#,
            r#"{"valueBase64": "CANARY!", "origins": ["https://a.example"]}"#,
            r#"{"value": "CANARY", "valueBase64": "CANARY", "origins": ["https://a.example"]}"#,
            r#"{"value": "k", "origins": ["CANARY"]}"#,
            r#"{"value": "k", "origins": "CANARY"}"#,
            r#"{"value": "k", "origins": []}"#,
            r#"{"value": "k", "origins": ["https://a.example"], "overlap": "CANARY"}"#,
        ] {
            let problem = given(bad).err().unwrap_or_else(|| panic!("{bad} was taken"));
            let told = serde_json::to_string(&problem).unwrap();
            assert!(!told.contains("CANARY"), "{bad}: {told}");
        }
    }
}
