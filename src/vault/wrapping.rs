//! What the key service has wrapped within stored versions, and how it is wrapped anew, so that the key
//! that wrapped it before can be given up. The values themselves stay as they are: only an envelope's
//! data key, a value that the key service sealed itself, or a tenant key's private half is unwrapped.

use super::{Vault, envelope};
use crate::domain::ids::{CustomerId, SecretId};
use crate::domain::secret::{Binding, SealedKind, SealedSecret, SealedVersion};
use crate::domain::tenant_key::{self, StoredKey};
use crate::ports::keys::Unwrapped;
use crate::ports::{Error, MasterKeys};

/// A version as it is kept, in use or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptVersion {
    /// Whose.
    pub customer: CustomerId,
    /// Of which secret.
    pub secret: SecretId,
    /// The version.
    pub version: SealedVersion,
}

/// Why a version was not wrapped anew.
#[derive(Debug, thiserror::Error)]
pub enum RewrapError {
    /// It does not open.
    #[error("{0}")]
    Refused(String),
    /// Somebody else has changed it in between.
    #[error("it was changed in between")]
    Changed,
    /// The store or the key service failed.
    #[error(transparent)]
    Ours(#[from] Error),
}

/// A wrapped piece of a sealed version.
struct Wrapping<'a> {
    wrapped: &'a [u8],
    context: Vec<(&'static str, String)>,
    rebuild: Rebuild<'a>,
}

/// What a piece that was wrapped anew is put into.
enum Rebuild<'a> {
    Envelope(&'a [u8]),
    After(&'a [u8]),
}

impl Wrapping<'_> {
    fn around(&self, wrapped: &[u8]) -> Option<Vec<u8>> {
        match self.rebuild {
            Rebuild::Envelope(sealed) => envelope::with_wrapped_key(sealed, wrapped),
            Rebuild::After(head) => Some([head, wrapped].concat()),
        }
    }
}

impl KeptVersion {
    /// The versions of a secret: those in its record, then its history. One may be in both.
    fn all(
        (customer, secret): (&CustomerId, &SecretId),
        stored: SealedSecret,
        past: Vec<SealedVersion>,
    ) -> impl Iterator<Item = Self> {
        let versions = std::iter::once(stored.current).chain(stored.previous).chain(past);
        versions.map(move |version| {
            let (customer, secret) = (customer.clone(), secret.clone());
            Self { customer, secret, version }
        })
    }

    /// What the key service wrapped in it; `None` if there is nothing of the kind.
    fn wrapping(&self) -> Option<Wrapping<'_>> {
        let SealedVersion { version, sealed, origins, .. } = &self.version;
        if let Some(StoredKey::Pair { public, .. }) = StoredKey::parse(sealed) {
            let (head, wrapped) = sealed.split_at_checked(1 + public.len())?;
            let generation = u32::try_from(*version).ok()?;
            let context = tenant_key::context(&self.customer, generation, &public);
            return Some(Wrapping { wrapped, context, rebuild: Rebuild::After(head) });
        }
        let (kind, rest) = SealedKind::split(sealed)?;
        let head = sealed.get(..1)?;
        let (customer_id, secret_id) = (self.customer.clone(), self.secret.clone());
        let binding =
            Binding { customer_id, secret_id, version: *version, origins: origins.clone() };
        let (wrapped, context, rebuild) = match kind {
            SealedKind::Envelope => {
                let wrapped = envelope::parse(sealed).ok()?.wrapped_key;
                (wrapped, binding.context(), Rebuild::Envelope(sealed))
            }
            SealedKind::Direct => (rest, binding.context(), Rebuild::After(head)),
            SealedKind::Unbound => (rest, Vec::new(), Rebuild::After(head)),
            SealedKind::TenantKey => return None,
        };
        Some(Wrapping { wrapped, context, rebuild })
    }
}

impl Vault {
    /// Every version that is kept and holds something that a key of `keys` wrapped for which `wanted`
    /// holds, history included; each once.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn wrapped_by(
        &self,
        keys: &dyn MasterKeys,
        wanted: impl Fn(&crate::ports::master_keys::MasterKeyId) -> bool,
    ) -> Result<Vec<KeptVersion>, Error> {
        let mut found: Vec<KeptVersion> = Vec::new();
        for (customer, secret, stored) in self.secrets.list(None).await? {
            let past = self.secrets.history(&customer, &secret).await?;
            let first = found.len();
            for kept in KeptVersion::all((&customer, &secret), stored, past) {
                let by = kept.wrapping().and_then(|wrapping| keys.of(wrapping.wrapped));
                let is_new = || found.iter().skip(first).all(|known| known.version != kept.version);
                if by.is_some_and(|by| wanted(&by)) && is_new() {
                    found.push(kept);
                }
            }
        }
        Ok(found)
    }

    /// Wraps what a version holds anew, with the key that wraps now, and puts it in its place.
    ///
    /// # Errors
    /// If it does not open, or somebody else has changed it in between; or the store or the key service
    /// fails.
    pub async fn wrap_anew(&self, kept: &KeptVersion) -> Result<(), RewrapError> {
        let refused = |problem: &str| RewrapError::Refused(problem.to_owned());
        let wrapping = kept.wrapping().ok_or_else(|| refused("it holds nothing wrapped"))?;
        let plain = match self.keys.unwrap(wrapping.wrapped, &wrapping.context).await? {
            Unwrapped::Opened(plain) => plain,
            Unwrapped::Refused(problem) => return Err(RewrapError::Refused(problem)),
        };
        let wrapped = self.keys.wrap(&plain, &wrapping.context).await?;
        let sealed = wrapping.around(&wrapped).ok_or_else(|| refused("it is no envelope"))?;
        let to = SealedVersion { sealed, ..kept.version.clone() };
        if self.secrets.replace(&kept.customer, &kept.secret, &kept.version, &to).await? {
            Ok(())
        } else {
            Err(RewrapError::Changed)
        }
    }
}
