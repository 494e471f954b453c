//! Endpoints whose calls may take longer than a stop of the worker waits for them.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::domain::endpoint::Endpoint;
use crate::domain::ids::{CustomerId, EndpointId};
use crate::telemetry::Tally;

/// Most endpoints that are remembered; then they are told of once more.
const MAX_KNOWN: usize = 10_000;

/// Tells of each of them once.
pub struct LongTimeouts {
    drain: Duration,
    told: Mutex<HashSet<(CustomerId, EndpointId)>>,
}

impl LongTimeouts {
    /// For a worker that waits so long when it stops.
    pub fn over(drain: Duration) -> Self {
        Self { drain, told: Mutex::default() }
    }

    /// Tells of an endpoint whose timeout is longer, when it is first used.
    pub fn tell(&self, endpoint: &Endpoint, tally: &Tally) {
        if endpoint.timeout() <= self.drain {
            return;
        }
        let name = (endpoint.customer_id.clone(), endpoint.endpoint_id.clone());
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= MAX_KNOWN {
            told.clear();
        }
        if told.insert(name) {
            tally.long_timeout(endpoint, self.drain);
        }
    }
}
