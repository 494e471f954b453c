//! Puts versions into the vault, and makes old ones current again.

use std::collections::BTreeSet;
use std::time::Duration;

use super::envelope;
use super::facts::facts;
use super::{Sealer, Sealing, WriteError};
use crate::domain::ids::{CustomerId, SecretId};
use crate::domain::origin::Origin;
use crate::domain::reference::Keeper;
use crate::domain::secret::{Binding, SealedKind, SealedVersion, SecretBytes, check_size};
use crate::domain::secret_record::SecretRecord;
use crate::ports::Error;
use crate::ports::endpoints::PutResult;
use crate::ports::keys::{Context, MAX_WRAPPED};

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

/// Which version is made current again.
pub struct Rollback {
    /// Whose secret.
    pub customer: CustomerId,
    /// Which.
    pub secret: SecretId,
    /// The version's number.
    pub to: u64,
    /// How long the version that is current until then stays in use beside it.
    pub overlap: Option<Duration>,
}

impl Sealer {
    /// Seals a value and makes it the secret's current version.
    ///
    /// # Errors
    /// If the value is empty or too large, or the store or the key service fails. A conflicting write
    /// is a [`PutResult`].
    pub async fn put(&self, new: NewSecret) -> Result<PutResult, WriteError> {
        self.put_over(new, None).await
    }

    /// The same, if the version `expected` is the current one (0: there is none).
    ///
    /// # Errors
    /// As [`Sealer::put`].
    pub async fn put_over(
        &self,
        new: NewSecret,
        expected: Option<u64>,
    ) -> Result<PutResult, WriteError> {
        check_size(&new.value).map_err(WriteError::Value)?;
        self.put_as(new, expected, None).await
    }

    /// Seals a value, or the text of a reference to what a keeper keeps.
    pub(super) async fn put_as(
        &self,
        new: NewSecret,
        expected: Option<u64>,
        keeper: Option<Keeper>,
    ) -> Result<PutResult, WriteError> {
        own(&new.secret)?;
        let record = self.secrets.record(&new.customer, &new.secret).await?;
        if let Some(conflict) = conflict(&record, expected) {
            return Ok(conflict);
        }
        let NewSecret { customer: customer_id, secret: secret_id, value, origins, overlap } = new;
        let version = record.last_version + 1;
        let binding = Binding { customer_id, secret_id, version, origins };
        let (sealed, facts) = match keeper {
            None => (self.seal(&value, &binding, &binding.context()).await?, facts(&value)),
            Some(keeper) => {
                let sealed = self.seal(&value, &binding, &binding.reference_context()).await?;
                ([&[SealedKind::of(keeper).byte()][..], &sealed].concat(), None)
            }
        };
        let now = self.clock.now();
        let Binding { customer_id, secret_id, origins, .. } = binding;
        let sealed = SealedVersion { version, sealed, origins, created_at: now, facts };
        let change = record.make_current(sealed, overlap.map(|overlap| now.plus(overlap)));
        let result = self.secrets.change(&customer_id, &secret_id, change).await?;
        self.open.forget(&(customer_id, secret_id)).await;
        Ok(result)
    }

    /// Makes an old version the current one again, if the version `expected` is the current one now.
    /// Nothing is opened and nothing is sealed: the version stays as it is, number and origins
    /// included.
    ///
    /// # Errors
    /// If there is no such version, or it is the current one; or the store fails.
    pub async fn roll_back(
        &self,
        rollback: Rollback,
        expected: Option<u64>,
    ) -> Result<PutResult, WriteError> {
        let Rollback { customer, secret, to, overlap } = rollback;
        own(&secret)?;
        let record = self.secrets.record(&customer, &secret).await?;
        if let Some(conflict) = conflict(&record, expected) {
            return Ok(conflict);
        }
        let Some(current) = record.seen().current else {
            return Err(WriteError::Unknown { customer, secret });
        };
        if current == to {
            return Err(WriteError::AlreadyCurrent(to));
        }
        let now = self.clock.now();
        let past = self.secrets.history(&customer, &secret).await?;
        let mut versions = record.versions(past, now).into_iter().map(|(_, version)| version);
        let Some(version) = versions.find(|version| version.version == to) else {
            return Err(WriteError::UnknownVersion { customer, secret, version: to });
        };
        let change = record.make_current(version, overlap.map(|overlap| now.plus(overlap)));
        let result = self.secrets.change(&customer, &secret, change).await?;
        self.open.forget(&(customer, secret)).await;
        Ok(result)
    }

    /// Removes versions that are kept beside the current one, for good; tells how many there were. With
    /// the previous one its overlap ends.
    ///
    /// # Errors
    /// If the current one is among them, or the store fails.
    pub async fn purge(
        &self,
        customer: &CustomerId,
        secret: &SecretId,
        versions: &[u64],
    ) -> Result<usize, WriteError> {
        own(secret)?;
        let record = self.secrets.record(customer, secret).await?;
        if let Some(current) = record.seen().current.filter(|current| versions.contains(current)) {
            return Err(WriteError::IsCurrent(current));
        }
        let previous = record.secret.as_ref().and_then(|secret| secret.previous.as_ref());
        let previous = previous.map(|version| version.version);
        let mut removed = 0;
        if previous.is_some_and(|previous| versions.contains(&previous))
            && let Some(change) = record.without_previous()
        {
            if let PutResult::Conflict(now) = self.secrets.change(customer, secret, change).await? {
                return Err(WriteError::Conflict(now));
            }
            self.open.forget(&(customer.clone(), secret.clone())).await;
            removed += 1;
        }
        let past = self.secrets.forget(customer, secret, versions).await?;
        // The previous one may have been history before it was current, and is counted once.
        Ok((removed + past).min(versions.len()))
    }

    async fn seal(
        &self,
        value: &SecretBytes,
        binding: &Binding,
        context: &Context,
    ) -> Result<Vec<u8>, WriteError> {
        match self.policy.sealing {
            Sealing::TenantKey => {
                let sealed = self.seal_to_tenant_key(&binding.customer_id, value, context).await;
                return Ok(sealed?);
            }
            Sealing::Direct if value.expose().len() <= MAX_WRAPPED => {
                let wrapped = self.keys.wrap(value, context).await?;
                return Ok([&[SealedKind::Direct.byte()][..], &wrapped].concat());
            }
            Sealing::Direct | Sealing::Envelope => {}
        }
        let data_key = self.keys.generate(context).await?;
        let sealed = envelope::seal(&data_key, value, context, &*self.chance);
        Ok(sealed.map_err(|e| Error::new("vault.seal", e.to_string()))?)
    }
}

/// Refuses the ids under which the program keeps what is its own.
fn own(secret: &SecretId) -> Result<(), WriteError> {
    if secret.is_reserved() { Err(WriteError::Reserved(secret.clone())) } else { Ok(()) }
}

/// The conflict, if the current version is another than the one that was expected.
fn conflict(record: &SecretRecord, expected: Option<u64>) -> Option<PutResult> {
    let now = record.current_version();
    expected.filter(|expected| *expected != now).map(|_| PutResult::Conflict(now))
}
