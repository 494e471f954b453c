//! AWS identities that requests are signed with.

use crate::domain::secret::SecretBytes;
use crate::domain::timestamp::Timestamp;

/// Whose AWS credentials sign a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum AwsRole {
    /// The worker's own.
    Worker,
    /// A role that the worker assumes; the customer's id is the external id.
    Assumed {
        /// The role's ARN.
        arn: String,
    },
}

/// AWS credentials, as AWS Signature Version 4 uses them.
#[derive(Clone)]
pub struct AwsCredentials {
    /// The access key's id; no secret.
    pub access_key_id: String,
    /// The secret access key.
    pub secret_access_key: SecretBytes,
    /// The session token of temporary credentials.
    pub session_token: Option<SecretBytes>,
    /// When temporary credentials end.
    pub expires_at: Option<Timestamp>,
}
