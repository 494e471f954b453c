//! What the workers have learnt of endpoints.

use async_trait::async_trait;

use super::Result;
use crate::domain::endpoint::Health;
use crate::domain::ids::{CustomerId, EndpointId};

/// Health by endpoint and version of its configuration. Every write is conditional on the version,
/// so that a late 410 cannot disable an endpoint that was put again since.
#[async_trait]
pub trait HealthStore: Send + Sync {
    /// The health of the endpoint in this version; [`Health::Active`] if nothing is recorded.
    async fn get(
        &self,
        customer: &CustomerId,
        endpoint: &EndpointId,
        version: u64,
    ) -> Result<Health>;

    /// Records the health of the endpoint in this version; `false`, and nothing written, if a later
    /// version has a record. A disabled endpoint stays disabled.
    async fn set(
        &self,
        customer: &CustomerId,
        endpoint: &EndpointId,
        version: u64,
        health: &Health,
    ) -> Result<bool>;
}
