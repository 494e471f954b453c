//! What a token server is asked for.

use std::collections::BTreeMap;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};
use zeroize::Zeroizing;

use crate::auth::{AuthError, Call, read_settings};
use crate::domain::endpoint::Method;
use crate::domain::field::FieldError;
use crate::domain::header;
use crate::domain::ids::SecretId;
use crate::domain::request::{HeaderValue, OutboundRequest};
use crate::domain::secret::SecretBytes;

/// How the client proves who it is (OpenID Connect Core section 9).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ClientAuthentication {
    /// Basic authentication, both parts form-encoded first (RFC 6749 section 2.3.1).
    #[default]
    ClientSecretBasic,
    /// Basic authentication as it is, for servers that do not decode.
    ClientSecretBasicUnencoded,
    /// `client_id` and `client_secret` among the parameters.
    ClientSecretPost,
    /// Nothing but `client_id`: the extra parameters prove who it is.
    None,
}

/// A parameter's value.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "expected a text, or {\"secret\": ID}")]
enum Parameter {
    Plain(String),
    Secret { secret: SecretId },
}

/// One text, or several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "expected a text or a list of texts")]
enum Texts {
    One(String),
    Several(Vec<String>),
}

impl Default for Texts {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

impl Texts {
    fn as_slice(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Several(texts) => texts,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    token_url: String,
    #[serde(default)]
    method: Method,
    client_id: String,
    #[serde(default)]
    client_authentication: ClientAuthentication,
    #[serde(default)]
    secret: Option<SecretId>,
    #[serde(default)]
    scope: Option<String>,
    #[serde(default)]
    audience: Texts,
    /// RFC 8707.
    #[serde(default)]
    resource: Texts,
    #[serde(default)]
    headers: BTreeMap<String, Parameter>,
    #[serde(default)]
    query: BTreeMap<String, Parameter>,
    #[serde(default)]
    body: BTreeMap<String, Parameter>,
}

/// The settings of a token request, checked. Equal ones ask for the same token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRequest {
    settings: Settings,
    token_url: Url,
}

impl TokenRequest {
    /// Checks the settings.
    ///
    /// # Errors
    /// With the path of the setting that is wrong.
    pub fn compile(settings: &Map<String, Value>) -> Result<Self, FieldError> {
        let settings: Settings = read_settings(settings)?;
        let token_url = Url::parse(&settings.token_url)
            .map_err(|e| FieldError::new("token_url", format!("not an absolute URL ({e})")))?;
        if !token_url.username().is_empty() || token_url.password().is_some() {
            let problem = "credentials in it: expected client_id and a secret instead";
            return Err(FieldError::new("token_url", problem));
        }
        match settings.method {
            Method::Post | Method::Put => {}
            Method::Get if settings.body.is_empty() => {}
            Method::Get => {
                let problem = "a GET has no body: name these parameters under query";
                return Err(FieldError::new("body", problem));
            }
            Method::Patch | Method::Delete | Method::Head | Method::Options => {
                return Err(FieldError::new("method", "expected POST, PUT or GET"));
            }
        }
        let needs_secret = settings.client_authentication != ClientAuthentication::None;
        if needs_secret && settings.secret.is_none() {
            let problem = "missing: expected the id of the secret with the client secret or key";
            return Err(FieldError::new("secret", problem));
        }
        if !needs_secret && settings.secret.is_some() {
            let problem = "client_authentication is none, so nothing would use it";
            return Err(FieldError::new("secret", problem));
        }
        for (name, value) in &settings.headers {
            let path = format!("headers.{name}");
            check_header(name, value).map_err(|problem| FieldError::new(path, problem))?;
        }
        Ok(Self { settings, token_url })
    }

    /// Where the token is asked for.
    pub fn token_url(&self) -> &Url {
        &self.token_url
    }

    /// The secrets in it, each once.
    pub fn secrets(&self) -> Vec<&SecretId> {
        let s = &self.settings;
        let parameters = s.headers.values().chain(s.query.values()).chain(s.body.values());
        let named = parameters.filter_map(|parameter| match parameter {
            Parameter::Secret { secret } => Some(secret),
            Parameter::Plain(_) => None,
        });
        let mut ids: Vec<&SecretId> = s.secret.iter().chain(named).collect();
        ids.sort();
        ids.dedup();
        ids
    }

    /// Checks a value that is to be one of the secrets.
    ///
    /// # Errors
    /// If no token could be asked for with it.
    pub fn check_secret(&self, secret: &SecretId, value: &SecretBytes) -> Result<(), AuthError> {
        let in_header = |parameter: &Parameter| matches!(parameter, Parameter::Secret { secret: id } if id == secret);
        if self.settings.headers.values().any(in_header) {
            crate::auth::scheme::header_text(secret, value)?;
        }
        text(secret, value).map(drop)
    }

    /// The request, without the headers that every call of ours carries.
    ///
    /// # Errors
    /// If a secret cannot stand where it has to.
    pub fn build(&self, call: &Call<'_>) -> Result<OutboundRequest, AuthError> {
        let s = &self.settings;
        let mut request = OutboundRequest::new(s.method, self.token_url.clone(), Vec::new().into());
        let mut form: Vec<(&str, SecretBytes)> = vec![("grant_type", plain("client_credentials"))];
        form.extend(s.scope.iter().map(|scope| ("scope", plain(scope))));
        form.extend(s.audience.as_slice().iter().map(|text| ("audience", plain(text))));
        form.extend(s.resource.as_slice().iter().map(|text| ("resource", plain(text))));
        self.authenticate(&mut request, &mut form, call)?;
        for (name, parameter) in &s.body {
            form.push((name, value(parameter, call)?));
        }
        match s.method {
            Method::Get => request.secret_query.extend(owned(form)),
            Method::Post
            | Method::Put
            | Method::Patch
            | Method::Delete
            | Method::Head
            | Method::Options => {
                request.body = encode(form)?;
                let content_type = "application/x-www-form-urlencoded".to_owned();
                request.set_header("content-type", HeaderValue::Plain(content_type));
            }
        }
        for (name, parameter) in &s.query {
            request.secret_query.push((name.clone(), value(parameter, call)?));
        }
        request.set_header("accept", HeaderValue::Plain("application/json".to_owned()));
        for (name, parameter) in &s.headers {
            let value = match parameter {
                Parameter::Plain(text) => HeaderValue::Plain(text.clone()),
                Parameter::Secret { secret } => {
                    call.header_text(secret)?;
                    HeaderValue::Secret(call.secret(secret)?.clone())
                }
            };
            request.set_header(&name.to_ascii_lowercase(), value);
        }
        Ok(request)
    }

    fn authenticate<'f>(
        &'f self,
        request: &mut OutboundRequest,
        form: &mut Vec<(&'f str, SecretBytes)>,
        call: &Call<'_>,
    ) -> Result<(), AuthError> {
        let (s, client_id) = (&self.settings, &self.settings.client_id);
        let secret = |id: &Option<SecretId>| {
            let id = id.as_ref().ok_or_else(|| AuthError::new("the step names no secret"))?;
            text(id, call.secret(id)?)
        };
        match s.client_authentication {
            ClientAuthentication::None => form.push(("client_id", plain(client_id))),
            ClientAuthentication::ClientSecretPost => {
                form.push(("client_id", plain(client_id)));
                form.push(("client_secret", plain(secret(&s.secret)?)));
            }
            ClientAuthentication::ClientSecretBasic => {
                let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
                let (id, secret) =
                    (encoded(client_id), Zeroizing::new(encoded(secret(&s.secret)?)));
                request.set_header("authorization", basic(&id, &secret));
            }
            ClientAuthentication::ClientSecretBasicUnencoded => {
                request.set_header("authorization", basic(client_id, secret(&s.secret)?));
            }
        }
        Ok(())
    }
}

fn plain(text: &str) -> SecretBytes {
    SecretBytes::new(text.as_bytes().to_vec())
}

fn text<'v>(id: &SecretId, value: &'v SecretBytes) -> Result<&'v str, AuthError> {
    let problem = "not UTF-8 text, which a parameter of a token request is";
    value.expose_str().ok_or_else(|| AuthError::of_secret(id, problem))
}

fn value(parameter: &Parameter, call: &Call<'_>) -> Result<SecretBytes, AuthError> {
    match parameter {
        Parameter::Plain(text) => Ok(plain(text)),
        Parameter::Secret { secret } => {
            let value = call.secret(secret)?;
            text(secret, value)?;
            Ok(value.clone())
        }
    }
}

fn owned(form: Vec<(&str, SecretBytes)>) -> impl Iterator<Item = (String, SecretBytes)> {
    form.into_iter().map(|(name, value)| (name.to_owned(), value))
}

fn encode(form: Vec<(&str, SecretBytes)>) -> Result<bytes::Bytes, AuthError> {
    let mut serializer = Serializer::new(String::new());
    for (name, value) in &form {
        let text = value.expose_str().ok_or_else(|| AuthError::new("a parameter is not UTF-8"))?;
        serializer.append_pair(name, text);
    }
    Ok(serializer.finish().into())
}

fn basic(user: &str, password: &str) -> HeaderValue {
    let pair = Zeroizing::new([user.as_bytes(), b":", password.as_bytes()].concat());
    HeaderValue::Secret(SecretBytes::new(
        format!("Basic {}", BASE64_STANDARD.encode(&*pair)).into_bytes(),
    ))
}

fn check_header(name: &str, value: &Parameter) -> Result<(), String> {
    let lower = header::check_name(name).map_err(|e| e.to_string())?;
    if lower == "content-type" || lower == "accept" {
        return Err("the token request sets this header itself".to_owned());
    }
    header::check_not_reserved(&lower).map_err(|e| e.to_string())?;
    match value {
        Parameter::Plain(text) => header::check_value(text).map(drop).map_err(|e| e.to_string()),
        Parameter::Secret { .. } => Ok(()),
    }
}
