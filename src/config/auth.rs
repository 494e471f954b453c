//! `[auth]`: what endpoints may use of the worker's rights.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::domain::aws_role::{RolePattern, RolePolicy};
use crate::domain::origin::Origin;

/// What endpoints may use of the worker's rights.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuthConfig {
    /// Origins that may be called with the worker's own AWS role.
    pub aws_worker_role_origins: BTreeSet<Origin>,
    /// AWS roles that may be assumed: ARNs, with `*` for any characters.
    pub aws_assumable_roles: Vec<RolePattern>,
}

impl AuthConfig {
    /// Which AWS roles these settings allow.
    pub fn role_policy(&self) -> RolePolicy {
        let Self { aws_worker_role_origins, aws_assumable_roles } = self.clone();
        RolePolicy { worker_origins: aws_worker_role_origins, assumable: aws_assumable_roles }
    }
}
