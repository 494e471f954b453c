//! Ways to authenticate and to sign a call.
//!
//! A scheme is one file here, one line in [`REGISTRY`], one folder of vectors in `fixtures/auth/` and
//! one heading in `docs/AUTH.md`; a test demands all four. An endpoint lists any number of steps,
//! applied in order. If any step cannot be applied, nothing is sent.

pub mod api_key;
pub mod basic;
pub mod bearer;
pub mod none;
pub mod standard_webhooks;

use std::collections::HashMap;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::domain::endpoint::AuthStep;
use crate::domain::field::FieldError;
use crate::domain::ids::{JobId, SecretId};
use crate::domain::request::OutboundRequest;
use crate::domain::secret::SecretBytes;
use crate::domain::timestamp::Timestamp;

/// Every scheme there is.
pub static REGISTRY: &[&dyn Scheme] = &[
    &none::None,
    &basic::Basic,
    &bearer::Bearer,
    &api_key::ApiKey,
    &standard_webhooks::StandardWebhooks,
];

/// One way to authenticate.
pub trait Scheme: Sync {
    /// The name that endpoints use.
    fn name(&self) -> &'static str;

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

    /// Applies the step to a request.
    ///
    /// # Errors
    /// If the step cannot be applied as configured; then nothing may be sent.
    fn apply(&self, request: &mut OutboundRequest, call: &Call<'_>) -> Result<(), AuthError>;
}

/// A part of a request that a step sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// The header of this name, in lower case.
    Header(String),
    /// The query parameter of this name.
    Query(String),
}

/// What a step may know of the call it is applied to.
pub struct Call<'a> {
    /// The job's id.
    pub job_id: &'a JobId,
    /// When the call is made.
    pub now: Timestamp,
    /// The values in use of each secret, the current one first.
    pub secrets: &'a HashMap<SecretId, Vec<SecretBytes>>,
}

impl Call<'_> {
    /// The current value of a secret.
    fn secret(&self, id: &SecretId) -> Result<&SecretBytes, AuthError> {
        self.all(id)
            .first()
            .ok_or_else(|| AuthError::new(format!("secret {id} has no value in use")))
    }

    /// The current value as text that can stand in a header.
    fn header_text(&self, id: &SecretId) -> Result<&str, AuthError> {
        let text = self.secret(id)?.expose_str();
        text.filter(|text| !text.is_empty() && crate::domain::header::check_value(text) == Ok(*text)).ok_or_else(
            || {
                let problem = "its value is empty, begins or ends with white space, or holds characters \
                               that a header cannot carry";
                AuthError::new(format!("secret {id}: {problem}"))
            },
        )
    }

    fn all(&self, id: &SecretId) -> &[SecretBytes] {
        self.secrets.get(id).map_or(&[], Vec::as_slice)
    }
}

/// Why a step could not be applied. Holds no part of a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AuthError(String);

impl AuthError {
    fn new(problem: impl Into<String>) -> Self {
        Self(problem.into())
    }
}

/// The steps of an endpoint, in order.
pub struct Chain(Vec<Box<dyn Step>>);

impl Chain {
    /// Checks the auth steps of an endpoint. `taken` are the headers that the endpoint itself sets.
    ///
    /// # Errors
    /// With the path of what is wrong: an unknown scheme, a wrong setting, or two that set the same.
    pub fn compile(
        steps: &[AuthStep],
        taken: impl Iterator<Item = String>,
    ) -> Result<Self, FieldError> {
        let mut set: Vec<Part> = taken.map(Part::Header).collect();
        let mut chain = Vec::with_capacity(steps.len());
        for (index, step) in steps.iter().enumerate() {
            let path = format!("auth[{index}]");
            let scheme =
                REGISTRY.iter().find(|scheme| scheme.name() == step.scheme).ok_or_else(|| {
                    let known: Vec<&str> = REGISTRY.iter().map(|scheme| scheme.name()).collect();
                    let problem = format!(
                        "{:?} is not a scheme: expected one of {}",
                        step.scheme,
                        known.join(", ")
                    );
                    FieldError::new(format!("{path}.scheme"), problem)
                })?;
            let compiled = scheme.compile(&step.settings).map_err(|e| e.under(&path))?;
            for part in compiled.sets() {
                if set.contains(&part) {
                    let problem =
                        format!("{part:?} is set twice: by another step or the endpoint's headers");
                    return Err(FieldError::new(path, problem));
                }
                set.push(part);
            }
            chain.push(compiled);
        }
        Ok(Self(chain))
    }

    /// Every secret that a step needs, each once.
    pub fn secrets(&self) -> Vec<SecretId> {
        let mut ids: Vec<SecretId> =
            self.0.iter().flat_map(|step| step.secrets()).cloned().collect();
        ids.sort();
        ids.dedup();
        ids
    }

    /// The parts of the request that the steps set.
    pub fn sets(&self) -> impl Iterator<Item = Part> {
        self.0.iter().flat_map(|step| step.sets())
    }

    /// Applies every step, in order.
    ///
    /// # Errors
    /// If one cannot be applied; then nothing may be sent.
    pub fn apply(&self, request: &mut OutboundRequest, call: &Call<'_>) -> Result<(), AuthError> {
        self.0.iter().try_for_each(|step| step.apply(request, call))
    }
}

/// Reads a step's settings into the scheme's own type.
fn read_settings<T: DeserializeOwned>(settings: &Map<String, Value>) -> Result<T, FieldError> {
    serde_path_to_error::deserialize(Value::Object(settings.clone())).map_err(|e| {
        let path = e.path().to_string();
        FieldError::new(if path == "." { String::new() } else { path }, e.into_inner().to_string())
    })
}

#[cfg(test)]
mod tests;
