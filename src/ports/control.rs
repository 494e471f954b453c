//! What the API keeps for itself: keys, tokens, and which jobs it has taken.

use async_trait::async_trait;

use super::Result;
use crate::domain::access::ApiKey;
use crate::domain::ids::CustomerId;
use crate::domain::submission::{Begun, Submission};
use crate::domain::timestamp::Timestamp;

/// Keys, tokens and submissions. What a write has returned is durable and seen by every later read.
#[async_trait]
pub trait Control: Send + Sync {
    /// Keeps a key or a token. Customers' tokens may be forgotten once they have expired.
    async fn put_key(&self, key: &ApiKey) -> Result<()>;

    /// A key or a token.
    async fn get_key(&self, id: &str) -> Result<Option<ApiKey>>;

    /// Up to `limit` keys of the operator, by id, after the one with id `after`.
    async fn list_keys(&self, after: Option<&str>, limit: usize) -> Result<Vec<ApiKey>>;

    /// Withdraws a key or a token; `false` if there is none. One that was withdrawn before keeps its
    /// time.
    async fn revoke_key(&self, id: &str, now: Timestamp) -> Result<bool>;

    /// Withdraws every token of a customer that was made until `now`.
    async fn end_tokens(&self, customer: &CustomerId, now: Timestamp) -> Result<()>;

    /// Begins to send jobs, in order; what is known of each. What is [`Begun::New`] is the caller's
    /// until [`GIVEN_UP`] has passed, and is remembered for [`REMEMBERED`].
    ///
    /// [`GIVEN_UP`]: crate::domain::submission::GIVEN_UP
    /// [`REMEMBERED`]: crate::domain::submission::REMEMBERED
    async fn begin(&self, submissions: &[Submission], now: Timestamp) -> Result<Vec<Begun>>;

    /// Remembers as which message each was sent.
    async fn finish(&self, sent: &[(Submission, String)]) -> Result<()>;

    /// Forgets submissions that were begun and not sent: the next one is new.
    async fn abandon(&self, submissions: &[Submission]) -> Result<()>;
}
