//! Why a secret cannot be used, and who is to blame.

use crate::cache::Passing;
use crate::domain::ids::{CustomerId, SecretId};
use crate::ports::Error;

/// Why a secret cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// There is no such secret.
    #[error("customer {customer} has no secret {secret}")]
    Unknown {
        /// Whose.
        customer: CustomerId,
        /// Which.
        secret: SecretId,
    },
    /// The sealed value does not open, and never will.
    #[error("secret {secret} of customer {customer}, version {version}: {problem}")]
    NotDecrypted {
        /// Whose.
        customer: CustomerId,
        /// Which.
        secret: SecretId,
        /// Which version.
        version: u64,
        /// Why not.
        problem: String,
    },
    /// The value is bound to nothing, and such values are not accepted.
    #[error(
        "secret {secret} of customer {customer} was sealed without an encryption context, and \
         `accept_unbound_secrets` is false"
    )]
    Unbound {
        /// Whose.
        customer: CustomerId,
        /// Which.
        secret: SecretId,
    },
    /// The store or the key service failed.
    #[error(transparent)]
    Ours(#[from] Error),
}

impl Passing for VaultError {
    fn is_passing(&self) -> bool {
        match self {
            Self::Ours(_) => true,
            Self::Unknown { .. } | Self::NotDecrypted { .. } | Self::Unbound { .. } => false,
        }
    }
}
