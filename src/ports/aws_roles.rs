//! Credentials of AWS roles, to sign requests with.

use async_trait::async_trait;

use super::Result;
use crate::domain::aws_role::{AwsCredentials, AwsRole, RoleRefused};
use crate::domain::ids::CustomerId;

/// Gives the credentials of roles. An implementation keeps them until shortly before they end, so
/// that it can be asked on every call. Whether a role may be used at all is not its concern: that is
/// what [`RolePolicy`](crate::domain::aws_role::RolePolicy) says.
///
/// An `Err` is a failure of AWS or of our own credentials; a role that cannot be assumed because of its
/// name or its trust policy is [`RoleRefused`].
#[async_trait]
pub trait AwsRoles: Send + Sync {
    /// The credentials of `role`, good for minutes still. A role is assumed with `external_id` as the
    /// external id, and what was given for one is never given for another.
    async fn credentials(
        &self,
        role: &AwsRole,
        external_id: &CustomerId,
    ) -> Result<std::result::Result<AwsCredentials, RoleRefused>>;
}
