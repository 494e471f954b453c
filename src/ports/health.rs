//! What the workers have learnt of endpoints.

use async_trait::async_trait;

use super::Result;
use crate::domain::endpoint::Health;
use crate::domain::ids::{CustomerId, EndpointId};

/// The health of one endpoint, as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedHealth {
    /// Which endpoint.
    pub endpoint_id: EndpointId,
    /// The version of its configuration that the record is of.
    pub version: u64,
    /// What was learnt.
    pub health: Health,
}

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

    /// What is recorded of a customer's endpoints, by endpoint id; of those without a record nothing.
    async fn list(&self, customer: &CustomerId) -> Result<Vec<RecordedHealth>>;

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
