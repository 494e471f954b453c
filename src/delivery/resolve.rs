//! Decoded → resolved: the endpoint and its secrets are at hand, and the secrets may go there.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;

use super::decode::Decoded;
use super::endpoint_book::{KnownEndpoint, LookupError};
use super::{Halt, Pipeline};
use crate::domain::ids::SecretId;
use crate::domain::reason::Reason;
use crate::domain::secret::SecretBytes;
use crate::domain::timestamp::Timestamp;
use crate::ports::Error;
use crate::vault::VaultError;

/// The values in use of each secret, the current one first.
pub type OpenSecrets = BTreeMap<SecretId, Vec<SecretBytes>>;

/// A job with its endpoint and secrets.
#[derive(Clone)]
pub struct Resolved<'d> {
    /// The job.
    pub decoded: &'d Decoded<'d>,
    /// The endpoint.
    pub known: Arc<KnownEndpoint>,
    /// The secrets.
    pub secrets: OpenSecrets,
}

impl Resolved<'_> {
    /// The same with the previous values of those secrets that have one, where the endpoint says that
    /// they may be used in place of refused ones; `None` if there is nothing else to try.
    pub(super) fn with_previous(&self) -> Option<Self> {
        let has_previous = self.secrets.values().any(|values| values.len() > 1);
        if !self.known.endpoint.previous_secret_on_401 || !has_previous {
            return None;
        }
        let last = |values: &Vec<SecretBytes>| values.last().into_iter().cloned().collect();
        let secrets = self.secrets.iter().map(|(id, values)| (id.clone(), last(values))).collect();
        Some(Self { secrets, ..self.clone() })
    }
}

impl Pipeline {
    /// Looks up the endpoint and opens its secrets; as they were read at `since` or later, if that
    /// is given.
    pub(super) async fn resolve<'d>(
        &self,
        decoded: &'d Decoded<'d>,
        now: Timestamp,
        since: Option<Instant>,
    ) -> Result<Resolved<'d>, Halt> {
        let key = &decoded.key;
        let found = self.endpoints.find(&key.customer_id, &key.endpoint_id, since).await;
        let known = found.map_err(|error| match &*error {
            LookupError::Unknown => {
                let problem =
                    format!("customer {} has no endpoint {}", key.customer_id, key.endpoint_id);
                Halt::DeadLetter(Reason::UnknownEndpoint, problem)
            }
            LookupError::Invalid(field) => {
                Halt::DeadLetter(Reason::InvalidEndpoint, field.to_string())
            }
            LookupError::Ours(error) => ours(error),
        })?;
        self.long_timeouts.tell(&known.endpoint, &self.tally);
        let secrets = self.open_secrets(&known, now, since).await?;
        Ok(Resolved { decoded, known, secrets })
    }

    /// Opens every secret that the endpoint's steps name.
    pub(super) async fn open_secrets(
        &self,
        known: &KnownEndpoint,
        now: Timestamp,
        since: Option<Instant>,
    ) -> Result<OpenSecrets, Halt> {
        let customer = &known.endpoint.customer_id;
        let mut secrets = OpenSecrets::new();
        for (id, origins) in &known.secrets {
            let open =
                self.vault.open_since(customer, id, since).await.map_err(
                    |error| match &*error {
                        VaultError::Unknown { .. } => {
                            Halt::DeadLetter(Reason::UnknownSecret, error.to_string())
                        }
                        VaultError::NotDecrypted { .. } => {
                            Halt::DeadLetter(Reason::SecretNotDecrypted, error.to_string())
                        }
                        VaultError::Unbound { .. } => {
                            Halt::DeadLetter(Reason::UnboundSecret, error.to_string())
                        }
                        VaultError::Shredded { .. } => {
                            Halt::DeadLetter(Reason::TenantKeyShredded, error.to_string())
                        }
                        VaultError::Ours(error) => ours(error),
                    },
                )?;
            let values = open.values_for(origins, now).map_err(|origin| {
                let problem =
                    format!("secret {id} of customer {customer} may not be sent to {origin}");
                Halt::DeadLetter(Reason::OriginNotAllowed, problem)
            })?;
            secrets.insert(id.clone(), values);
        }
        Ok(secrets)
    }
}

/// Several callers share one failed reading, so its error is described anew for each.
pub fn ours(error: &Error) -> Halt {
    Halt::Ours(error.again())
}
