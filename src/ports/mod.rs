//! What the worker needs of the outside, in the domain's words. Each trait's documentation is the
//! contract; `tests/contract/` runs one suite over every implementation.

pub mod aws_roles;
pub mod clock;
pub mod deliveries;
pub mod endpoints;
pub mod health;
pub mod keys;
pub mod queue;
pub mod secrets;

pub use aws_roles::AwsRoles;
pub use clock::{Chance, Clock};
pub use deliveries::Deliveries;
pub use endpoints::Endpoints;
pub use health::HealthStore;
pub use keys::Keys;
pub use queue::Queue;
pub use secrets::Secrets;

/// A failure on our side: of a store, a queue, a key service, the resolver, or a bug. It never costs
/// an endpoint an attempt, never disables it and never loses a message.
#[derive(Debug, thiserror::Error)]
#[error("{operation}: {source}")]
pub struct Error {
    /// What was being done, as in `queue.receive`.
    pub operation: &'static str,
    /// What went wrong.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

impl Error {
    /// A failure of `operation`.
    pub fn new(
        operation: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { operation, source: source.into() }
    }
}

/// The result of asking the outside.
pub type Result<T> = std::result::Result<T, Error>;
