//! The kind `tenant_key`: values sealed to a key pair of their customer. Whoever writes needs the public
//! half alone. A worker has the private half unwrapped once, for all secrets of the customer, and keeps
//! it in a cache with the lifetimes of secrets.

mod body;
mod error;
mod hpke;
mod manage;

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::{Opener, VaultError};
use crate::cache::{Aged, Lifetimes, SoftCache, Usage};
use crate::domain::ids::{CustomerId, SecretId};
use crate::domain::secret::{SealedVersion, SecretBytes};
use crate::domain::tenant_key::{HALF, Sealed, StoredKey, context};
use crate::ports::keys::Unwrapped;

use super::context_bytes;
pub use body::{BodyError, NotSealed, PublicHalf};
use error::OpenError;
pub use error::TenantKeyError;
pub use manage::TenantKey;

/// A generation of a customer's tenant key, opened.
pub struct OpenKey {
    public: [u8; HALF],
    private: SecretBytes,
    /// When the key service unwrapped it. What it opens is no younger.
    pub opened_at: Instant,
}

impl Aged for OpenKey {
    fn oldest(&self) -> Option<Instant> {
        Some(self.opened_at)
    }
}

impl OpenKey {
    /// Tells a value that this key opened from everything else.
    pub fn digest(&self, version: &SealedVersion) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(version.digest());
        hash.update(self.public);
        hash.finalize().into()
    }
}

/// The tenant keys that a worker has opened, by customer and generation.
pub struct OpenKeys {
    cache: SoftCache<(CustomerId, u32), OpenKey>,
    /// How old an unwrapped half may be for a reading of the store to take it over.
    keep: Duration,
}

impl OpenKeys {
    pub fn new(lifetimes: Lifetimes) -> Self {
        // Two readings before the end of its hard lifetime: the next reading of each secret that it
        // opened finds it younger, before their own end.
        let keep = lifetimes.hard.saturating_sub(lifetimes.soft * 2);
        Self { cache: SoftCache::new(lifetimes), keep }
    }

    pub fn usage(&self) -> Usage<'_> {
        self.cache.usage()
    }
}

/// Why what is sealed to a tenant key does not open.
enum NotOpened {
    /// It is cut short, or of another kind.
    Malformed,
    /// It was altered, or sealed under another context.
    Altered,
    /// The key cannot be used.
    Key(Arc<OpenError>),
}

impl Opener {
    /// The key that a stored version is sealed to, opened; `None` if it is sealed in another way.
    pub(super) async fn tenant_key_of(
        &self,
        customer: &CustomerId,
        secret: &SecretId,
        stored: &SealedVersion,
    ) -> Result<Option<Arc<OpenKey>>, VaultError> {
        let Some(sealed) = Sealed::parse(&stored.sealed) else { return Ok(None) };
        let key = self.open_key(customer, sealed.generation).await;
        key.map(Some).map_err(|e| e.of_secret(customer, secret, stored.version))
    }

    /// Opens a value that is sealed to its customer's tenant key.
    pub(super) async fn open_with_tenant_key(
        &self,
        customer: &CustomerId,
        sealed: &[u8],
        context: &crate::ports::keys::Context,
    ) -> Result<SecretBytes, Arc<OpenError>> {
        let problem = match self.open_sealed(customer, sealed, context).await {
            Ok(value) => return Ok(value),
            Err(NotOpened::Key(error)) => return Err(error),
            Err(NotOpened::Malformed) => "the sealed value is cut short",
            Err(NotOpened::Altered) => {
                "the sealed value was altered, or belongs to another customer, secret, version or \
                 origin"
            }
        };
        Err(Arc::new(OpenError::unusable(problem)))
    }

    /// Opens whatever is sealed to a tenant key under a context.
    async fn open_sealed(
        &self,
        customer: &CustomerId,
        sealed: &[u8],
        context: &crate::ports::keys::Context,
    ) -> Result<SecretBytes, NotOpened> {
        let sealed = Sealed::parse(sealed).ok_or(NotOpened::Malformed)?;
        let key = self.open_key(customer, sealed.generation).await.map_err(NotOpened::Key)?;
        let opened = hpke::open(sealed, &key.private, &context_bytes(context));
        opened.map_err(|_| NotOpened::Altered)
    }

    /// A generation of a customer's key: from the cache where it is fresh enough.
    async fn open_key(
        &self,
        customer: &CustomerId,
        generation: u32,
    ) -> Result<Arc<OpenKey>, Arc<OpenError>> {
        let key = (customer.clone(), generation);
        let (vault, wanted) = (self.clone(), key.clone());
        let read = Box::pin(async move { vault.read_key(&wanted.0, wanted.1).await });
        // It lies within the reading of a secret, whose future would hold this one whole.
        Box::pin(self.open_keys.cache.get(&key, read)).await
    }

    /// Reads a generation from the store. The key service is asked only for one that has changed, and
    /// once in the hard lifetime.
    async fn read_key(&self, customer: &CustomerId, generation: u32) -> Result<OpenKey, OpenError> {
        let (public, wrapped) = match self.stored_key(customer, generation).await? {
            StoredKey::Pair { public, wrapped } => (public, wrapped),
            StoredKey::Shredded => return Err(OpenError::Shredded { generation }),
        };
        let known = self.open_keys.cache.peek(&(customer.clone(), generation));
        let fresh = |known: &Arc<OpenKey>| {
            known.public == public && known.opened_at.elapsed() < self.open_keys.keep
        };
        if let Some(known) = known.filter(fresh) {
            let (private, opened_at) = (known.private.clone(), known.opened_at);
            return Ok(OpenKey { public, private, opened_at });
        }
        let opened_at = Instant::now();
        match self.keys.unwrap(&wrapped, &context(customer, generation, &public)).await? {
            Unwrapped::Opened(private) => Ok(OpenKey { public, private, opened_at }),
            Unwrapped::Refused(problem) => {
                Err(OpenError::Unusable(format!("generation {generation} of the key: {problem}")))
            }
        }
    }

    /// What the store holds of a generation. One that is missing although later ones were given has
    /// been shredded.
    async fn stored_key(
        &self,
        customer: &CustomerId,
        generation: u32,
    ) -> Result<StoredKey, OpenError> {
        let (id, wanted) = (SecretId::tenant_key(), u64::from(generation));
        let parse = |version: &SealedVersion| {
            let problem = || OpenError::unusable("the stored tenant key is of no known form");
            StoredKey::parse(&version.sealed).ok_or_else(problem)
        };
        let never = || {
            OpenError::Unusable(format!(
                "its customer has no tenant key of generation {generation}"
            ))
        };
        let Some(stored) = self.secrets.get(customer, &id).await? else {
            let last = self.secrets.record(customer, &id).await?.last_version;
            return if wanted <= last { Ok(StoredKey::Shredded) } else { Err(never()) };
        };
        let in_record = [Some(&stored.current), stored.previous.as_ref()];
        if let Some(version) = in_record.into_iter().flatten().find(|v| v.version == wanted) {
            return parse(version);
        }
        let current = parse(&stored.current)?;
        if stored.current.version < wanted {
            return Err(never());
        }
        if current == StoredKey::Shredded {
            return Ok(StoredKey::Shredded);
        }
        let past = self.secrets.history(customer, &id).await?;
        past.iter().find(|v| v.version == wanted).map_or(Ok(StoredKey::Shredded), parse)
    }
}

#[cfg(test)]
mod caching_tests;
#[cfg(test)]
mod tests;
