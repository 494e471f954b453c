//! What a scheme is to the rest of the program.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use url::Url;

use super::need::{Grant, Need};
use super::verify::{Check, Finding, by_applying};
use crate::domain::field::FieldError;
use crate::domain::ids::{CustomerId, EndpointId, JobId, SecretId};
use crate::domain::request::OutboundRequest;
use crate::domain::secret::{Facts, SecretBytes};
use crate::domain::timestamp::Timestamp;

/// One way to authenticate.
pub trait Scheme: Sync {
    /// The name that endpoints use.
    fn name(&self) -> &'static str;

    /// What it is for, in one line without a full stop.
    fn summary(&self) -> &'static str;

    /// An auth step with this scheme, as JSON: the first example of its heading in `docs/AUTH.md`.
    fn example(&self) -> &'static str;

    /// Checks the plain settings of a step.
    ///
    /// # Errors
    /// With the path of the setting that is wrong.
    fn compile(&self, settings: &Map<String, Value>) -> Result<Box<dyn Step>, FieldError>;
}

/// A scheme with its settings, ready to be applied to calls.
pub trait Step: Send + Sync {
    /// The secrets it needs.
    fn secrets(&self) -> Vec<&SecretId>;

    /// The parts of the request that it sets: no two steps may set the same.
    fn sets(&self) -> Vec<Part>;

    /// Places besides the endpoint that its secrets go to, each with the setting that names it.
    fn places(&self) -> Vec<(&'static str, &Url)> {
        Vec::new()
    }

    /// What has to be asked of others before it can be applied.
    fn need(&self) -> Option<Need<'_>> {
        None
    }

    /// Whether what it computes covers the URL: then no later step may add to the URL.
    fn covers_url(&self) -> bool {
        false
    }

    /// Whether it may spell the URL in another way: then no earlier step may have covered it.
    fn rewrites_url(&self) -> bool {
        false
    }

    /// Checks a value that is to be one of its secrets, as far as that can be seen without a call.
    ///
    /// # Errors
    /// If no call could be made with it.
    fn check_secret(&self, secret: &SecretId, value: &SecretBytes) -> Result<(), AuthError>;

    /// Checks what is known of a stored value, where nobody may open it: that it is a certificate or an
    /// asymmetric key, and of which kind. Of other values nothing is known.
    ///
    /// # Errors
    /// If no call could be made with such a value.
    fn check_facts(&self, secret: &SecretId, facts: &Facts) -> Result<(), AuthError> {
        check_is_no_certificate(secret, facts)
    }

    /// Applies the step to a request.
    ///
    /// # Errors
    /// If the step cannot be applied as configured; then nothing may be sent.
    fn apply(&self, request: &mut OutboundRequest, call: &Call<'_>) -> Result<(), AuthError>;

    /// Checks a request as its receiver would; finds nothing if it is authentic. What is computed the
    /// same every time need not be checked in another way than by applying the step again.
    fn verify(&self, check: &Check<'_>) -> Vec<Finding> {
        by_applying(check, |request, call| self.apply(request, call))
    }
}

/// A part of a request that a step sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// The header of this name, in lower case.
    Header(String),
    /// The query parameter of this name.
    Query(String),
    /// The certificate that is shown to the server.
    Identity,
    /// A place in the body.
    Body(String),
}

/// What a step may know of the call it is applied to.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// Whose endpoint is called.
    pub customer_id: &'a CustomerId,
    /// Which endpoint is called.
    pub endpoint_id: &'a EndpointId,
    /// The job's id.
    pub job_id: &'a JobId,
    /// The job's type, where it has one.
    pub job_type: Option<&'a str>,
    /// When the call is made.
    pub now: Timestamp,
    /// Gives a text that never was given before: 128 random bits in hex.
    pub nonce: &'a (dyn Fn() -> String + Sync),
    /// The values in use of each secret, the current one first.
    pub secrets: &'a BTreeMap<SecretId, Vec<SecretBytes>>,
    /// What the step's need gave.
    pub grant: Option<&'a Grant>,
}

impl<'a> Call<'a> {
    /// The current value of a secret.
    pub fn secret(&self, id: &SecretId) -> Result<&'a SecretBytes, AuthError> {
        self.all(id)
            .first()
            .ok_or_else(|| AuthError::new(format!("secret {id} has no value in use")))
    }

    /// The current value as text that can stand in a header.
    pub fn header_text(&self, id: &SecretId) -> Result<&'a str, AuthError> {
        header_text(id, self.secret(id)?)
    }

    /// The values in use, the current one first; empty if there is none.
    pub fn all(&self, id: &SecretId) -> &'a [SecretBytes] {
        self.secrets.get(id).map_or(&[], Vec::as_slice)
    }
}

/// A secret's value as text that can stand in a header.
///
/// # Errors
/// If it cannot.
pub fn header_text<'v>(id: &SecretId, value: &'v SecretBytes) -> Result<&'v str, AuthError> {
    let text = value.expose_str();
    text.filter(|text| !text.is_empty() && crate::domain::header::check_value(text) == Ok(*text)).ok_or_else(|| {
        let problem = "its value is empty, begins or ends with white space, or holds characters \
                       that a header cannot carry";
        AuthError::new(format!("secret {id}: {problem}"))
    })
}

/// Most schemes send a text, or sign with one: a certificate has line breaks, and is no key either.
fn check_is_no_certificate(secret: &SecretId, facts: &Facts) -> Result<(), AuthError> {
    if facts.certificate_fingerprint.is_none() {
        return Ok(());
    }
    Err(AuthError::of_secret(secret, "found a certificate, which the scheme mtls alone shows"))
}

/// Whether a value is its scheme's word for the header and what belongs behind it.
pub fn begins_with_word(value: &SecretBytes, word: &str) -> bool {
    let begin = value.expose_str().and_then(|text| text.get(..word.len() + 1));
    begin.and_then(|begin| begin.strip_suffix(' ')).is_some_and(|b| b.eq_ignore_ascii_case(word))
}

/// Why a step could not be applied. Holds no part of a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AuthError(String);

impl AuthError {
    /// An error that says `problem`.
    pub fn new(problem: impl Into<String>) -> Self {
        Self(problem.into())
    }

    /// An error in the value of a secret.
    pub fn of_secret(id: &SecretId, problem: impl std::fmt::Display) -> Self {
        Self(format!("secret {id}: {problem}"))
    }
}

/// Reads a step's settings into the scheme's own type.
pub fn read_settings<T: DeserializeOwned>(settings: &Map<String, Value>) -> Result<T, FieldError> {
    serde_path_to_error::deserialize(Value::Object(settings.clone())).map_err(|e| {
        let path = e.path().to_string();
        FieldError::new(if path == "." { String::new() } else { path }, e.into_inner().to_string())
    })
}
