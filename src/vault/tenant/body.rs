//! Jobs that are kept: sealed to the public half of their customer's tenant key, which asks the key
//! service nothing, and opened with the private one.
//!
//! The first kept job of a customer costs a reading of the store, and others share it for as long as the
//! cache lives; that the customer has no key is remembered as well.

use super::{context_bytes, hpke};
use crate::cache::{Aged, Passing};
use crate::domain::delivery_record::DeliveryRecord;
use crate::domain::ids::{CustomerId, SecretId};
use crate::domain::kept_body::{self, BodyFate};
use crate::domain::secret::SecretBytes;
use crate::domain::tenant_key::{HALF, StoredKey};
use crate::ports::Error;
use crate::vault::Opener;

/// What is sealed to.
pub enum PublicHalf {
    /// The current generation, and its public half.
    Of(u32, [u8; HALF]),
    /// Nothing can be sealed, for this reason.
    No(BodyFate),
}

impl Aged for PublicHalf {}

/// The store failed while a public half was read.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct NotRead(#[from] Error);

impl Passing for NotRead {
    fn is_passing(&self) -> bool {
        true
    }
}

/// Why a job was not sealed.
#[derive(Debug, thiserror::Error)]
pub enum NotSealed {
    /// Its customer has no key that could be used.
    #[error("{}", .0.advice())]
    Key(BodyFate),
    /// The store failed.
    #[error(transparent)]
    Ours(#[from] Error),
}

/// Why a kept job does not open.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// Its customer's tenant key was removed on purpose.
    #[error("generation {0} of the customer's tenant key was shredded")]
    Shredded(u32),
    /// It was altered, or belongs to another delivery; or the key was altered.
    #[error("{0}")]
    NotOpened(String),
    /// The store or the key service failed.
    #[error(transparent)]
    Ours(#[from] Error),
}

impl Opener {
    /// Seals the job of a delivery to its customer's tenant key. Asks the key service nothing: a right in
    /// it is not needed.
    ///
    /// # Errors
    /// If the customer has no key that could be used, or the store fails.
    pub async fn seal_body(&self, of: &DeliveryRecord, job: &[u8]) -> Result<Vec<u8>, NotSealed> {
        let (vault, customer) = (self.clone(), of.customer_id.clone());
        let read = async move { vault.read_public_half(&customer).await };
        let half = self.public_halves.get(&of.customer_id, read).await;
        let half = half.map_err(|error| NotSealed::Ours(error.0.again()))?;
        match &*half {
            PublicHalf::No(fate) => Err(NotSealed::Key(*fate)),
            PublicHalf::Of(generation, public) => {
                let context = context_bytes(&kept_body::context(of));
                hpke::seal(*generation, public, job, &context)
                    .map_err(|_| NotSealed::Key(BodyFate::TenantKeyUnusable))
            }
        }
    }

    async fn read_public_half(&self, customer: &CustomerId) -> Result<PublicHalf, NotRead> {
        let stored = self.secrets.get(customer, &SecretId::tenant_key()).await?;
        let Some(current) = stored.map(|stored| stored.current) else {
            return Ok(PublicHalf::No(BodyFate::NoTenantKey));
        };
        Ok(match (StoredKey::parse(&current.sealed), u32::try_from(current.version)) {
            (Some(StoredKey::Pair { public, .. }), Ok(generation)) => {
                PublicHalf::Of(generation, public)
            }
            (Some(StoredKey::Shredded), _) => PublicHalf::No(BodyFate::TenantKeyShredded),
            (Some(StoredKey::Pair { .. }) | None, _) => PublicHalf::No(BodyFate::TenantKeyUnusable),
        })
    }

    /// Opens the kept job of a delivery.
    ///
    /// # Errors
    /// If it does not open as the job of this delivery, or the store or the key service fails.
    pub async fn open_body(
        &self,
        of: &DeliveryRecord,
        sealed: &[u8],
    ) -> Result<SecretBytes, BodyError> {
        use super::error::OpenError;
        let opened = self.open_sealed(&of.customer_id, sealed, &kept_body::context(of)).await;
        opened.map_err(|error| match error {
            super::NotOpened::Malformed => BodyError::NotOpened("it is cut short".to_owned()),
            super::NotOpened::Altered => {
                BodyError::NotOpened("it was altered, or belongs to another delivery".to_owned())
            }
            super::NotOpened::Key(error) => match &*error {
                OpenError::Shredded { generation } => BodyError::Shredded(*generation),
                OpenError::Unusable(problem) => BodyError::NotOpened(problem.clone()),
                OpenError::Ours(error) => BodyError::Ours(error.again()),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{id, tenants};
    use super::*;
    use crate::domain::decide::Disposition;
    use crate::domain::delivery::DeliveryKey;
    use crate::domain::outcome::{Attempt, AttemptOutcome};
    use crate::domain::timestamp::Timestamp;
    use crate::vault::tests::Bench;

    fn record(customer: &str, endpoint: &str, job: &str, round: u32) -> DeliveryRecord {
        let key = DeliveryKey {
            customer_id: id(customer),
            endpoint_id: endpoint.parse().unwrap(),
            job_id: job.parse().unwrap(),
            round,
            message_id: "m".to_owned(),
        };
        let outcome =
            AttemptOutcome::Answered { status: 500, retry_after_ms: None, never_again: false };
        let at = Timestamp::from_millis(0);
        let detail = String::new();
        let attempt = Attempt { number: 1, at, duration_ms: 1, address: None, outcome, detail };
        DeliveryRecord::after(&key, None, at, &attempt, Disposition::Done)
    }

    async fn opened(bench: &Bench, of: &DeliveryRecord, sealed: &[u8]) -> Result<Vec<u8>, String> {
        let opened = bench.elsewhere().vault.opener.open_body(of, sealed).await;
        opened.map(|job| job.expose().to_vec()).map_err(|e| e.to_string())
    }

    #[tokio::test]
    async fn a_kept_job_opens_as_that_of_its_own_delivery_and_of_no_other() {
        let bench = tenants();
        for customer in ["acme", "evil"] {
            bench.vault.create_tenant_key(&id(customer)).await.unwrap();
        }
        let own = record("acme", "e", "j", 1);
        let sealed = bench.vault.opener.seal_body(&own, b"a job").await.unwrap();
        assert_eq!(opened(&bench, &own, &sealed).await.unwrap(), b"a job");
        bench.vault.rotate_tenant_key(&id("acme")).await.unwrap();
        assert_eq!(opened(&bench, &own, &sealed).await.unwrap(), b"a job", "after a rotation");
        for other in [
            record("evil", "e", "j", 1),
            record("acme", "f", "j", 1),
            record("acme", "e", "k", 1),
            record("acme", "e", "j", 2),
            DeliveryRecord { job_id: "k".parse().unwrap(), ..own.clone() },
            DeliveryRecord { endpoint_id: "f".parse().unwrap(), ..own.clone() },
        ] {
            let refused = opened(&bench, &other, &sealed).await.unwrap_err();
            assert!(refused.contains("belongs to another delivery"), "{refused}");
        }
        for (at, expected) in [(4, "generation"), (40, "altered"), (sealed.len() - 1, "altered")] {
            let mut flipped = sealed.clone();
            flipped[at] ^= 0x10;
            let refused = opened(&bench, &own, &flipped).await.unwrap_err();
            assert!(refused.contains(expected), "{refused}");
        }
        assert!(opened(&bench, &own, &sealed[..9]).await.unwrap_err().contains("cut short"));
    }

    #[tokio::test]
    async fn what_was_kept_is_lost_with_the_key_and_what_has_no_key_is_not_kept() {
        let bench = tenants();
        let own = record("acme", "e", "j", 1);
        let seal = async || bench.elsewhere().vault.opener.seal_body(&own, b"a job").await;
        let fate = |sealed| match sealed {
            Err(NotSealed::Key(fate)) => fate,
            Ok(_) | Err(NotSealed::Ours(_)) => BodyFate::Kept,
        };
        assert_eq!(fate(seal().await), BodyFate::NoTenantKey);
        bench.vault.create_tenant_key(&own.customer_id).await.unwrap();
        let sealed = seal().await.unwrap();
        bench.vault.shred_tenant_key(&own.customer_id).await.unwrap();
        assert_eq!(fate(seal().await), BodyFate::TenantKeyShredded);
        assert!(opened(&bench, &own, &sealed).await.unwrap_err().contains("was shredded"));
        bench.vault.create_tenant_key(&own.customer_id).await.unwrap();
        assert_eq!(opened(&bench, &own, &seal().await.unwrap()).await.unwrap(), b"a job");
        assert!(opened(&bench, &own, &sealed).await.is_err(), "a new key brings nothing back");
    }
}
