//! Opens secrets: reads them from the store, has the key service unwrap them, and keeps them for a while.

use std::sync::Arc;

use tokio::time::Instant;
use tracing::warn;

use super::envelope::{self, EnvelopeError};
use super::{OpenSecret, OpenVersion, Opener, Policy, REREAD_PAUSE, VaultError, reference, tenant};
use crate::cache::{Lifetimes, SoftCache, Usage};
use crate::domain::ids::{CustomerId, SecretId};
use crate::domain::operational_event::{Fact, OperationalEvent};
use crate::domain::secret::{Binding, SealedKind, SealedVersion, SecretBytes};
use crate::ports::keys::{Context, Unwrapped};
use crate::ports::operational_events::LogOnly;
use crate::ports::{Changes, Clock, OpenKeys, ReadSecrets};

/// What a reading takes over of what was opened before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reuse {
    /// All that is young enough.
    Everything,
    /// Not what references led to: it may have changed, and nothing that is stored here tells.
    AllButReferences,
}

impl Opener {
    /// Over the halves of a store and a key service that read and open.
    pub fn new(
        secrets: Arc<dyn ReadSecrets>,
        keys: Arc<dyn OpenKeys>,
        clock: Arc<dyn Clock>,
        policy: Policy,
        lifetimes: Lifetimes,
    ) -> Self {
        // A value in use is read anew with every soft lifetime. The last of these readings before its
        // hard one ends opens it anew, so that nobody waits for the key service then.
        let keep = lifetimes.hard.saturating_sub(lifetimes.soft);
        let open = Arc::new(SoftCache::new(lifetimes));
        let open_keys = Arc::new(tenant::OpenKeys::new(lifetimes));
        let public_halves = Arc::new(SoftCache::new(lifetimes));
        let (references, events) = (Arc::default(), Arc::new(LogOnly));
        Self {
            secrets,
            keys,
            clock,
            events,
            policy,
            keep,
            open,
            open_keys,
            public_halves,
            references,
        }
    }

    /// Secrets are read anew only after changes, as far as these are known.
    pub fn watch(&self, changes: Arc<dyn Changes>) {
        self.open.watch(changes);
    }

    /// How the caches of opened secrets and of tenant keys are used.
    pub fn usage(&self) -> [Usage<'_>; 2] {
        [self.open.usage(), self.open_keys.usage()]
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
        if since.is_none()
            && let Some(open) = self.open.fresh(&key)
        {
            return Ok(open);
        }
        let (vault, wanted) = (self.clone(), key.clone());
        let read =
            Box::pin(async move { vault.read(&wanted.0, &wanted.1, Reuse::Everything).await });
        match since {
            None => Box::pin(self.open.get(&key, read)).await,
            Some(since) => Box::pin(self.open.get_since(&key, since, read)).await,
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
        let fresh = self.read(customer, secret, Reuse::AllButReferences);
        let mut fresh = fresh.await.map_err(Arc::new)?;
        fresh.reread_at = Some(Instant::now());
        self.open.put((customer.clone(), secret.clone()), fresh);
        Ok(())
    }

    pub(super) async fn read(
        &self,
        customer: &CustomerId,
        secret: &SecretId,
        reuse: Reuse,
    ) -> Result<OpenSecret, VaultError> {
        let unknown = || VaultError::Unknown { customer: customer.clone(), secret: secret.clone() };
        let stored = self.secrets.get(customer, secret).await?.ok_or_else(unknown)?;
        let known = self.open.peek(&(customer.clone(), secret.clone()));
        let (known, reread_at) =
            (known.as_deref(), known.as_ref().and_then(|known| known.reread_at));
        let (current, beside) =
            self.opened(customer, secret, &stored.current, (known, reuse)).await?;
        if let Some(version) = stored.in_use(self.clock.now()).nth(1) {
            let (version, _) = self.opened(customer, secret, version, (known, reuse)).await?;
            let (previous, previous_until) = (Some(Box::new(version)), stored.previous_until);
            return Ok(OpenSecret { current, previous, previous_until, reread_at });
        }
        let (previous, previous_until) = (beside.map(Box::new), Some(reference::ALWAYS));
        Ok(OpenSecret { current, previous, previous_until, reread_at })
    }

    /// A version, opened; taken over from `known` if it is there. The store is read often, so that a
    /// rotation is seen; the key service is asked only for what has changed, and once in the hard
    /// lifetime, so that a withdrawn key is seen. With a version that is a reference comes what serves
    /// beside it, if it asks for that.
    pub(super) async fn opened(
        &self,
        customer: &CustomerId,
        secret: &SecretId,
        version: &SealedVersion,
        (known, reuse): (Option<&OpenSecret>, Reuse),
    ) -> Result<(OpenVersion, Option<OpenVersion>), VaultError> {
        if version.is_reference() {
            let known = known.filter(|_| reuse == Reuse::Everything);
            return self.followed(customer, secret, version, known).await;
        }
        // What a tenant key opens is as old as the key, which is asked for and kept by itself.
        let key = self.tenant_key_of(customer, secret, version).await?;
        let digest = key.as_ref().map_or_else(|| version.digest(), |key| key.digest(version));
        let lasts = |v: &OpenVersion| key.is_some() || v.opened_at.elapsed() < self.keep;
        let same = |v: &&OpenVersion| v.digest == digest && lasts(v);
        if let Some(open) = known.and_then(|known| known.versions().find(same)) {
            let opened_at = key.map_or(open.opened_at, |key| key.opened_at);
            return Ok((OpenVersion { opened_at, ..open.clone() }, None));
        }
        let opened_at = key.map_or_else(Instant::now, |key| key.opened_at);
        let value = self.open_version(customer, secret, version).await?;
        self.warn_of_end(customer, secret, version);
        Ok((OpenVersion { digest, ..OpenVersion::new(version, value, opened_at) }, None))
    }

    /// Once in a hard lifetime: a certificate that ends stops the deliveries.
    pub(super) fn warn_of_end(
        &self,
        customer: &CustomerId,
        secret: &SecretId,
        version: &SealedVersion,
    ) {
        let facts = version.facts.as_ref();
        if let Some(warning) = facts.and_then(|facts| facts.warning(self.clock.now())) {
            let number = version.version;
            warn!(event = "certificate", customer_id = %customer, secret_id = %secret,
                  version = number, "the certificate {warning}");
            let secret_id = secret.clone();
            let fact = Fact::CertificateEnding { secret_id, version: number, why: warning };
            let (at, customer_id) = (self.clock.now(), customer.clone());
            self.events.tell(OperationalEvent { at, customer_id, fact });
        }
    }

    pub(super) async fn open_version(
        &self,
        customer: &CustomerId,
        secret: &SecretId,
        stored: &SealedVersion,
    ) -> Result<SecretBytes, VaultError> {
        let binding = binding(customer, secret, stored);
        self.unseal(&binding, &stored.sealed, &binding.context()).await
    }

    /// Opens what is sealed in any way but as a reference.
    pub(super) async fn unseal(
        &self,
        of: &Binding,
        sealed: &[u8],
        context: &Context,
    ) -> Result<SecretBytes, VaultError> {
        let Binding { customer_id: customer, secret_id: secret, version, .. } = of;
        let refused = |problem: String| VaultError::NotDecrypted {
            customer: customer.clone(),
            secret: secret.clone(),
            version: *version,
            problem,
        };
        let Some((kind, wrapped)) = SealedKind::split(sealed) else {
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
                let envelope = envelope::parse(sealed).map_err(malformed)?;
                let key = unwrap(envelope.wrapped_key, context).await?;
                envelope.open(&key, context).map_err(malformed)
            }
            SealedKind::Direct => unwrap(wrapped, context).await,
            SealedKind::TenantKey => {
                let opened = self.open_with_tenant_key(customer, sealed, context).await;
                opened.map_err(|e| e.of_secret(customer, secret, *version))
            }
            SealedKind::Unbound if self.policy.accept_unbound => unwrap(wrapped, &[]).await,
            SealedKind::Unbound => {
                Err(VaultError::Unbound { customer: customer.clone(), secret: secret.clone() })
            }
            SealedKind::SecretsManager | SealedKind::Ssm => {
                Err(refused("a reference cannot be opened as a value".to_owned()))
            }
        }
    }
}

/// What a stored version is bound to.
pub(super) fn binding(customer: &CustomerId, secret: &SecretId, stored: &SealedVersion) -> Binding {
    Binding {
        customer_id: customer.clone(),
        secret_id: secret.clone(),
        version: stored.version,
        origins: stored.origins.clone(),
    }
}
