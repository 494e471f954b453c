//! The keys under which secrets are sealed: AWS KMS, or a key file.

use async_trait::async_trait;

use super::Result;
use crate::domain::secret::SecretBytes;

/// The pairs that a wrapped key or value is bound to, sorted by name: KMS calls them the encryption context.
pub type Context = [(&'static str, String)];

/// Most bytes that [`SealKeys::wrap`] takes ("Encrypt", AWS KMS API Reference).
pub const MAX_WRAPPED: usize = 4096;

/// A key that encrypts one value.
pub struct DataKey {
    /// 32 random bytes; used once and wiped.
    pub plain: SecretBytes,
    /// The same, wrapped, to be kept beside what it encrypts.
    pub wrapped: Vec<u8>,
}

/// What unwrapping came to.
pub enum Unwrapped {
    /// The data key, or the value.
    Opened(SecretBytes),
    /// What was wrapped was altered, or belongs to another key or another context. Trying again will
    /// not help.
    Refused(String),
}

/// The half that seals: makes data keys, and wraps. Whoever has it can put values, and read none. An
/// `Err` is a failure of the key service or of our right to use it.
#[async_trait]
pub trait SealKeys: Send + Sync {
    /// A new data key, wrapped so that it opens under `context` only.
    async fn generate(&self, context: &Context) -> Result<DataKey>;

    /// A value of at most [`MAX_WRAPPED`] bytes, wrapped by the key service itself so that it opens
    /// under `context` only.
    async fn wrap(&self, value: &SecretBytes, context: &Context) -> Result<Vec<u8>>;
}

/// The half that opens: the worker's, which can seal nothing. An `Err` is a failure of the key service
/// or of our right to use it; what can never be opened is [`Unwrapped::Refused`].
#[async_trait]
pub trait OpenKeys: Send + Sync {
    /// What is inside `wrapped`: a data key, or a value. An empty context opens only what was wrapped
    /// without one.
    async fn unwrap(&self, wrapped: &[u8], context: &Context) -> Result<Unwrapped>;
}

/// Both halves, for those who may do both.
pub trait Keys: OpenKeys + SealKeys {}

impl<K: OpenKeys + SealKeys> Keys for K {}
