//! Why a secret cannot be used, and who is to blame.

use crate::cache::Passing;
use crate::domain::ids::{CustomerId, SecretId};
use crate::domain::reference::Reference;
use crate::ports::Error;
use crate::vault::TenantKeyError;

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
    /// The tenant key that the value is sealed to was removed on purpose: nobody can open it any more.
    #[error(
        "secret {secret} of customer {customer}, version {version}: generation {generation} of the \
         customer's tenant key was shredded"
    )]
    Shredded {
        /// Whose.
        customer: CustomerId,
        /// Which.
        secret: SecretId,
        /// Which version.
        version: u64,
        /// Which generation of the key.
        generation: u32,
    },
    /// The store or the key service failed.
    #[error(transparent)]
    Ours(#[from] Error),
}

impl Passing for VaultError {
    fn is_passing(&self) -> bool {
        match self {
            Self::Ours(_) => true,
            Self::Unknown { .. }
            | Self::NotDecrypted { .. }
            | Self::Unbound { .. }
            | Self::Shredded { .. } => false,
        }
    }
}

/// Why a write was not made.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The value cannot be sealed.
    #[error("{0}")]
    Value(String),
    /// There is no such secret.
    #[error("customer {customer} has no secret {secret}")]
    Unknown {
        /// Whose.
        customer: CustomerId,
        /// Which.
        secret: SecretId,
    },
    /// No such version is kept.
    #[error(
        "no version {version} of secret {secret} of customer {customer} is kept: see \
         `sealpost secret history {customer} {secret}`"
    )]
    UnknownVersion {
        /// Whose.
        customer: CustomerId,
        /// Which.
        secret: SecretId,
        /// Which version.
        version: u64,
    },
    /// There is nothing to go back from.
    #[error("version {0} is the current one already")]
    AlreadyCurrent(u64),
    /// The current version goes with the whole secret alone.
    #[error(
        "version {0} is the current one: `sealpost secret delete` removes it with the whole secret, \
         `sealpost secret rotate` replaces it"
    )]
    IsCurrent(u64),
    /// Somebody else has changed the secret; this version is the current one now (0: none).
    #[error("somebody else has just changed the secret, which is at version {0} now: look again")]
    Conflict(u64),
    /// The settings do not let the customer name this.
    #[error(
        "customer {customer} may not name {reference}: `references` under `[secrets]` lists what may \
         be named"
    )]
    ReferenceNotAllowed {
        /// Who.
        customer: CustomerId,
        /// What.
        reference: Box<Reference>,
    },
    /// Nobody could follow a reference here.
    #[error("references lead to AWS, and none is configured for this program")]
    NoReferences,
    /// The id is the program's own.
    #[error("no secret can be called {0}: ids that begin with `sealpost:` are the program's own")]
    Reserved(SecretId),
    /// Nothing can be sealed to the customer's tenant key.
    #[error(transparent)]
    TenantKey(#[from] TenantKeyError),
    /// The store or the key service failed.
    #[error(transparent)]
    Ours(#[from] Error),
}
