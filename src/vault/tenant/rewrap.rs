//! Wraps private halves anew, so that the key they were wrapped with can be given up.

use super::TenantKeyError;
use super::manage::{current, usable};
use crate::domain::ids::{CustomerId, SecretId};
use crate::domain::secret::{SealedSecret, SealedVersion};
use crate::domain::secret_record::SecretChange;
use crate::domain::tenant_key::{StoredKey, context};
use crate::ports::keys::Unwrapped;
use crate::vault::Vault;

impl Vault {
    /// Wraps the private halves of every generation with the key that the key service wraps with now;
    /// tells how many there were. Needs the right to unwrap. The pairs stay, and all that is sealed to
    /// them.
    ///
    /// # Errors
    /// If there is none that can be used, one does not open, or the store or the key service fails.
    pub async fn rewrap_tenant_key(&self, customer: &CustomerId) -> Result<usize, TenantKeyError> {
        let record = self.key_record(customer).await?;
        usable(customer, current(customer, &record)?)?;
        let (seen, last_version) = (record.seen(), record.last_version);
        let Some(SealedSecret { current, previous, previous_until }) = record.secret else {
            return Err(TenantKeyError::Missing(customer.clone()));
        };
        let mut versions = vec![current];
        let has_previous = previous.is_some();
        versions.extend(previous);
        versions.extend(self.secrets.history(customer, &SecretId::tenant_key()).await?);
        let mut count = 0;
        for version in &mut versions {
            count += usize::from(self.rewrap(customer, version).await?);
        }
        let mut versions = versions.into_iter();
        let Some(current) = versions.next() else {
            return Err(TenantKeyError::Missing(customer.clone()));
        };
        let previous = if has_previous { versions.next() } else { None };
        let next = SealedSecret { current, previous, previous_until };
        // Those that are history are written over; whoever has shredded or rotated in between wins.
        let change = SecretChange { seen, last_version, next, retired: versions.collect() };
        self.change_key(customer, change).await?;
        Ok(count)
    }

    /// Wraps one generation anew; `false` for the mark of a shredding.
    async fn rewrap(
        &self,
        customer: &CustomerId,
        version: &mut SealedVersion,
    ) -> Result<bool, TenantKeyError> {
        let damaged = || TenantKeyError::Damaged(customer.clone());
        let (public, wrapped) = match StoredKey::parse(&version.sealed).ok_or_else(damaged)? {
            StoredKey::Pair { public, wrapped } => (public, wrapped),
            StoredKey::Shredded => return Ok(false),
        };
        let generation = u32::try_from(version.version).map_err(|_| damaged())?;
        let context = context(customer, generation, &public);
        let private = match self.keys.unwrap(&wrapped, &context).await? {
            Unwrapped::Opened(private) => private,
            Unwrapped::Refused(problem) => {
                let customer = customer.clone();
                return Err(TenantKeyError::NotOpened { customer, generation, problem });
            }
        };
        let wrapped = self.keys.wrap(&private, &context).await?;
        version.sealed = StoredKey::Pair { public, wrapped }.bytes();
        Ok(true)
    }
}
