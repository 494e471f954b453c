//! The accounts of endpoints' rates, which all workers share.

use async_trait::async_trait;

use super::Result;
use crate::domain::ids::{CustomerId, EndpointId};
use crate::domain::rate_lease::{LeaseAnswer, LeaseRequest};

/// One account for each endpoint, which stands at 0 until its first lease. It belongs to all versions
/// of the endpoint: what was called before an edit was called.
#[async_trait]
pub trait Rates: Send + Sync {
    /// Carries the request out on the endpoint's account, as [`LeaseRequest::carry_out`] does, in one
    /// step: of many who ask at once, each is granted tokens of its own. A grant whose answer is lost
    /// costs the fleet its tokens, and never gives them twice.
    async fn lease(
        &self,
        customer: &CustomerId,
        endpoint: &EndpointId,
        request: &LeaseRequest,
    ) -> Result<LeaseAnswer>;
}
