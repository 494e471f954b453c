//! Binds what a program sealed without a context, without seeing it.

use async_trait::async_trait;

use super::Result;
use super::keys::Context;

/// What binding came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rebound {
    /// The same value, wrapped so that it opens under the context only.
    Wrapped(Vec<u8>),
    /// It is no ciphertext of the key, or is bound to a context already.
    Refused(String),
}

/// Wraps values anew within the key service: the value never leaves it. This is an administrator's
/// right, which neither workers nor writers have.
#[async_trait]
pub trait Rebind: Send + Sync {
    /// The value in `wrapped`, which has no context, wrapped under `context`.
    async fn bind(&self, wrapped: &[u8], context: &Context) -> Result<Rebound>;
}
