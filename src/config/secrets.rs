//! `[secrets]`: how secrets are sealed, and which are accepted.

use serde::{Deserialize, Serialize};

use crate::domain::reference::ReferenceRule;
use crate::vault::{Policy, Sealing};

/// How secrets are sealed, and which are accepted.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SecretsConfig {
    /// Whether secrets that were sealed without a context, and are bound to nothing, may be used.
    pub accept_unbound_secrets: bool,
    /// How new values are sealed.
    pub sealing: Sealing,
    /// Which secrets of AWS Secrets Manager and parameters of Systems Manager may be named in place of
    /// values: the beginnings of their names, with `{customerId}` for the customer's id.
    pub references: Vec<ReferenceRule>,
}

impl SecretsConfig {
    /// What these settings ask of the vault.
    pub fn policy(&self) -> Policy {
        Policy { sealing: self.sealing, accept_unbound: self.accept_unbound_secrets }
    }
}
