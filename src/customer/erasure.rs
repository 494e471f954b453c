//! What is asked of an erasure, and what it came to.

use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::work::{Work, count_letters};
use crate::app::App;
use crate::domain::dead_letter::DeadLetterFilter;
use crate::domain::ids::CustomerId;
use crate::domain::timestamp::Timestamp;
use crate::ports;
use crate::vault::TenantKeyError;

/// Who asks for an erasure, and how far it may go.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Most dead letters that may be lost with it. Without it there may be none.
    pub purge: Option<u64>,
    /// Whether dead letters are forgotten whose jobs are not found: they are gone, or in the hand of others,
    /// and then nothing lists them any more.
    pub forget: bool,
    /// Who asks, for the log and for the audit of replays.
    pub who: String,
    /// How long one call works; until the end without it.
    pub patience: Option<Duration>,
}

/// Why nothing was erased, or not all.
#[derive(Debug, thiserror::Error)]
pub enum NotErased {
    /// It would cost dead letters: nothing was done.
    #[error("customer {customer} has {found} dead letters{}: they would be lost, with their jobs", instead_of(*.named))]
    DeadLetters {
        /// Whose.
        customer: CustomerId,
        /// How many there are.
        found: u64,
        /// How many were named.
        named: Option<u64>,
    },
    /// The tenant key was not shredded.
    #[error(transparent)]
    TenantKey(#[from] TenantKeyError),
    /// Ours: try again.
    #[error(transparent)]
    Ours(#[from] ports::Error),
}

fn instead_of(named: Option<u64>) -> String {
    named.map_or_else(String::new, |named| format!(", and not {named}"))
}

/// What one call removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Endpoints.
    pub endpoints: u64,
    /// API keys that were limited to the customer, and are revoked.
    pub keys: u64,
    /// Replays that were under way, and are cancelled.
    pub replays: u64,
    /// Secrets, each with all its versions.
    pub secrets: u64,
    /// Versions that a deletion which was cut short had left.
    pub secret_versions: u64,
    /// Dead letters.
    pub dead_letters: u64,
    /// Recorded deliveries, each with its attempts, its kept job and its audit.
    pub deliveries: u64,
    /// Test calls.
    pub test_calls: u64,
    /// Records of endpoints' health and rates.
    pub health: u64,
}

/// Something that stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Left {
    /// What, as a stable name.
    pub what: &'static str,
    /// Until when at most; nobody removes it without a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// What that means, and what to do.
    pub detail: String,
}

/// What an erasure came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Erasure {
    /// Whose.
    pub customer_id: CustomerId,
    /// Whether all is done; otherwise ask again, in a few minutes where `left` has dead letters.
    pub complete: bool,
    /// What this call removed.
    pub removed: Counts,
    /// Ids of the keys that it revoked.
    #[serde(skip)]
    pub revoked: Vec<String>,
    /// What stays.
    pub left: Vec<Left>,
}

/// Erases a customer, as far as the time reaches.
///
/// # Errors
/// If dead letters would be lost that nobody named, or a store fails: what was removed until then stays
/// removed.
pub async fn erase(app: &App, customer: &CustomerId, asked: &Asked) -> Result<Erasure, NotErased> {
    // What dies meanwhile is not meant.
    let before = app.clock.now().plus(Duration::from_millis(1));
    let letters = of_customer(customer).before(before);
    let found = count_letters(app, &letters).await?;
    if found > asked.purge.unwrap_or(0) {
        let customer = customer.clone();
        return Err(NotErased::DeadLetters { customer, found, named: asked.purge });
    }
    let until = asked.patience.map(|patience| Instant::now() + patience);
    let mut work = Work::new(app, customer, until);
    work.run(&letters, asked).await?;
    let erasure = work.told().await?;
    let (Erasure { complete, removed, .. }, who) = (&erasure, &asked.who);
    let removed = serde_json::to_string(removed).unwrap_or_default();
    tracing::info!(event = "customer_erased", %customer, who, complete, removed);
    Ok(erasure)
}

/// The dead letters of a customer.
pub(super) fn of_customer(customer: &CustomerId) -> DeadLetterFilter {
    DeadLetterFilter { customer_id: Some(customer.clone()), ..DeadLetterFilter::default() }
}
