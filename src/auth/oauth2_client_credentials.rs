//! `oauth2_client_credentials`: an access token from the customer's token server (RFC 6749 section 4.4),
//! sent as a bearer token.
//!
//! The token is fetched and kept by the pipeline; here is what is asked for, how the answer is read,
//! and where the token goes.

mod client;
mod parameters;
mod request;
mod response;

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;

pub use request::TokenRequest;
pub use response::{Token, TokenFailure, read};

use super::need::{Grant, Need};
use super::verify::{Check, Code, Finding};
use super::{AuthError, Call, Part, Scheme, Step, read_settings};
use crate::domain::field::FieldError;
use crate::domain::header;
use crate::domain::ids::SecretId;
use crate::domain::request::{HeaderValue, OutboundRequest};
use crate::domain::secret::{Facts, SecretBytes};

/// The scheme.
pub struct OAuth2ClientCredentials;

/// Where the token goes, beside the settings of the token request.
#[derive(Deserialize)]
struct Settings {
    #[serde(default = "authorization")]
    header: String,
    #[serde(default = "bearer")]
    prefix: String,
    #[serde(flatten)]
    request: Map<String, Value>,
}

fn authorization() -> String {
    "authorization".to_owned()
}

fn bearer() -> String {
    "Bearer ".to_owned()
}

struct Compiled {
    header: String,
    prefix: String,
    request: Arc<TokenRequest>,
}

impl Scheme for OAuth2ClientCredentials {
    fn name(&self) -> &'static str {
        "oauth2_client_credentials"
    }

    fn summary(&self) -> &'static str {
        "an access token of the customer's token server (RFC 6749 section 4.4)"
    }

    fn example(&self) -> &'static str {
        r#"{"scheme": "oauth2_client_credentials", "token_url": "https://login.acme.example/oauth/token",
 "client_id": "sealpost", "secret": "client-secret", "scope": "orders.write"}"#
    }

    fn compile(&self, settings: &Map<String, Value>) -> Result<Box<dyn Step>, FieldError> {
        let settings: Settings = read_settings(settings)?;
        let refuse = |e: header::InvalidHeader| FieldError::new("header", e.to_string());
        let header = header::check_name(&settings.header).map_err(refuse)?;
        header::check_not_reserved(&header).map_err(refuse)?;
        header::check_value(&settings.prefix)
            .map_err(|e| FieldError::new("prefix", e.to_string()))?;
        let request = Arc::new(TokenRequest::compile(&settings.request)?);
        Ok(Box::new(Compiled { header, prefix: settings.prefix, request }))
    }
}

impl Step for Compiled {
    fn secrets(&self) -> Vec<&SecretId> {
        self.request.secrets()
    }

    fn sets(&self) -> Vec<Part> {
        vec![Part::Header(self.header.clone())]
    }

    fn places(&self) -> Vec<(&'static str, &Url)> {
        vec![("token_url", self.request.token_url())]
    }

    fn need(&self) -> Option<Need<'_>> {
        Some(Need::Token(&self.request))
    }

    fn check_secret(&self, secret: &SecretId, value: &SecretBytes) -> Result<(), AuthError> {
        self.request.check_secret(secret, value)
    }

    fn check_facts(&self, secret: &SecretId, facts: &Facts) -> Result<(), AuthError> {
        self.request.check_facts(secret, facts)
    }

    fn apply(&self, request: &mut OutboundRequest, call: &Call<'_>) -> Result<(), AuthError> {
        let Some(Grant::Token(token)) = call.grant else {
            return Err(AuthError::new("there is no access token"));
        };
        let value = SecretBytes::new([self.prefix.as_bytes(), token.value.expose()].concat());
        request.set_header(&self.header, HeaderValue::Secret(value));
        Ok(())
    }

    fn verify(&self, _: &Check<'_>) -> Vec<Finding> {
        let problem = "whether an access token is valid, its token server alone can say";
        vec![Finding::new(Code::NotVisible, problem)]
    }
}
