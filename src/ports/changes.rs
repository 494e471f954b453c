//! Whether anybody has changed what caches keep.

use tokio::time::Instant;

/// Knows of changes to endpoints, their health and their secrets, whoever makes them.
pub trait Changes: Send + Sync {
    /// Whether nothing of it was changed since `then`, by what is known just now; `false` where that is
    /// not known.
    fn none_since(&self, then: Instant) -> bool;
}
