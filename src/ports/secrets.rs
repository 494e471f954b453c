//! Where sealed secrets are kept. The store never sees a value.

use async_trait::async_trait;

use super::Result;
use super::endpoints::PutResult;
use crate::domain::ids::{CustomerId, SecretId};
use crate::domain::secret::{SealedSecret, SealedVersion};
use crate::domain::secret_record::{SecretChange, SecretRecord};

/// The half that reads: sealed secrets by customer and secret id. It sees all that a write has returned.
/// It is all that a worker has.
#[async_trait]
pub trait ReadSecrets: Send + Sync {
    /// The secret with its current and its previous version, in one read.
    async fn get(&self, customer: &CustomerId, secret: &SecretId) -> Result<Option<SealedSecret>>;

    /// The same for whoever is about to change it: the last version number ever given is remembered
    /// of deleted secrets too. A number is never given twice, because a sealed value is bound to it.
    async fn record(&self, customer: &CustomerId, secret: &SecretId) -> Result<SecretRecord>;

    /// The versions that left the record and are kept, newest first. One that was made current again
    /// may be among them.
    async fn history(&self, customer: &CustomerId, secret: &SecretId)
    -> Result<Vec<SealedVersion>>;

    /// The secrets of a customer, or of all, by customer and secret id.
    async fn list(
        &self,
        customer: Option<&CustomerId>,
    ) -> Result<Vec<(CustomerId, SecretId, SealedSecret)>>;
}

/// The half that writes. What a write has returned is durable and seen by every later read.
#[async_trait]
pub trait Secrets: ReadSecrets {
    /// Makes a change whole, history included, if the record still is as the change has seen it. Tells
    /// the version that is current then; of a conflict the one that is current now (0: none).
    async fn change(
        &self,
        customer: &CustomerId,
        secret: &SecretId,
        change: SecretChange,
    ) -> Result<PutResult>;

    /// Puts `to` in the place of the version `from`, wherever that is kept, if it still is exactly so, and
    /// tells whether it was. Which versions are in use stays as it is. A version of the history keeps its
    /// number: under another one it is not replaced there.
    async fn replace(
        &self,
        customer: &CustomerId,
        secret: &SecretId,
        from: &SealedVersion,
        to: &SealedVersion,
    ) -> Result<bool>;

    /// Removes versions from the history; those in use stay as they are. Tells how many there were.
    async fn forget(
        &self,
        customer: &CustomerId,
        secret: &SecretId,
        versions: &[u64],
    ) -> Result<usize>;

    /// Removes a secret with all its versions, history included, if the version `expected` is the
    /// current one, or whichever is; `false`, and nothing removed, if it is not, or there was none.
    async fn delete(
        &self,
        customer: &CustomerId,
        secret: &SecretId,
        expected: Option<u64>,
    ) -> Result<bool>;
}
