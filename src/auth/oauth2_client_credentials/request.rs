//! What a token server is asked for.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;
use url::form_urlencoded::Serializer;

use super::client::{Client, ClientAuthentication};
use super::parameters;
use crate::auth::key::Algorithm;
use crate::auth::{AuthError, Call, read_settings};
use crate::domain::endpoint::Method;
use crate::domain::field::FieldError;
use crate::domain::ids::SecretId;
use crate::domain::request::{HeaderValue, OutboundRequest};
use crate::domain::secret::{Facts, SecretBytes};

const GRANT_TYPE: &str = "client_credentials";

/// The parameters of a request, in order.
pub type Form<'f> = Vec<(&'f str, SecretBytes)>;

/// A parameter's value.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "expected a text, or {\"secret\": ID}")]
pub enum Parameter {
    /// A text.
    Plain(String),
    /// The value of a secret.
    Secret {
        /// Which.
        secret: SecretId,
    },
}

/// One text, or several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "expected a text or a list of texts")]
pub enum Texts {
    One(String),
    Several(Vec<String>),
}

impl Default for Texts {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

impl Texts {
    /// All of them.
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Several(texts) => texts,
        }
    }
}

/// The settings as they are given.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "docs/AUTH.md has a table of them")]
pub struct Settings {
    token_url: String,
    #[serde(default)]
    pub method: Method,
    pub client_id: String,
    /// RFC 6749 section 4.4.2, where a server does not call it otherwise.
    #[serde(default)]
    grant_type: Option<String>,
    #[serde(default)]
    pub client_authentication: ClientAuthentication,
    #[serde(default)]
    pub secret: Option<SecretId>,
    #[serde(default)]
    pub algorithm: Option<Algorithm>,
    #[serde(default)]
    pub kid: Option<String>,
    #[serde(default)]
    pub assertion_audience: Option<String>,
    #[serde(default)]
    pub scope: Option<String>,
    #[serde(default)]
    pub audience: Texts,
    /// RFC 8707.
    #[serde(default)]
    pub resource: Texts,
    #[serde(default)]
    pub headers: BTreeMap<String, Parameter>,
    #[serde(default)]
    pub query: BTreeMap<String, Parameter>,
    #[serde(default)]
    pub body: BTreeMap<String, Parameter>,
}

/// The settings of a token request, checked. Equal ones ask for the same token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRequest {
    settings: Settings,
    token_url: Url,
    client: Client,
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
        let client = Client::compile(&settings, &token_url)?;
        parameters::check(&settings)?;
        Ok(Self { settings, token_url, client })
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
        self.client.check_secret(secret, value)?;
        text(secret, value).map(drop)
    }

    /// Checks what is known of a stored value that is to be one of the secrets.
    ///
    /// # Errors
    /// If it is the key of the assertion, and of another kind than its algorithm takes.
    pub fn check_facts(&self, secret: &SecretId, facts: &Facts) -> Result<(), AuthError> {
        self.client.check_facts(secret, facts)
    }

    /// The request, without the headers that every call of ours carries.
    ///
    /// # Errors
    /// If a secret cannot stand where it has to.
    pub fn build(&self, call: &Call<'_>) -> Result<OutboundRequest, AuthError> {
        let s = &self.settings;
        let mut request = OutboundRequest::new(s.method, self.token_url.clone(), Vec::new().into());
        let mut form: Vec<(&str, SecretBytes)> =
            vec![("grant_type", plain(s.grant_type.as_deref().unwrap_or(GRANT_TYPE)))];
        form.extend(s.scope.iter().map(|scope| ("scope", plain(scope))));
        form.extend(s.audience.as_slice().iter().map(|text| ("audience", plain(text))));
        form.extend(s.resource.as_slice().iter().map(|text| ("resource", plain(text))));
        self.client.authenticate(&mut request, &mut form, call)?;
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
}

pub fn plain(text: &str) -> SecretBytes {
    SecretBytes::new(text.as_bytes().to_vec())
}

pub fn text<'v>(id: &SecretId, value: &'v SecretBytes) -> Result<&'v str, AuthError> {
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

fn owned(form: Form<'_>) -> impl Iterator<Item = (String, SecretBytes)> {
    form.into_iter().map(|(name, value)| (name.to_owned(), value))
}

fn encode(form: Form<'_>) -> Result<bytes::Bytes, AuthError> {
    let mut serializer = Serializer::new(String::new());
    for (name, value) in &form {
        let text = value.expose_str().ok_or_else(|| AuthError::new("a parameter is not UTF-8"))?;
        serializer.append_pair(name, text);
    }
    Ok(serializer.finish().into())
}
