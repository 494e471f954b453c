//! The keys under which secrets are sealed: AWS KMS, or a key file.

use async_trait::async_trait;

use super::Result;
use crate::domain::secret::SecretBytes;

/// The pairs that a wrapped key is bound to, sorted by name: KMS calls them the encryption context.
pub type Context = [(&'static str, String)];

/// A key that encrypts one value.
pub struct DataKey {
    /// 32 random bytes; used once and wiped.
    pub plain: SecretBytes,
    /// The same, wrapped, to be kept beside what it encrypts.
    pub wrapped: Vec<u8>,
}

/// What unwrapping a key came to.
pub enum Unwrapped {
    /// The key.
    Key(SecretBytes),
    /// The wrapped key was altered, or belongs to another key or another context. Trying again will
    /// not help.
    Refused(String),
}

/// Makes and unwraps data keys. An `Err` is a passing failure of the key service; a wrapped key that
/// can never be opened is [`Unwrapped::Refused`].
#[async_trait]
pub trait Keys: Send + Sync {
    /// A new data key, wrapped so that it opens under `context` only.
    async fn generate(&self, context: &Context) -> Result<DataKey>;

    /// The data key inside `wrapped`.
    async fn unwrap(&self, wrapped: &[u8], context: &Context) -> Result<Unwrapped>;
}
