//! The vault: seals the secrets that customers give us, and opens them for the worker.
//!
//! A value is sealed in an [`envelope`] under a fresh data key, which the key service wraps, or by
//! the key service directly, or to the customer's own key pair; the first byte says which. Either way it is bound to its context
//! (customer, secret, version, origins), so that a sealed value copied to another row, or served as
//! another version, does not open. Values that other programs sealed without a context are opened
//! only where a setting accepts them. Opened values live in a bounded cache and are wiped when they
//! leave it.

mod context;
pub mod envelope;
mod error;
mod facts;
mod tenant;
mod upgrade;
mod wrapping;
mod write;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::cache::{Aged, Lifetimes, SoftCache};
use crate::domain::ids::{CustomerId, SecretId};
use crate::domain::origin::Origin;
use crate::domain::secret::{Binding, SealedKind, SealedVersion, SecretBytes};
use crate::domain::timestamp::Timestamp;
use crate::ports::keys::{Context, Unwrapped};
use crate::ports::{Chance, Clock, Keys, Secrets};

use self::envelope::EnvelopeError;
pub use context::context_bytes;
pub use error::{VaultError, WriteError};
pub use facts::{Public, facts, pem};
pub use tenant::{TenantKey, TenantKeyError};
pub use upgrade::{Upgraded, upgrade};
pub use wrapping::{KeptVersion, RewrapError};
pub use write::{NewSecret, Rollback};

/// Least time between two readings of the same secret past the cache.
const REREAD_PAUSE: Duration = Duration::from_secs(30);

/// How new values are sealed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sealing {
    /// In an envelope: any size, and the key service never sees the value.
    #[default]
    Envelope,
    /// By the key service itself, where it takes values of that size; else in an envelope.
    Direct,
    /// To the customer's tenant key: the key service is asked once for each customer.
    TenantKey,
}

/// What the vault seals how, and opens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Policy {
    /// How new values are sealed.
    pub sealing: Sealing,
    /// Whether values that are bound to nothing are opened.
    pub accept_unbound: bool,
}

/// A secret, opened.
pub struct OpenSecret {
    current: OpenVersion,
    /// The version before, if it is still in use somewhere.
    previous: Option<Box<OpenVersion>>,
    previous_until: Option<Timestamp>,
    /// When it was last read because an endpoint refused it.
    reread_at: Option<Instant>,
}

/// An opened value, without what it was opened from: a worker keeps tens of thousands.
#[derive(Clone)]
struct OpenVersion {
    version: u64,
    /// Tells what it was opened from from everything else.
    digest: [u8; 32],
    /// Where it may go, a line for each; `None` if it is unbound.
    origins: Option<Arc<str>>,
    value: SecretBytes,
    opened_at: Instant,
}

impl OpenVersion {
    fn new(stored: &SealedVersion, value: SecretBytes, opened_at: Instant) -> Self {
        let lines = || stored.origins.iter().map(ToString::to_string).collect::<Vec<_>>();
        let origins = (!stored.is_unbound()).then(|| lines().join("\n").into());
        let (version, digest) = (stored.version, stored.digest());
        Self { version, digest, origins, value, opened_at }
    }

    fn may_go_to(&self, origin: &Origin) -> bool {
        self.origins
            .as_ref()
            .is_none_or(|lines| lines.split('\n').any(|line| line == origin.as_str()))
    }
}

impl Aged for OpenSecret {
    fn oldest(&self) -> Option<Instant> {
        self.versions().map(|version| version.opened_at).min()
    }
}

impl OpenSecret {
    /// The current version's number.
    pub fn version(&self) -> u64 {
        self.current.version
    }

    fn versions(&self) -> impl Iterator<Item = &OpenVersion> {
        std::iter::once(&self.current).chain(self.previous.as_deref())
    }

    /// The values in use at `now` that may go to each of `origins`, the current one first.
    ///
    /// # Errors
    /// With the origin that the current value may not go to.
    pub fn values_for<'o>(
        &self,
        origins: &'o [Origin],
        now: Timestamp,
    ) -> Result<Vec<SecretBytes>, &'o Origin> {
        let overlap = self.previous_until.is_some_and(|until| now < until);
        let mut values = Vec::new();
        for version in self.versions().take(if overlap { 2 } else { 1 }) {
            match origins.iter().find(|origin| !version.may_go_to(origin)) {
                None => values.push(version.value.clone()),
                Some(origin) if values.is_empty() => return Err(origin),
                Some(_) => {}
            }
        }
        Ok(values)
    }
}

/// Seals and opens.
#[derive(Clone)]
pub struct Vault {
    secrets: Arc<dyn Secrets>,
    keys: Arc<dyn Keys>,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    policy: Policy,
    /// How old an opened value may be for a reading of the store to take it over.
    keep: Duration,
    open: Arc<SoftCache<(CustomerId, SecretId), OpenSecret>>,
    open_keys: Arc<tenant::OpenKeys>,
}

impl Vault {
    /// A vault over a store and a key service.
    pub fn new(
        secrets: Arc<dyn Secrets>,
        keys: Arc<dyn Keys>,
        clock: Arc<dyn Clock>,
        chance: Arc<dyn Chance>,
        policy: Policy,
        lifetimes: Lifetimes,
    ) -> Self {
        // A value in use is read anew with every soft lifetime. The last of these readings before its
        // hard one ends opens it anew, so that nobody waits for the key service then.
        let keep = lifetimes.hard.saturating_sub(lifetimes.soft);
        let open = Arc::new(SoftCache::new(lifetimes));
        let open_keys = Arc::new(tenant::OpenKeys::new(lifetimes));
        Self { secrets, keys, clock, chance, policy, keep, open, open_keys }
    }

    /// The secret, opened: from the cache where it is fresh enough.
    pub async fn open(
        &self,
        customer: &CustomerId,
        secret: &SecretId,
    ) -> Result<Arc<OpenSecret>, Arc<VaultError>> {
        self.open_since(customer, secret, None).await
    }

    /// The same, as it was read at `since` or later.
    pub async fn open_since(
        &self,
        customer: &CustomerId,
        secret: &SecretId,
        since: Option<Instant>,
    ) -> Result<Arc<OpenSecret>, Arc<VaultError>> {
        let key = (customer.clone(), secret.clone());
        let (vault, wanted) = (self.clone(), key.clone());
        let read = async move { vault.read(&wanted.0, &wanted.1).await };
        match since {
            None => self.open.get(&key, read).await,
            Some(since) => self.open.get_since(&key, since, read).await,
        }
    }

    /// Reads a secret past the cache because an endpoint refused it, unless that was done a moment
    /// ago.
    pub async fn reread(
        &self,
        customer: &CustomerId,
        secret: &SecretId,
    ) -> Result<(), Arc<VaultError>> {
        let known = self.open(customer, secret).await?;
        if known.reread_at.is_some_and(|at| at.elapsed() < REREAD_PAUSE) {
            return Ok(());
        }
        let mut fresh = self.read(customer, secret).await.map_err(Arc::new)?;
        fresh.reread_at = Some(Instant::now());
        self.open.put((customer.clone(), secret.clone()), fresh);
        Ok(())
    }

    async fn read(
        &self,
        customer: &CustomerId,
        secret: &SecretId,
    ) -> Result<OpenSecret, VaultError> {
        let unknown = || VaultError::Unknown { customer: customer.clone(), secret: secret.clone() };
        let stored = self.secrets.get(customer, secret).await?.ok_or_else(unknown)?;
        let known = self.open.peek(&(customer.clone(), secret.clone()));
        let current = self.opened(customer, secret, &stored.current, known.as_deref()).await?;
        let mut previous = None;
        if let Some(version) = stored.in_use(self.clock.now()).nth(1) {
            let version = self.opened(customer, secret, version, known.as_deref()).await?;
            previous = Some(Box::new(version));
        }
        let reread_at = known.and_then(|known| known.reread_at);
        Ok(OpenSecret { current, previous, previous_until: stored.previous_until, reread_at })
    }

    /// A version, opened; taken over from `known` if it is there. The store is read often, so that a
    /// rotation is seen; the key service is asked only for what has changed, and once in the hard
    /// lifetime, so that a withdrawn key is seen.
    async fn opened(
        &self,
        customer: &CustomerId,
        secret: &SecretId,
        version: &SealedVersion,
        known: Option<&OpenSecret>,
    ) -> Result<OpenVersion, VaultError> {
        // What a tenant key opens is as old as the key, which is asked for and kept by itself.
        let key = self.tenant_key_of(customer, secret, version).await?;
        let digest = key.as_ref().map_or_else(|| version.digest(), |key| key.digest(version));
        let lasts = |v: &OpenVersion| key.is_some() || v.opened_at.elapsed() < self.keep;
        let same = |v: &&OpenVersion| v.digest == digest && lasts(v);
        if let Some(open) = known.and_then(|known| known.versions().find(same)) {
            let opened_at = key.map_or(open.opened_at, |key| key.opened_at);
            return Ok(OpenVersion { opened_at, ..open.clone() });
        }
        let opened_at = key.map_or_else(Instant::now, |key| key.opened_at);
        let value = self.open_version(customer, secret, version).await?;
        self.warn_of_end(customer, secret, version);
        Ok(OpenVersion { digest, ..OpenVersion::new(version, value, opened_at) })
    }

    /// Once in a hard lifetime: a certificate that ends stops the deliveries.
    fn warn_of_end(&self, customer: &CustomerId, secret: &SecretId, version: &SealedVersion) {
        let facts = version.facts.as_ref();
        if let Some(warning) = facts.and_then(|facts| facts.warning(self.clock.now())) {
            let number = version.version;
            warn!(event = "certificate", customer_id = %customer, secret_id = %secret,
                  version = number, "the certificate {warning}");
        }
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
        let Some((kind, wrapped)) = SealedKind::split(&stored.sealed) else {
            return Err(refused(EnvelopeError::Malformed.to_string()));
        };
        let unwrap = async |wrapped: &[u8], context: &Context| match self
            .keys
            .unwrap(wrapped, context)
            .await?
        {
            Unwrapped::Opened(plain) => Ok(plain),
            Unwrapped::Refused(problem) => Err(refused(problem)),
        };
        match kind {
            SealedKind::Envelope => {
                let malformed = |e: EnvelopeError| refused(e.to_string());
                let envelope = envelope::parse(&stored.sealed).map_err(malformed)?;
                let key = unwrap(envelope.wrapped_key, &context).await?;
                envelope.open(&key, &context).map_err(malformed)
            }
            SealedKind::Direct => unwrap(wrapped, &context).await,
            SealedKind::TenantKey => {
                let opened = self.open_with_tenant_key(customer, &stored.sealed, &context).await;
                opened.map_err(|e| e.of_secret(customer, secret, stored.version))
            }
            SealedKind::Unbound if self.policy.accept_unbound => unwrap(wrapped, &[]).await,
            SealedKind::Unbound => {
                Err(VaultError::Unbound { customer: customer.clone(), secret: secret.clone() })
            }
        }
    }
}

#[cfg(test)]
mod caching_tests;
#[cfg(test)]
mod tests;
