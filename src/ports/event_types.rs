//! Where the operator's event types are kept.

use async_trait::async_trait;

use super::Result;
use crate::domain::event_catalog::EventType;
use crate::domain::ids::EventTypeName;

/// Event types by name. What a write has returned is durable and seen by every later read.
#[async_trait]
pub trait EventTypes: Send + Sync {
    /// Keeps a type; one of the same name is replaced.
    async fn put(&self, event_type: &EventType) -> Result<()>;

    /// A type.
    async fn get(&self, name: &EventTypeName) -> Result<Option<EventType>>;

    /// Up to `limit` types, by name, after the one named `after`.
    async fn list(&self, after: Option<&str>, limit: usize) -> Result<Vec<EventType>>;

    /// Removes a type; `false` if there was none.
    async fn delete(&self, name: &EventTypeName) -> Result<bool>;
}
