//! What is wrong with a tenant key.

use crate::cache::Passing;
use crate::domain::ids::{CustomerId, SecretId};
use crate::domain::timestamp::Timestamp;
use crate::ports::Error;
use crate::vault::VaultError;

/// Why a tenant key does not open what was sealed to it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It was removed on purpose.
    #[error("generation {generation} of the tenant key was shredded")]
    Shredded {
        /// Which.
        generation: u32,
    },
    /// The pair or the value was altered, or never was there.
    #[error("{0}")]
    Unusable(String),
    /// The store or the key service failed.
    #[error(transparent)]
    Ours(#[from] Error),
}

impl OpenError {
    pub fn unusable(problem: &str) -> Self {
        Self::Unusable(problem.to_owned())
    }

    /// The same, said of a secret. Several secrets share one reading of the key.
    pub fn of_secret(&self, customer: &CustomerId, secret: &SecretId, version: u64) -> VaultError {
        let (customer, secret) = (customer.clone(), secret.clone());
        match self {
            Self::Shredded { generation } => {
                VaultError::Shredded { customer, secret, version, generation: *generation }
            }
            Self::Unusable(problem) => {
                let problem = problem.clone();
                VaultError::NotDecrypted { customer, secret, version, problem }
            }
            Self::Ours(error) => VaultError::Ours(error.again()),
        }
    }
}

impl Passing for OpenError {
    fn is_passing(&self) -> bool {
        match self {
            Self::Ours(_) => true,
            Self::Shredded { .. } | Self::Unusable(_) => false,
        }
    }
}

/// Why nothing was sealed to a tenant key, or the key was not changed.
#[derive(Debug, thiserror::Error)]
pub enum TenantKeyError {
    /// The customer never had one.
    #[error("customer {0} has no tenant key: `sealpost tenant-key create {0}` makes one")]
    Missing(CustomerId),
    /// It was shredded, and nothing is sealed until somebody asks for a new one.
    #[error(
        "the tenant key of customer {customer} was shredded at {at}: \
         `sealpost tenant-key create {customer}` makes a new one"
    )]
    Shredded {
        /// Whose.
        customer: CustomerId,
        /// When.
        at: Timestamp,
    },
    /// There is one that can be used.
    #[error(
        "customer {customer} has a tenant key, generation {generation}: \
         `sealpost tenant-key rotate {customer}` makes the next"
    )]
    AlreadyThere {
        /// Whose.
        customer: CustomerId,
        /// Which generation is current.
        generation: u64,
    },
    /// What is stored is no tenant key.
    #[error("the stored tenant key of customer {0} is of no known form: restore it, or shred it")]
    Damaged(CustomerId),
    /// Somebody else has changed it.
    #[error("somebody else has just changed the tenant key of customer {0}: look again")]
    Conflict(CustomerId),
    /// The library refused, as it does a public half that is no point of the curve.
    #[error("nothing can be sealed to the tenant key of customer {0}")]
    Refused(CustomerId),
    /// The store or the key service failed.
    #[error(transparent)]
    Ours(#[from] Error),
}
