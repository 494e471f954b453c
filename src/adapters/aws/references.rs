//! References to AWS Secrets Manager and to the parameters of Systems Manager.

use async_trait::async_trait;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::Deserialize;
use serde_json::json;

use super::classify::{Failure, Kind};
use super::client::Clients;
use super::json_call::{JsonCall, Target};
use crate::domain::reference::{Keeper, Reference, Select};
use crate::domain::secret::SecretBytes;
use crate::ports::references::{Fetched, References};
use crate::ports::{Alarm, Error, Result};

const OPERATION: &str = "references.fetch";
const GET_SECRET_VALUE: Target = Target {
    service: "secretsmanager",
    service_id: "Secrets Manager",
    operation: "GetSecretValue",
    target: "secretsmanager.GetSecretValue",
};
const GET_PARAMETER: Target = Target {
    service: "ssm",
    service_id: "SSM",
    operation: "GetParameter",
    target: "AmazonSSM.GetParameter",
};

/// Follows references with the rights of the configured credentials.
pub struct AwsReferences {
    secrets_manager: JsonCall,
    ssm: JsonCall,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SecretValue {
    secret_string: Option<String>,
    secret_binary: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GotParameter {
    parameter: Parameter,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameter {
    value: String,
}

impl AwsReferences {
    /// As these clients are configured; counted with them.
    pub fn new(clients: &Clients) -> Self {
        let secrets_manager = JsonCall::new(clients, GET_SECRET_VALUE);
        Self { secrets_manager, ssm: JsonCall::new(clients, GET_PARAMETER) }
    }
}

/// What is asked for. A version or a label of a parameter is a part of its name ("GetParameter", AWS
/// Systems Manager API Reference).
fn question(reference: &Reference) -> serde_json::Value {
    let Reference { keeper, name, select, .. } = reference;
    match (keeper, select) {
        (Keeper::SecretsManager, Select::Current) => json!({"SecretId": name}),
        (Keeper::SecretsManager, Select::Version(id)) => json!({"SecretId": name, "VersionId": id}),
        (Keeper::SecretsManager, Select::Label(stage)) => {
            json!({"SecretId": name, "VersionStage": stage})
        }
        (Keeper::Ssm, Select::Current) => json!({"Name": name, "WithDecryption": true}),
        (Keeper::Ssm, Select::Version(which) | Select::Label(which)) => {
            json!({"Name": format!("{name}:{which}"), "WithDecryption": true})
        }
    }
}

/// The value in an answer; `None` if it is not of the documented form.
fn value(keeper: Keeper, answer: &SecretBytes) -> Option<SecretBytes> {
    let bytes = match keeper {
        Keeper::SecretsManager => {
            let found: SecretValue = serde_json::from_slice(answer.expose()).ok()?;
            match (found.secret_string, found.secret_binary) {
                (Some(text), _) => text.into_bytes(),
                (None, binary) => BASE64_STANDARD.decode(binary?).ok()?,
            }
        }
        Keeper::Ssm => {
            let found: GotParameter = serde_json::from_slice(answer.expose()).ok()?;
            found.parameter.value.into_bytes()
        }
    };
    Some(SecretBytes::new(bytes))
}

/// What a refusal means. Of a secret that waits for its deletion Secrets Manager says that the request
/// is invalid, and in words why.
fn refused(reference: &Reference, failure: Failure) -> Result<Fetched> {
    let said = failure.to_string();
    let code = failure.code.as_deref().unwrap_or_default();
    let alarm = match (failure.kind, code) {
        (_, "ParameterNotFound" | "ParameterVersionNotFound") | (Kind::NotFound, _) => {
            return Ok(Fetched::NotFound(said));
        }
        (_, "InvalidRequestException") if said.contains("delet") => {
            return Ok(Fetched::Deleted(said));
        }
        (Kind::AccessDenied, _) | (_, "DecryptionFailure") => Some(Alarm::ReferenceAccessDenied),
        (Kind::Refused | Kind::KeyUnusable, _) => Some(Alarm::ReferenceUnusable),
        (Kind::Throttled | Kind::Credentials | Kind::Unreachable | Kind::ServiceFault, _) => None,
    };
    let error = Named { reference: reference.to_string(), failure };
    Err(Error::new(OPERATION, error).with_alarm(alarm))
}

/// A failure with the reference that it concerns.
#[derive(Debug, thiserror::Error)]
#[error("{reference}: {failure}")]
struct Named {
    reference: String,
    #[source]
    failure: Failure,
}

#[async_trait]
impl References for AwsReferences {
    async fn fetch(&self, reference: &Reference) -> Result<Fetched> {
        let call = match reference.keeper {
            Keeper::SecretsManager => &self.secrets_manager,
            Keeper::Ssm => &self.ssm,
        };
        match call.send(&question(reference)).await {
            Ok(answer) => value(reference.keeper, &answer.0).map(Fetched::Value).ok_or_else(|| {
                Error::new(OPERATION, format!("{reference}: an answer without a value"))
            }),
            Err(error) => refused(reference, Failure::of(&error)),
        }
    }
}
