//! The vault: seals the secrets that customers give us, and opens them for the worker.
//!
//! A value is sealed in an [`envelope`] under a fresh data key, which the key service wraps. Both are
//! bound to the same context (customer, secret, version, origins), so that a sealed value copied to
//! another row, or served as another version, does not open. Opened values live in a bounded cache
//! and are wiped when they leave it.

mod context;
pub mod envelope;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::cache::{Lifetimes, Passing, SoftCache};
use crate::domain::ids::{CustomerId, SecretId};
use crate::domain::origin::Origin;
use crate::domain::secret::{Binding, SealedVersion, SecretBytes};
use crate::domain::timestamp::Timestamp;
use crate::ports::endpoints::PutResult;
use crate::ports::keys::Unwrapped;
use crate::ports::{Chance, Clock, Error, Keys, Secrets};

pub use context::context_bytes;

/// Least time between two readings of the same secret past the cache.
const REREAD_PAUSE: Duration = Duration::from_secs(30);

/// Why a secret cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// There is no such secret.
    #[error("customer {customer} has no secret {secret}")]
    Unknown {
        /// Whose.
        customer: CustomerId,
        /// Which.
        secret: SecretId,
    },
    /// The sealed value does not open, and never will.
    #[error("secret {secret} of customer {customer}, version {version}: {problem}")]
    NotDecrypted {
        /// Whose.
        customer: CustomerId,
        /// Which.
        secret: SecretId,
        /// Which version.
        version: u64,
        /// Why not.
        problem: String,
    },
    /// The store or the key service failed.
    #[error(transparent)]
    Ours(#[from] Error),
}

impl Passing for VaultError {
    fn is_passing(&self) -> bool {
        match self {
            Self::Ours(_) => true,
            Self::Unknown { .. } | Self::NotDecrypted { .. } => false,
        }
    }
}

/// A secret, opened.
pub struct OpenSecret {
    /// The current version first; then the previous one, if it is still in use somewhere.
    versions: Vec<OpenVersion>,
    previous_until: Option<Timestamp>,
    opened_at: tokio::time::Instant,
}

struct OpenVersion {
    version: u64,
    value: SecretBytes,
    origins: BTreeSet<Origin>,
}

impl OpenSecret {
    /// The current version's number.
    pub fn version(&self) -> u64 {
        self.versions.first().map_or(0, |v| v.version)
    }

    /// The values in use at `now` that may go to `origin`, the current one first. Empty if the
    /// current value may not go there.
    pub fn values_for(&self, origin: &Origin, now: Timestamp) -> Vec<SecretBytes> {
        let overlap = self.previous_until.is_some_and(|until| now < until);
        let in_use = if overlap { self.versions.len() } else { 1 };
        let mut versions = self.versions.iter().take(in_use);
        let Some(current) = versions.next().filter(|v| v.origins.contains(origin)) else {
            return Vec::new();
        };
        let previous = versions.filter(|v| v.origins.contains(origin));
        std::iter::once(current).chain(previous).map(|v| v.value.clone()).collect()
    }
}

/// What is put into the vault.
pub struct NewSecret {
    /// Whose.
    pub customer: CustomerId,
    /// Which.
    pub secret: SecretId,
    /// The bytes.
    pub value: SecretBytes,
    /// Where they may go.
    pub origins: BTreeSet<Origin>,
    /// How long the version before stays in use beside the new one.
    pub overlap: Option<Duration>,
}

/// Seals and opens.
#[derive(Clone)]
pub struct Vault {
    secrets: Arc<dyn Secrets>,
    keys: Arc<dyn Keys>,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    open: Arc<SoftCache<(CustomerId, SecretId), OpenSecret>>,
}

impl Vault {
    /// A vault over a store and a key service.
    pub fn new(
        secrets: Arc<dyn Secrets>,
        keys: Arc<dyn Keys>,
        clock: Arc<dyn Clock>,
        chance: Arc<dyn Chance>,
        lifetimes: Lifetimes,
    ) -> Self {
        Self { secrets, keys, clock, chance, open: Arc::new(SoftCache::new(lifetimes)) }
    }

    /// Seals a value and makes it the secret's current version.
    ///
    /// # Errors
    /// If the store or the key service fails. A conflicting write is a [`PutResult`].
    pub async fn put(&self, new: NewSecret) -> Result<PutResult, Error> {
        let version = self.secrets.last_version(&new.customer, &new.secret).await? + 1;
        let binding = Binding {
            customer_id: new.customer,
            secret_id: new.secret,
            version,
            origins: new.origins,
        };
        let context = binding.context();
        let data_key = self.keys.generate(&context).await?;
        let sealed = envelope::seal(&data_key, &new.value, &context, &*self.chance)
            .map_err(|e| Error::new("vault.seal", e.to_string()))?;
        let now = self.clock.now();
        let Binding { customer_id, secret_id, origins, .. } = binding;
        let sealed = SealedVersion { version, sealed, origins, created_at: now };
        let previous_until = new.overlap.map(|overlap| now.plus(overlap));
        let result = self.secrets.put(&customer_id, &secret_id, sealed, previous_until).await?;
        self.open.forget(&(customer_id, secret_id)).await;
        Ok(result)
    }

    /// The secret, opened, from the cache where it is fresh enough.
    pub async fn open(
        &self,
        customer: &CustomerId,
        secret: &SecretId,
    ) -> Result<Arc<OpenSecret>, Arc<VaultError>> {
        let key = (customer.clone(), secret.clone());
        let (vault, wanted) = (self.clone(), key.clone());
        self.open.get(&key, async move { vault.read(&wanted.0, &wanted.1).await }).await
    }

    /// Reads a secret past the cache, unless that was done a moment ago; whether its version changed.
    pub async fn reread(
        &self,
        customer: &CustomerId,
        secret: &SecretId,
    ) -> Result<bool, Arc<VaultError>> {
        let known = self.open(customer, secret).await?;
        if known.opened_at.elapsed() < REREAD_PAUSE {
            return Ok(false);
        }
        let fresh = self.read(customer, secret).await.map_err(Arc::new)?;
        let changed = fresh.version() != known.version();
        self.open.put((customer.clone(), secret.clone()), fresh).await;
        Ok(changed)
    }

    async fn read(
        &self,
        customer: &CustomerId,
        secret: &SecretId,
    ) -> Result<OpenSecret, VaultError> {
        let unknown = || VaultError::Unknown { customer: customer.clone(), secret: secret.clone() };
        let stored = self.secrets.get(customer, secret).await?.ok_or_else(unknown)?;
        let mut versions = Vec::new();
        for version in stored.in_use(self.clock.now()) {
            let value = self.open_version(customer, secret, version).await?;
            let (version, origins) = (version.version, version.origins.clone());
            versions.push(OpenVersion { version, value, origins });
        }
        let opened_at = tokio::time::Instant::now();
        Ok(OpenSecret { versions, previous_until: stored.previous_until, opened_at })
    }

    async fn open_version(
        &self,
        customer: &CustomerId,
        secret: &SecretId,
        stored: &SealedVersion,
    ) -> Result<SecretBytes, VaultError> {
        let refused = |problem: String| VaultError::NotDecrypted {
            customer: customer.clone(),
            secret: secret.clone(),
            version: stored.version,
            problem,
        };
        let context = Binding {
            customer_id: customer.clone(),
            secret_id: secret.clone(),
            version: stored.version,
            origins: stored.origins.clone(),
        }
        .context();
        let envelope = envelope::parse(&stored.sealed).map_err(|e| refused(e.to_string()))?;
        match self.keys.unwrap(envelope.wrapped_key, &context).await? {
            Unwrapped::Key(key) => {
                envelope.open(&key, &context).map_err(|e| refused(e.to_string()))
            }
            Unwrapped::Refused(problem) => Err(refused(problem)),
        }
    }
}

#[cfg(test)]
mod tests;
