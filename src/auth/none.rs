//! `none`: the call carries no credentials.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::verify::{Check, Code, Finding};
use super::{AuthError, Call, Part, Scheme, Step, read_settings};
use crate::domain::field::FieldError;
use crate::domain::ids::SecretId;
use crate::domain::request::OutboundRequest;
use crate::domain::secret::SecretBytes;

/// The scheme.
pub struct None;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {}

impl Scheme for None {
    fn name(&self) -> &'static str {
        "none"
    }

    fn summary(&self) -> &'static str {
        "no credentials"
    }

    fn example(&self) -> &'static str {
        r#"{"scheme": "none"}"#
    }

    fn compile(&self, settings: &Map<String, Value>) -> Result<Box<dyn Step>, FieldError> {
        Ok(Box::new(read_settings::<Settings>(settings)?))
    }
}

impl Step for Settings {
    fn secrets(&self) -> Vec<&SecretId> {
        Vec::new()
    }

    fn sets(&self) -> Vec<Part> {
        Vec::new()
    }

    fn check_secret(&self, _: &SecretId, _: &SecretBytes) -> Result<(), AuthError> {
        Ok(())
    }

    fn verify(&self, _: &Check<'_>) -> Vec<Finding> {
        vec![Finding::new(Code::NotVisible, "nothing authenticates a request without credentials")]
    }

    fn apply(&self, _: &mut OutboundRequest, _: &Call<'_>) -> Result<(), AuthError> {
        Ok(())
    }
}
