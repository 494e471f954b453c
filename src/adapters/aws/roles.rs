//! Credentials of roles from AWS STS, and the worker's own.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_sts::Client;
use moka::future::Cache;

use super::classify::{Failure, Kind};
use super::client::Clients;
use crate::domain::aws_role::{AwsCredentials, AwsRole, RoleRefused};
use crate::domain::ids::CustomerId;
use crate::domain::secret::SecretBytes;
use crate::domain::timestamp::Timestamp;
use crate::ports::{AwsRoles, Clock, Error, Result};

/// The session's name in the trail of the role's account.
const SESSION: &str = "sealpost";
/// How long before their end credentials are not used any more. The shortest session that STS gives
/// is 15 minutes.
const MARGIN: Duration = Duration::from_secs(5 * 60);
/// How long credentials without an end are kept: somebody may have replaced them.
const ENDLESS: Duration = Duration::from_secs(15 * 60);
/// How long a refusal is kept: each job of the endpoint would ask STS again.
const REFUSED: Duration = Duration::from_secs(30);
/// Most roles kept, with their customers.
const CAPACITY: u64 = 10_000;

/// Roles that are assumed through AWS STS.
pub struct StsRoles {
    own: Option<SharedCredentialsProvider>,
    sts: Client,
    clock: Arc<dyn Clock>,
    kept: Cache<Key, Kept>,
}

/// A role and for whom it is assumed; the worker's own is the same for all.
type Key = (AwsRole, Option<CustomerId>);
type Answer = std::result::Result<AwsCredentials, RoleRefused>;

#[derive(Clone)]
struct Kept {
    answer: Answer,
    until: Timestamp,
}

impl StsRoles {
    /// Over these clients, by this clock.
    pub fn new(clients: &Clients, clock: Arc<dyn Clock>) -> Self {
        let (own, sts) = (clients.credentials.clone(), clients.sts.clone());
        Self { own, sts, clock, kept: Cache::new(CAPACITY) }
    }

    async fn ask(&self, (role, external_id): &Key) -> std::result::Result<Kept, Failure> {
        let answer = match (role, external_id) {
            (AwsRole::Assumed { arn }, Some(customer)) => self.assume(arn, customer).await?,
            (AwsRole::Worker, _) | (AwsRole::Assumed { .. }, None) => Ok(self.own().await?),
        };
        let now = self.clock.now();
        let until = match &answer {
            Ok(credentials) => {
                credentials.expires_at.map_or(now.plus(ENDLESS), |end| end.minus(MARGIN))
            }
            Err(_) => now.plus(REFUSED),
        };
        Ok(Kept { answer, until })
    }

    async fn own(&self) -> std::result::Result<AwsCredentials, Failure> {
        let Some(own) = &self.own else {
            return Err(without("no credentials are configured"));
        };
        let found = own.provide_credentials().await;
        Ok(of_sdk(&found.map_err(|e| Failure::of_credentials(&e))?))
    }

    async fn assume(
        &self,
        arn: &str,
        customer: &CustomerId,
    ) -> std::result::Result<Answer, Failure> {
        let asked = self.sts.assume_role().role_arn(arn).role_session_name(SESSION);
        let failure = match asked.external_id(customer.as_str()).send().await {
            Ok(assumed) => {
                let credentials = assumed.credentials;
                let given = credentials.ok_or_else(|| without("STS answered without any"))?;
                return Ok(Ok(of_sts(given)));
            }
            Err(error) => Failure::of(&error),
        };
        // STS says no more of a trust policy that does not fit, or of a role that is not there.
        let is_invalid = failure.code.as_deref() == Some("ValidationError");
        if failure.kind != Kind::AccessDenied && !is_invalid {
            return Err(failure);
        }
        let problem = format!(
            "the AWS role {arn} cannot be assumed with the external id {customer}: {failure}"
        );
        Ok(Err(RoleRefused(problem)))
    }
}

#[async_trait]
impl AwsRoles for StsRoles {
    async fn credentials(&self, role: &AwsRole, external_id: &CustomerId) -> Result<Answer> {
        let external_id = match role {
            AwsRole::Worker => None,
            AwsRole::Assumed { .. } => Some(external_id.clone()),
        };
        let key = (role.clone(), external_id);
        if let Some(kept) = self.kept.get(&key).await {
            if self.clock.now() < kept.until {
                return Ok(kept.answer);
            }
            self.kept.invalidate(&key).await;
        }
        // Callers that miss at the same time share one call, and its failure.
        let asked = self.kept.try_get_with_by_ref(&key, self.ask(&key)).await;
        asked.map(|kept| kept.answer).map_err(|e| Error::new("aws_roles.credentials", (*e).clone()))
    }
}

fn without(message: &str) -> Failure {
    let message = message.to_owned();
    Failure { kind: Kind::Credentials, code: None, request_id: None, message }
}

fn of_sdk(found: &Credentials) -> AwsCredentials {
    let secret = |text: &str| SecretBytes::new(text.as_bytes().to_vec());
    let since_epoch = |end: std::time::SystemTime| end.duration_since(UNIX_EPOCH).ok();
    AwsCredentials {
        access_key_id: found.access_key_id().to_owned(),
        secret_access_key: secret(found.secret_access_key()),
        session_token: found.session_token().map(secret),
        expires_at: found
            .expiry()
            .map(|end| Timestamp::from_millis(0).plus(since_epoch(end).unwrap_or_default())),
    }
}

fn of_sts(given: aws_sdk_sts::types::Credentials) -> AwsCredentials {
    AwsCredentials {
        access_key_id: given.access_key_id,
        secret_access_key: SecretBytes::new(given.secret_access_key.into_bytes()),
        session_token: Some(SecretBytes::new(given.session_token.into_bytes())),
        expires_at: Some(Timestamp::from_millis(given.expiration.secs().saturating_mul(1000))),
    }
}
