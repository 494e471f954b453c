//! Which customers there are, and what is kept of one beside its endpoints and secrets.

use async_trait::async_trait;

use super::Result;
use crate::domain::ids::CustomerId;

/// Most rows that one call of [`Customers::list`] looks at, where it cannot go from one customer to the
/// next.
pub const MOST_ROWS_LOOKED_AT: usize = 1_000;
/// Most that one call of [`Customers::remove`] removes.
pub const MOST_REMOVED: usize = 100;

/// A page of customers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CustomerPage {
    /// Some of them, each once in all pages.
    pub customers: Vec<CustomerId>,
    /// Where the next page begins; `None` at the end. There may be one behind an empty page.
    pub next: Option<String>,
}

/// What is kept of a customer, and found by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remains {
    /// The history of secrets that are deleted.
    SecretVersions,
    /// Recorded deliveries with their attempts, kept jobs and audits.
    Deliveries,
    /// Test calls. A store that does not find them by customer leaves them until their hour is over.
    TestCalls,
    /// What was learnt of endpoints, and the accounts of their rates.
    Health,
}

impl Remains {
    /// All of it, in the order in which it is removed: workers may note a late call until the last.
    pub const ALL: [Self; 4] =
        [Self::SecretVersions, Self::Deliveries, Self::TestCalls, Self::Health];
}

/// What one call of [`Customers::remove`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    /// How many were removed.
    pub count: u64,
    /// There may be more.
    pub more: bool,
}

/// The customers of a store: those that have an endpoint, a secret or a tenant key that is not shredded.
#[async_trait]
pub trait Customers: Send + Sync {
    /// Up to `limit` customers, in an order of the store's own, behind the place `after`; behind a text
    /// that is no place there is nothing.
    async fn list(&self, after: Option<&str>, limit: usize) -> Result<CustomerPage>;

    /// Removes up to [`MOST_REMOVED`] of what is kept of a customer. Called again and again, it comes to
    /// the end, also after a call that was cut short.
    async fn remove(&self, customer: &CustomerId, what: Remains) -> Result<Removed>;
}
