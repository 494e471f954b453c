//! `bearer`: a bearer token in the `Authorization` header (RFC 6750 section 2.1).

use serde::Deserialize;
use serde_json::{Map, Value};

use super::scheme::{begins_with_word, header_text};
use super::{AuthError, Call, Part, Scheme, Step, read_settings};
use crate::domain::field::FieldError;
use crate::domain::ids::SecretId;
use crate::domain::request::{HeaderValue, OutboundRequest};
use crate::domain::secret::SecretBytes;

/// The scheme.
pub struct Bearer;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The token.
    secret: SecretId,
}

impl Scheme for Bearer {
    fn name(&self) -> &'static str {
        "bearer"
    }

    fn summary(&self) -> &'static str {
        "a bearer token in Authorization (RFC 6750)"
    }

    fn example(&self) -> &'static str {
        r#"{"scheme": "bearer", "secret": "token"}"#
    }

    fn compile(&self, settings: &Map<String, Value>) -> Result<Box<dyn Step>, FieldError> {
        Ok(Box::new(read_settings::<Settings>(settings)?))
    }
}

impl Step for Settings {
    fn secrets(&self) -> Vec<&SecretId> {
        vec![&self.secret]
    }

    fn sets(&self) -> Vec<Part> {
        vec![Part::Header("authorization".to_owned())]
    }

    fn check_secret(&self, secret: &SecretId, value: &SecretBytes) -> Result<(), AuthError> {
        if begins_with_word(value, "Bearer") {
            let problem = "begins with Bearer, which is put before it; expected the token alone";
            return Err(AuthError::of_secret(secret, problem));
        }
        header_text(secret, value).map(drop)
    }

    fn apply(&self, request: &mut OutboundRequest, call: &Call<'_>) -> Result<(), AuthError> {
        let token = call.header_text(&self.secret)?;
        let value = SecretBytes::new([b"Bearer ", token.as_bytes()].concat());
        request.set_header("authorization", HeaderValue::Secret(value));
        Ok(())
    }
}
