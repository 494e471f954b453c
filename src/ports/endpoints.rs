//! Where the configuration of endpoints is kept.

use async_trait::async_trait;

use super::Result;
use crate::domain::endpoint::Endpoint;
use crate::domain::ids::{CustomerId, EndpointId};
use crate::domain::timestamp::Timestamp;

/// An endpoint with the version of its configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEndpoint {
    /// From 1, one more with every put; never reused, even after a delete.
    pub version: u64,
    /// When this version was put.
    pub updated_at: Timestamp,
    /// The configuration.
    pub endpoint: Endpoint,
}

/// What a conditional write came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutResult {
    /// Written, as this version.
    Put(u64),
    /// Not written: somebody else had written. The version now; 0 if there is none.
    Conflict(u64),
}

/// The half that reads: endpoints by customer and endpoint id. It sees all that a write has returned.
/// It is all that a worker has.
#[async_trait]
pub trait ReadEndpoints: Send + Sync {
    /// The endpoint, if there is one.
    async fn get(
        &self,
        customer: &CustomerId,
        endpoint: &EndpointId,
    ) -> Result<Option<StoredEndpoint>>;

    /// The endpoints of a customer, or of all, by customer and endpoint id.
    async fn list(&self, customer: Option<&CustomerId>) -> Result<Vec<StoredEndpoint>>;
}

/// The half that writes. What a write has returned is durable and seen by every later read.
#[async_trait]
pub trait Endpoints: ReadEndpoints {
    /// Writes an endpoint if its version now is `expected` (0: there is none; `None`: whatever it is).
    async fn put(
        &self,
        endpoint: Endpoint,
        expected: Option<u64>,
        now: Timestamp,
    ) -> Result<PutResult>;

    /// Removes an endpoint, if the version `expected` is the current one, or whichever is; `false`,
    /// and nothing removed, if it is not, or there was none.
    async fn delete(
        &self,
        customer: &CustomerId,
        endpoint: &EndpointId,
        expected: Option<u64>,
    ) -> Result<bool>;
}
