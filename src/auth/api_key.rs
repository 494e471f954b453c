//! `api_key`: a secret in a header or a query parameter of any name.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::scheme::header_text;
use super::{AuthError, Call, Part, Scheme, Step, read_settings};
use crate::domain::field::FieldError;
use crate::domain::header;
use crate::domain::ids::SecretId;
use crate::domain::request::{HeaderValue, OutboundRequest};
use crate::domain::secret::SecretBytes;

/// The scheme.
pub struct ApiKey;

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Place {
    Header,
    Query,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Where the key goes.
    #[serde(rename = "in")]
    place: Place,
    /// The header's or the parameter's name.
    name: String,
    /// The key.
    secret: SecretId,
    /// Plain text before the key, for instance `Token `.
    #[serde(default)]
    prefix: String,
}

impl Scheme for ApiKey {
    fn name(&self) -> &'static str {
        "api_key"
    }

    fn summary(&self) -> &'static str {
        "a key in a header or a query parameter of any name"
    }

    fn example(&self) -> &'static str {
        r#"{"scheme": "api_key", "in": "header", "name": "x-api-key", "secret": "key", "prefix": "Token "}"#
    }

    fn compile(&self, settings: &Map<String, Value>) -> Result<Box<dyn Step>, FieldError> {
        let mut settings: Settings = read_settings(settings)?;
        match settings.place {
            Place::Header => {
                let refuse = |e: header::InvalidHeader| FieldError::new("name", e.to_string());
                settings.name = header::check_name(&settings.name).map_err(refuse)?;
                header::check_not_reserved(&settings.name).map_err(refuse)?;
            }
            Place::Query if settings.name.is_empty() => {
                return Err(FieldError::new("name", "empty: expected the parameter's name"));
            }
            Place::Query => {}
        }
        header::check_value(&settings.prefix)
            .map_err(|e| FieldError::new("prefix", e.to_string()))?;
        Ok(Box::new(settings))
    }
}

impl Step for Settings {
    fn secrets(&self) -> Vec<&SecretId> {
        vec![&self.secret]
    }

    fn sets(&self) -> Vec<Part> {
        match self.place {
            Place::Header => vec![Part::Header(self.name.clone())],
            Place::Query => vec![Part::Query(self.name.clone())],
        }
    }

    fn check_secret(&self, secret: &SecretId, value: &SecretBytes) -> Result<(), AuthError> {
        let prefix = self.prefix.as_bytes();
        if prefix.ends_with(b" ") && value.expose().starts_with(prefix) {
            let problem = "begins with the prefix, which is put before it; expected the key alone";
            return Err(AuthError::of_secret(secret, problem));
        }
        header_text(secret, value).map(drop)
    }

    fn apply(&self, request: &mut OutboundRequest, call: &Call<'_>) -> Result<(), AuthError> {
        let key = call.header_text(&self.secret)?;
        let value = SecretBytes::new([self.prefix.as_bytes(), key.as_bytes()].concat());
        match self.place {
            Place::Header => request.set_header(&self.name, HeaderValue::Secret(value)),
            Place::Query if request.url.query_pairs().any(|(name, _)| name == self.name) => {
                return Err(AuthError::new(format!(
                    "the query parameter {} is set already",
                    self.name
                )));
            }
            Place::Query => request.secret_query.push((self.name.clone(), value)),
        }
        Ok(())
    }
}
