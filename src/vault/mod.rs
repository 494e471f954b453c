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
mod opener;
mod reference;
mod tenant;
mod upgrade;
mod wrapping;
mod write;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use serde::{Deserialize, Serialize};

use crate::cache::{Aged, Lifetimes, SoftCache};
use crate::domain::ids::{CustomerId, SecretId};
use crate::domain::origin::Origin;
use crate::domain::secret::{SealedVersion, SecretBytes};
use crate::domain::timestamp::Timestamp;
use crate::ports::operational_events::OperationalEvents;
use crate::ports::{Chance, Clock, Keys, OpenKeys, ReadSecrets, SealKeys, Secrets};

pub use context::context_bytes;
pub use error::{VaultError, WriteError};
pub use facts::{Public, facts, pem};
use opener::binding;
pub use reference::{NewReference, ReferencePolicy};
pub use tenant::{BodyError, NotSealed, TenantKey, TenantKeyError};
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

type OpenSecrets = SoftCache<(CustomerId, SecretId), OpenSecret>;

/// Opens: the worker's half. It can write nothing, and seal nothing but the jobs that are kept, to
/// public halves.
#[derive(Clone)]
pub struct Opener {
    secrets: Arc<dyn ReadSecrets>,
    keys: Arc<dyn OpenKeys>,
    clock: Arc<dyn Clock>,
    events: Arc<dyn OperationalEvents>,
    policy: Policy,
    /// How old an opened value may be for a reading of the store to take it over.
    keep: Duration,
    open: Arc<OpenSecrets>,
    open_keys: Arc<tenant::OpenKeys>,
    public_halves: Arc<SoftCache<CustomerId, tenant::PublicHalf>>,
    references: Arc<ReferencePolicy>,
}

/// Seals and writes: the administrators' half. It can open nothing: a value is replaced, never read
/// back.
#[derive(Clone)]
pub struct Sealer {
    secrets: Arc<dyn Secrets>,
    keys: Arc<dyn SealKeys>,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    policy: Policy,
    references: Arc<ReferencePolicy>,
    /// What an opener of the same process has to forget.
    open: Arc<OpenSecrets>,
    open_keys: Arc<tenant::OpenKeys>,
}

/// Both halves, for those who may do both.
#[derive(Clone)]
pub struct Vault {
    /// Opens.
    pub opener: Opener,
    /// Seals and writes.
    pub sealer: Sealer,
}

impl Deref for Vault {
    type Target = Sealer;

    fn deref(&self) -> &Sealer {
        &self.sealer
    }
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
        let (read, open): (Arc<dyn ReadSecrets>, Arc<dyn OpenKeys>) =
            (secrets.clone(), keys.clone());
        let opener = Opener::new(read, open, Arc::clone(&clock), policy, lifetimes);
        let sealer = Sealer {
            open: Arc::clone(&opener.open),
            open_keys: Arc::clone(&opener.open_keys),
            ..Sealer::new(secrets, keys, clock, chance, policy)
        };
        Self { opener, sealer }
    }

    /// The same, which tells the operator of certificates that end.
    #[must_use]
    pub fn with_events(self, events: Arc<dyn OperationalEvents>) -> Self {
        Self { opener: Opener { events, ..self.opener }, ..self }
    }

    /// As [`Opener::open`].
    ///
    /// # Errors
    /// If the secret cannot be used.
    pub async fn open(
        &self,
        customer: &CustomerId,
        secret: &SecretId,
    ) -> Result<Arc<OpenSecret>, Arc<VaultError>> {
        self.opener.open(customer, secret).await
    }

    /// As [`Opener::open_since`].
    ///
    /// # Errors
    /// If the secret cannot be used.
    pub async fn open_since(
        &self,
        customer: &CustomerId,
        secret: &SecretId,
        since: Option<Instant>,
    ) -> Result<Arc<OpenSecret>, Arc<VaultError>> {
        self.opener.open_since(customer, secret, since).await
    }

    /// As [`Opener::reread`].
    ///
    /// # Errors
    /// If the secret cannot be used.
    pub async fn reread(
        &self,
        customer: &CustomerId,
        secret: &SecretId,
    ) -> Result<(), Arc<VaultError>> {
        self.opener.reread(customer, secret).await
    }
}

impl Sealer {
    /// Over a store and the half of a key service that seals.
    pub fn new(
        secrets: Arc<dyn Secrets>,
        keys: Arc<dyn SealKeys>,
        clock: Arc<dyn Clock>,
        chance: Arc<dyn Chance>,
        policy: Policy,
    ) -> Self {
        let none = Lifetimes { soft: Duration::ZERO, hard: Duration::ZERO, capacity: 1 };
        let (open, open_keys) =
            (Arc::new(SoftCache::new(none)), tenant::OpenKeys::new(none).into());
        let references = Arc::default();
        Self { secrets, keys, clock, chance, policy, references, open, open_keys }
    }
}

#[cfg(test)]
mod caching_tests;
#[cfg(test)]
mod tests;
