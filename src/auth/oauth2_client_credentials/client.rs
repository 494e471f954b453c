//! How the client proves to a token server who it is.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::Deserialize;
use serde_json::{Map, json};
use url::Url;
use url::form_urlencoded::byte_serialize;
use zeroize::Zeroizing;

use super::request::{Form, Settings, plain, text};
use crate::auth::key::{Algorithm, SigningKey};
use crate::auth::{AuthError, Call, jws};
use crate::domain::field::FieldError;
use crate::domain::ids::SecretId;
use crate::domain::request::{HeaderValue, OutboundRequest};
use crate::domain::secret::{Facts, SecretBytes};

/// Seconds that an assertion is valid: it is used once, at once.
const ASSERTION_LIFETIME: i64 = 60;
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The ways, by their names in OpenID Connect Core section 9.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthentication {
    /// Basic authentication, both parts form-encoded first (RFC 6749 section 2.3.1).
    #[default]
    ClientSecretBasic,
    /// Basic authentication as it is, for servers that do not decode.
    ClientSecretBasicUnencoded,
    /// `client_id` and `client_secret` among the parameters.
    ClientSecretPost,
    /// A signed assertion (RFC 7523 section 2.2).
    PrivateKeyJwt,
    /// Nothing but `client_id`: the extra parameters prove who it is.
    None,
}

/// The client, and how it proves who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    id: String,
    proof: Proof,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Proof {
    Basic { secret: SecretId, encoded: bool },
    Post { secret: SecretId },
    Assertion { secret: SecretId, algorithm: Algorithm, kid: Option<String>, audience: String },
    None,
}

impl Client {
    /// Checks the settings that concern the client.
    ///
    /// # Errors
    /// With the path of the setting that is missing or that nothing would use.
    pub fn compile(settings: &Settings, token_url: &Url) -> Result<Self, FieldError> {
        let is_assertion = settings.client_authentication == ClientAuthentication::PrivateKeyJwt;
        for (name, is_set) in [
            ("algorithm", settings.algorithm.is_some()),
            ("kid", settings.kid.is_some()),
            ("assertion_audience", settings.assertion_audience.is_some()),
        ] {
            if is_set && !is_assertion {
                let problem = "only client_authentication private_key_jwt uses it";
                return Err(FieldError::new(name, problem));
            }
        }
        let secret = || {
            let problem = "missing: expected the id of the secret with the client secret or key";
            settings.secret.clone().ok_or_else(|| FieldError::new("secret", problem))
        };
        let proof = match settings.client_authentication {
            ClientAuthentication::ClientSecretBasic => {
                Proof::Basic { secret: secret()?, encoded: true }
            }
            ClientAuthentication::ClientSecretBasicUnencoded => {
                Proof::Basic { secret: secret()?, encoded: false }
            }
            ClientAuthentication::ClientSecretPost => Proof::Post { secret: secret()? },
            ClientAuthentication::PrivateKeyJwt => Proof::Assertion {
                secret: secret()?,
                algorithm: settings.algorithm.filter(is_asymmetric).ok_or_else(|| {
                    FieldError::new("algorithm", "expected RS256, PS256, ES256 or EdDSA")
                })?,
                kid: settings.kid.clone(),
                audience: settings
                    .assertion_audience
                    .clone()
                    .unwrap_or_else(|| token_url.to_string()),
            },
            ClientAuthentication::None if settings.secret.is_some() => {
                let problem = "client_authentication is none, so nothing would use it";
                return Err(FieldError::new("secret", problem));
            }
            ClientAuthentication::None => Proof::None,
        };
        Ok(Self { id: settings.client_id.clone(), proof })
    }

    /// Checks a value that is to be one of the request's secrets.
    ///
    /// # Errors
    /// If it is the key of the assertion, and cannot sign one.
    pub fn check_secret(&self, id: &SecretId, value: &SecretBytes) -> Result<(), AuthError> {
        match &self.proof {
            Proof::Assertion { secret, algorithm, .. } if secret == id => {
                SigningKey::parse(*algorithm, id, value).map(drop)
            }
            Proof::Basic { secret, .. } | Proof::Post { secret }
                if secret == id && is_object(value) =>
            {
                let problem = "found a JSON object; expected the client secret alone, and the \
                               client's id in client_id";
                Err(AuthError::of_secret(id, problem))
            }
            Proof::Assertion { .. } | Proof::Basic { .. } | Proof::Post { .. } | Proof::None => {
                Ok(())
            }
        }
    }

    /// Checks what is known of a stored value that is to be one of the request's secrets.
    ///
    /// # Errors
    /// If it is the key of the assertion, and of another kind than its algorithm takes.
    pub fn check_facts(&self, id: &SecretId, facts: &Facts) -> Result<(), AuthError> {
        match &self.proof {
            Proof::Assertion { secret, algorithm, .. } if secret == id => {
                algorithm.check_kind(id, facts)
            }
            Proof::Assertion { .. } | Proof::Basic { .. } | Proof::Post { .. } | Proof::None => {
                Ok(())
            }
        }
    }

    /// Adds the proof to a request and its parameters.
    ///
    /// # Errors
    /// If the secret cannot be used.
    pub fn authenticate<'f>(
        &'f self,
        request: &mut OutboundRequest,
        form: &mut Form<'f>,
        call: &Call<'_>,
    ) -> Result<(), AuthError> {
        match &self.proof {
            Proof::None => form.push(("client_id", plain(&self.id))),
            Proof::Post { secret } => {
                form.push(("client_id", plain(&self.id)));
                form.push(("client_secret", plain(text(secret, call.secret(secret)?)?)));
            }
            Proof::Basic { secret, encoded } => {
                let value = text(secret, call.secret(secret)?)?;
                let form_encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
                let header = if *encoded {
                    basic(&form_encoded(&self.id), &Zeroizing::new(form_encoded(value)))
                } else {
                    basic(&self.id, value)
                };
                request.set_header("authorization", header);
            }
            Proof::Assertion { secret, algorithm, kid, audience } => {
                let key = SigningKey::parse(*algorithm, secret, call.secret(secret)?)?;
                let now = call.now.as_secs();
                let claims = Map::from_iter([
                    ("iss".to_owned(), json!(self.id)),
                    ("sub".to_owned(), json!(self.id)),
                    ("aud".to_owned(), json!(audience)),
                    ("iat".to_owned(), json!(now)),
                    ("exp".to_owned(), json!(now + ASSERTION_LIFETIME)),
                    ("jti".to_owned(), json!((call.nonce)())),
                ]);
                let assertion = jws::sign(&key, kid.as_deref(), Some("JWT"), &claims)?;
                form.push(("client_id", plain(&self.id)));
                form.push(("client_assertion_type", plain(ASSERTION_TYPE)));
                form.push(("client_assertion", plain(&assertion)));
            }
        }
        Ok(())
    }
}

/// A key that the token server holds too would prove nothing of the client alone.
fn is_asymmetric(algorithm: &Algorithm) -> bool {
    matches!(algorithm, Algorithm::Rs256 | Algorithm::Ps256 | Algorithm::Es256 | Algorithm::EdDsa)
}

fn basic(user: &str, password: &str) -> HeaderValue {
    let pair = Zeroizing::new([user.as_bytes(), b":", password.as_bytes()].concat());
    let value = format!("Basic {}", BASE64_STANDARD.encode(&*pair));
    HeaderValue::Secret(SecretBytes::new(value.into_bytes()))
}

/// Whether a value is a JSON object, as other programs keep a client's id and its secret together.
fn is_object(value: &SecretBytes) -> bool {
    let text = value.expose_str().unwrap_or_default().trim();
    text.starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}
