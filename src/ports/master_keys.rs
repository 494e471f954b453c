//! The keys of a key file: where there is no key service that turns its own keys over.

use super::Result;

/// A key's id, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MasterKeyId(pub String);

impl std::fmt::Display for MasterKeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// One of the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MasterKey {
    /// Its id.
    pub id: MasterKeyId,
    /// Whether it is the one that wraps what is new. All of them unwrap.
    pub wraps: bool,
}

/// What became of a removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// The key is gone, and what only it opens is lost.
    Done,
    /// It is the one that wraps: nothing was changed.
    Wraps,
    /// There is no such key.
    Unknown,
}

/// Adds and removes keys beside processes that use them: each meets a new key without a restart. What
/// a write has returned is durable.
pub trait MasterKeys: Send + Sync {
    /// Every key, the one that wraps first.
    fn all(&self) -> Result<Vec<MasterKey>>;

    /// Makes a new key, which wraps from now on.
    fn add(&self) -> Result<MasterKeyId>;

    /// Removes a key for good. Whether anything still needs it is the caller's to ask.
    fn remove(&self, id: &MasterKeyId) -> Result<Removed>;

    /// Puts the keys that this process has removed back behind the others: something needs them after
    /// all.
    fn put_back(&self) -> Result<()>;

    /// The key that something was wrapped with; `None` if it is too short to say.
    fn of(&self, wrapped: &[u8]) -> Option<MasterKeyId>;
}
