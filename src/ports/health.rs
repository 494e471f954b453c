//! What the workers have learnt of endpoints.

use async_trait::async_trait;

use super::Result;
use crate::domain::health::{Health, HealthRecord};
use crate::domain::ids::{CustomerId, EndpointId};

/// The health of one endpoint, as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedHealth {
    /// Which endpoint.
    pub endpoint_id: EndpointId,
    /// The version of its configuration that the record is of.
    pub version: u64,
    /// What was learnt.
    pub record: HealthRecord,
}

/// Health by endpoint and version of its configuration. Every write is conditional on the version,
/// so that a late 410 cannot disable an endpoint that was put again since.
#[async_trait]
pub trait HealthStore: Send + Sync {
    /// What is recorded of the endpoint in this version. Nothing ill, if nothing is; but the revision and
    /// the handshake are those of the record that stands there, be it of another version.
    async fn read(
        &self,
        customer: &CustomerId,
        endpoint: &EndpointId,
        version: u64,
    ) -> Result<HealthRecord>;

    /// The health of the endpoint in this version; [`Health::Active`] if nothing is recorded.
    async fn get(
        &self,
        customer: &CustomerId,
        endpoint: &EndpointId,
        version: u64,
    ) -> Result<Health> {
        Ok(self.read(customer, endpoint, version).await?.health)
    }

    /// What is recorded of a customer's endpoints, by endpoint id; of those without a record nothing.
    async fn list(&self, customer: &CustomerId) -> Result<Vec<RecordedHealth>>;

    /// Records the health of the endpoint in this version; `false`, and nothing written, if a later
    /// version has a record. A disabled endpoint stays disabled. What else is recorded of this version
    /// stays, and the handshake of whatever version.
    async fn set(
        &self,
        customer: &CustomerId,
        endpoint: &EndpointId,
        version: u64,
        health: &Health,
    ) -> Result<bool>;

    /// Puts `next` in the place of `seen`, a disabled endpoint's too; `false`, and nothing written, if
    /// the record is no more what was seen, or is a later version's. Its revision is the next one,
    /// whatever `next` says.
    async fn change(
        &self,
        customer: &CustomerId,
        endpoint: &EndpointId,
        version: u64,
        seen: &HealthRecord,
        next: &HealthRecord,
    ) -> Result<bool>;
}
