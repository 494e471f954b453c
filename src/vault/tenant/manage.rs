//! Makes, rotates, shreds and lists tenant keys, and seals to them.

use super::{TenantKeyError, hpke};
use crate::domain::ids::{CustomerId, SecretId};
use crate::domain::secret::{SealedVersion, SecretBytes};
use crate::domain::secret_record::{SecretChange, SecretRecord};
use crate::domain::tenant_key::{HALF, StoredKey, context};
use crate::domain::timestamp::Timestamp;
use crate::ports::endpoints::PutResult;
use crate::ports::keys::Context;
use crate::vault::{Sealer, context_bytes};

/// Until when the generation before stays in the key's own record, where one read finds it: always.
/// (The end of the year 9999.)
const ALWAYS: Timestamp = Timestamp::from_millis(253_402_300_799_000);

/// A customer's tenant key as everybody may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantKey {
    /// Whose.
    pub customer: CustomerId,
    /// Which generation is current.
    pub generation: u64,
    /// What writers seal to; `None` once it was shredded.
    pub public: Option<[u8; HALF]>,
    /// When this generation was made, or the key was shredded.
    pub at: Timestamp,
}

impl TenantKey {
    fn parse(customer: &CustomerId, version: &SealedVersion) -> Result<Self, TenantKeyError> {
        let damaged = || TenantKeyError::Damaged(customer.clone());
        let public = match StoredKey::parse(&version.sealed).ok_or_else(damaged)? {
            StoredKey::Pair { public, .. } => Some(public),
            StoredKey::Shredded => None,
        };
        let (customer, generation) = (customer.clone(), version.version);
        Ok(Self { customer, generation, public, at: version.created_at })
    }
}

impl Sealer {
    /// Every customer's tenant key, or one's.
    ///
    /// # Errors
    /// If a stored one is of no known form, or the store fails.
    pub async fn tenant_keys(
        &self,
        customer: Option<&CustomerId>,
    ) -> Result<Vec<TenantKey>, TenantKeyError> {
        let id = SecretId::tenant_key();
        let stored = self.secrets.list(customer).await?;
        let keys = stored.iter().filter(|(_, secret, _)| *secret == id);
        keys.map(|(customer, _, key)| TenantKey::parse(customer, &key.current)).collect()
    }

    /// Makes a customer's tenant key: the first, or a new one after a shredding. What was shredded
    /// stays so.
    ///
    /// # Errors
    /// If there is one that can be used, or the store or the key service fails.
    pub async fn create_tenant_key(
        &self,
        customer: &CustomerId,
    ) -> Result<TenantKey, TenantKeyError> {
        let record = self.key_record(customer).await?;
        if let Some(TenantKey { public: Some(_), generation, .. }) = current(customer, &record)? {
            let customer = customer.clone();
            return Err(TenantKeyError::AlreadyThere { customer, generation });
        }
        self.put_generation(customer, record).await
    }

    /// Makes the next generation. What was sealed to those before opens as it did.
    ///
    /// # Errors
    /// If there is none, or the store or the key service fails.
    pub async fn rotate_tenant_key(
        &self,
        customer: &CustomerId,
    ) -> Result<TenantKey, TenantKeyError> {
        let record = self.key_record(customer).await?;
        usable(customer, current(customer, &record)?)?;
        self.put_generation(customer, record).await
    }

    /// Removes the private halves of every generation for good: what was sealed to them can be opened
    /// by nobody, once caches and backups have expired. A mark of it stays in their place. One that
    /// was cut short is brought to its end by the next.
    ///
    /// # Errors
    /// If there is none, or the store fails.
    pub async fn shred_tenant_key(
        &self,
        customer: &CustomerId,
    ) -> Result<TenantKey, TenantKeyError> {
        let id = SecretId::tenant_key();
        let record = self.key_record(customer).await?;
        let Some(there) = &record.secret else {
            return Err(TenantKeyError::Missing(customer.clone()));
        };
        // What cannot be read is shredded too.
        let mut mark = there.current.clone();
        if StoredKey::parse(&mark.sealed) != Some(StoredKey::Shredded) {
            mark = self.stored_version(record.last_version + 1, &StoredKey::Shredded);
            // Nothing is retired: no private half outlives the mark's own write in the record.
            let change =
                SecretChange { retired: Vec::new(), ..record.make_current(mark.clone(), None) };
            self.change_key(customer, change).await?;
        }
        let past = self.secrets.history(customer, &id).await?;
        let past: Vec<u64> = past.iter().map(|version| version.version).collect();
        self.secrets.forget(customer, &id, &past).await?;
        for generation in (1..mark.version).filter_map(|generation| generation.try_into().ok()) {
            self.open_keys.cache.forget(&(customer.clone(), generation)).await;
        }
        TenantKey::parse(customer, &mark)
    }

    /// Seals a value to the customer's tenant key, whose first generation is made if there never was
    /// one. Needs no right to decrypt.
    pub(in crate::vault) async fn seal_to_tenant_key(
        &self,
        customer: &CustomerId,
        value: &SecretBytes,
        bound: &Context,
    ) -> Result<Vec<u8>, TenantKeyError> {
        let record = self.key_record(customer).await?;
        let key = match current(customer, &record)? {
            None if record.last_version == 0 => match self.put_generation(customer, record).await {
                // Another writer was faster.
                Err(TenantKeyError::Conflict(_)) => {
                    current(customer, &self.key_record(customer).await?)?
                }
                made => Some(made?),
            },
            key => key,
        };
        let (generation, public) = usable(customer, key)?;
        hpke::seal(generation, &public, value.expose(), &context_bytes(bound))
            .map_err(|_| TenantKeyError::Refused(customer.clone()))
    }

    async fn key_record(&self, customer: &CustomerId) -> Result<SecretRecord, TenantKeyError> {
        Ok(self.secrets.record(customer, &SecretId::tenant_key()).await?)
    }

    /// Makes a new pair the current one.
    async fn put_generation(
        &self,
        customer: &CustomerId,
        record: SecretRecord,
    ) -> Result<TenantKey, TenantKeyError> {
        let refused = || TenantKeyError::Refused(customer.clone());
        let generation = record.last_version + 1;
        let number = u32::try_from(generation).map_err(|_| refused())?;
        let (public, private) = hpke::generate().map_err(|_| refused())?;
        let wrapped = self.keys.wrap(&private, &context(customer, number, &public)).await?;
        let pair = self.stored_version(generation, &StoredKey::Pair { public, wrapped });
        let key = TenantKey::parse(customer, &pair)?;
        self.change_key(customer, record.make_current(pair, Some(ALWAYS))).await?;
        Ok(key)
    }

    fn stored_version(&self, version: u64, key: &StoredKey) -> SealedVersion {
        let (origins, created_at) = ([].into(), self.clock.now());
        SealedVersion { version, sealed: key.bytes(), origins, created_at, facts: None }
    }

    async fn change_key(
        &self,
        customer: &CustomerId,
        change: SecretChange,
    ) -> Result<(), TenantKeyError> {
        match self.secrets.change(customer, &SecretId::tenant_key(), change).await? {
            PutResult::Put(_) => Ok(()),
            PutResult::Conflict(_) => Err(TenantKeyError::Conflict(customer.clone())),
        }
    }
}

/// The current generation, if there is one.
fn current(
    customer: &CustomerId,
    record: &SecretRecord,
) -> Result<Option<TenantKey>, TenantKeyError> {
    let stored = record.secret.as_ref();
    stored.map(|stored| TenantKey::parse(customer, &stored.current)).transpose()
}

/// The generation that is sealed to, and its public half.
fn usable(
    customer: &CustomerId,
    key: Option<TenantKey>,
) -> Result<(u32, [u8; HALF]), TenantKeyError> {
    let refused = |_| TenantKeyError::Refused(customer.clone());
    match key {
        None => Err(TenantKeyError::Missing(customer.clone())),
        Some(TenantKey { public: None, customer, at, .. }) => {
            Err(TenantKeyError::Shredded { customer, at })
        }
        Some(TenantKey { public: Some(public), generation, .. }) => {
            Ok((u32::try_from(generation).map_err(refused)?, public))
        }
    }
}
