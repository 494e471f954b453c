//! Whoever keeps spans.

use async_trait::async_trait;

use crate::domain::span::Span;

/// Why spans were not taken.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub struct NotTaken {
    /// What went wrong.
    pub problem: String,
    /// Whether they may be taken later.
    pub may_pass: bool,
}

/// Takes spans. Nothing depends on them: what is not taken is lost.
#[async_trait]
pub trait Spans: Send + Sync {
    /// Hands over a batch; returns when it was taken, or was not.
    async fn export(&self, batch: &[Span]) -> Result<(), NotTaken>;
}
