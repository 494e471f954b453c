//! The rate of one endpoint as this worker shares it with the others: one lease after another.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;

use crate::domain::ids::{CustomerId, EndpointId};
use crate::domain::rate_lease::{LeaseAnswer, LeaseRequest};
use crate::ports::{Error, Rates};
use crate::telemetry::Tally;

/// Who waits for a lease holds a place of the worker: not for longer.
const PATIENCE: Duration = Duration::from_secs(1);

/// The accounts of all endpoints' rates, and where failures are told.
#[derive(Clone)]
pub struct SharedRates {
    /// The accounts.
    pub rates: Arc<dyn Rates>,
    /// Counts what happens.
    pub tally: Arc<Tally>,
}

/// The account of one endpoint.
pub struct SharedRate {
    of: SharedRates,
    customer: CustomerId,
    endpoint: EndpointId,
    turn: Mutex<()>,
}

impl SharedRates {
    /// That of one endpoint.
    pub fn of(&self, customer: &CustomerId, endpoint: &EndpointId) -> SharedRate {
        let (customer, endpoint) = (customer.clone(), endpoint.clone());
        SharedRate { of: self.clone(), customer, endpoint, turn: Mutex::default() }
    }
}

impl SharedRate {
    /// The turn to lease: whoever waits for it finds what the one before has leased.
    pub async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Leases; `None` if the account cannot be reached, which is told.
    pub async fn lease(&self, request: &LeaseRequest) -> Option<LeaseAnswer> {
        let Self { of, customer, endpoint, .. } = self;
        let asked = timeout(PATIENCE, of.rates.lease(customer, endpoint, request)).await;
        let answer = asked.unwrap_or_else(|_| {
            Err(Error::new("rates.lease", format!("no answer within {PATIENCE:?}")))
        });
        answer.map_err(|error| of.tally.fault(&error, endpoint.as_str())).ok()
    }
}
