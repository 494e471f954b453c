//! `basic`: HTTP Basic authentication (RFC 7617), user name and password in UTF-8.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::Deserialize;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::scheme::begins_with_word;
use super::{AuthError, Call, Part, Scheme, Step, read_settings};
use crate::domain::field::FieldError;
use crate::domain::ids::SecretId;
use crate::domain::request::{HeaderValue, OutboundRequest};
use crate::domain::secret::SecretBytes;

/// The scheme.
pub struct Basic;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    username: String,
    /// The password.
    secret: SecretId,
}

impl Scheme for Basic {
    fn name(&self) -> &'static str {
        "basic"
    }

    fn summary(&self) -> &'static str {
        "HTTP Basic authentication (RFC 7617)"
    }

    fn example(&self) -> &'static str {
        r#"{"scheme": "basic", "username": "acme", "secret": "password"}"#
    }

    fn compile(&self, settings: &Map<String, Value>) -> Result<Box<dyn Step>, FieldError> {
        let settings: Settings = read_settings(settings)?;
        if settings.username.contains(':') || settings.username.chars().any(char::is_control) {
            let problem = "a user name has no ':' and no control characters (RFC 7617 section 2)";
            return Err(FieldError::new("username", problem));
        }
        Ok(Box::new(settings))
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
        let pair = [self.username.as_bytes(), b":"].concat();
        if begins_with_word(value, "Basic") || value.expose().starts_with(&pair) {
            let problem = "begins with the user name, or with Basic; expected the password alone, and \
                           the user name in username";
            return Err(AuthError::of_secret(secret, problem));
        }
        check_password(secret, value)
    }

    fn apply(&self, request: &mut OutboundRequest, call: &Call<'_>) -> Result<(), AuthError> {
        let password = call.secret(&self.secret)?;
        check_password(&self.secret, password)?;
        let pair = Zeroizing::new([self.username.as_bytes(), b":", password.expose()].concat());
        let value = format!("Basic {}", BASE64_STANDARD.encode(&*pair));
        let value = HeaderValue::Secret(SecretBytes::new(value.into_bytes()));
        request.set_header("authorization", value);
        Ok(())
    }
}

fn check_password(secret: &SecretId, value: &SecretBytes) -> Result<(), AuthError> {
    let has_control = |text: &str| text.chars().any(char::is_control);
    if value.expose_str().is_none_or(has_control) {
        let problem = "a password is UTF-8 without control characters (RFC 7617 section 2)";
        return Err(AuthError::of_secret(secret, problem));
    }
    Ok(())
}
