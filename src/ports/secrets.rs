//! Where sealed secrets are kept. The store never sees a value.

use async_trait::async_trait;

use super::Result;
use super::endpoints::PutResult;
use crate::domain::ids::{CustomerId, SecretId};
use crate::domain::secret::{SealedSecret, SealedVersion};
use crate::domain::timestamp::Timestamp;

/// Sealed secrets by customer and secret id. What a write has returned is durable and seen by every
/// later read.
#[async_trait]
pub trait Secrets: Send + Sync {
    /// The secret with its current and its previous version, in one read.
    async fn get(&self, customer: &CustomerId, secret: &SecretId) -> Result<Option<SealedSecret>>;

    /// Makes `version` the current one if the version now is the one before it (0: there is none).
    /// The version before stays in use until `previous_until`.
    async fn put(
        &self,
        customer: &CustomerId,
        secret: &SecretId,
        version: SealedVersion,
        previous_until: Option<Timestamp>,
    ) -> Result<PutResult>;

    /// The last version number ever given, deleted secrets included; 0 if there was none. A number
    /// is never given twice, because a sealed value is bound to it.
    async fn last_version(&self, customer: &CustomerId, secret: &SecretId) -> Result<u64>;

    /// The secrets of a customer, or of all, by customer and secret id.
    async fn list(
        &self,
        customer: Option<&CustomerId>,
    ) -> Result<Vec<(CustomerId, SecretId, SealedSecret)>>;

    /// Removes a secret with all its versions; `false` if there was none.
    async fn delete(&self, customer: &CustomerId, secret: &SecretId) -> Result<bool>;
}
