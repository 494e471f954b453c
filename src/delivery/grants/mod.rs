//! What auth steps need of others: access tokens, and servers' challenges. Obtained before a call,
//! kept, and renewed when the endpoint refuses them.
//!
//! What goes wrong here costs the delivery no attempt: the endpoint has not been called.

mod challenges;
mod tokens;

pub use challenges::Challenges;
use tokens::TokenError;
pub use tokens::{Egress, Tokens};

use super::resolve::{Resolved, ours};
use super::sign::call_of;
use super::{Halt, Pipeline};
use crate::auth::need::{Grant, Need};
use crate::domain::endpoint::Health;
use crate::domain::ids::{CustomerId, EndpointId};
use crate::domain::reason::Reason;
use crate::domain::timestamp::Timestamp;

/// One auth step of one endpoint: what a grant is kept under.
pub type StepKey = (CustomerId, EndpointId, usize);

/// What each step was granted, in order.
pub type Grants = Vec<Option<Grant>>;

impl Pipeline {
    /// Obtains what the endpoint's steps need. A step that needs the server's challenge is granted
    /// none until there is one: the first call asks for it.
    pub(super) async fn grants(&self, resolved: &Resolved<'_>) -> Result<Grants, Halt> {
        let known = &resolved.known;
        let nonce = || self.chance.token();
        let mut grants = Vec::new();
        for (index, need) in known.chain.needs().enumerate() {
            let grant = match need {
                None => None,
                Some(Need::Token(request)) => {
                    let key = self.step_key(resolved, index);
                    let call = call_of(resolved, &nonce, self.clock.now());
                    let token = self.tokens.get(&key, request, &call, self.egress()).await;
                    let token = match token {
                        Ok(token) => token,
                        Err(error) => return Err(self.without_token(resolved, error).await),
                    };
                    Some(Grant::Token(token))
                }
                Some(Need::Challenge) => {
                    let key = self.step_key(resolved, index);
                    self.challenges.next(&key).await.map(Grant::Challenge)
                }
                Some(Need::AwsCredentials(_)) => None,
            };
            grants.push(grant);
        }
        if matches!(known.health, Health::Deauthorized { .. }) {
            self.set_health(known, &Health::Active).await;
        }
        Ok(grants)
    }

    /// Renews what the endpoint has refused; `None` if nothing is new. `challenges` came with the
    /// refusal.
    pub(super) async fn renewed_grants(
        &self,
        resolved: &Resolved<'_>,
        refused: &Grants,
        challenges: &[String],
    ) -> Option<Grants> {
        let nonce = || self.chance.token();
        let mut grants = refused.clone();
        let mut is_new = false;
        for (index, need) in resolved.known.chain.needs().enumerate() {
            let key = self.step_key(resolved, index);
            let renewed = match (need, refused.get(index).and_then(Option::as_ref)) {
                (Some(Need::Token(request)), Some(Grant::Token(token))) => {
                    let call = call_of(resolved, &nonce, self.clock.now());
                    // Our own trouble, or the token server's, changes nothing about the refusal.
                    let renewed = self.tokens.renew(&key, request, token, &call, self.egress());
                    renewed.await.map(Grant::Token)
                }
                (Some(Need::Challenge), _) => {
                    let renewed = self.challenges.renew(&key, challenges).await;
                    renewed.map(Grant::Challenge)
                }
                (Some(Need::Token(_) | Need::AwsCredentials(_)) | None, _) => None,
            };
            if renewed.is_some() {
                grants[index] = renewed;
                is_new = true;
            }
        }
        is_new.then_some(grants)
    }

    /// What follows from having no token.
    async fn without_token(&self, resolved: &Resolved<'_>, error: TokenError) -> Halt {
        let (until, why, reason, what) = match error {
            TokenError::Ours(error) => return ours(&error),
            TokenError::Invalid(error) => {
                return Halt::DeadLetter(Reason::AuthFailed, error.to_string());
            }
            TokenError::Unavailable { until, why } => {
                (until, why, Reason::TokenUnavailable, "no access token")
            }
            TokenError::Refused { until, why, is_news } => {
                if is_news {
                    let health = Health::Deauthorized { why: why.clone(), probe_at: until };
                    self.set_health(&resolved.known, &health).await;
                }
                (until, why, Reason::EndpointDeauthorized, "endpoint deauthorized")
            }
        };
        resolved.wait(until, what).unwrap_or_else(|too_late| {
            Halt::DeadLetter(reason, format!("{why}; {too_late} before it is asked again"))
        })
    }

    fn egress(&self) -> Egress<'_> {
        Egress { client: &self.client, clock: &*self.clock, chance: &*self.chance }
    }

    fn step_key(&self, resolved: &Resolved<'_>, index: usize) -> StepKey {
        let endpoint = &resolved.known.endpoint;
        (endpoint.customer_id.clone(), endpoint.endpoint_id.clone(), index)
    }
}

/// When something that failed `failures` times in a row is tried again: `first` after the first, twice
/// as long with each further one up to `longest`, and by chance up to half as much less or more, so
/// that not all come at once. `chance` is in `0.0..1.0`.
fn again_at(
    now: Timestamp,
    failures: u32,
    (first, longest): (std::time::Duration, std::time::Duration),
    chance: f64,
) -> Timestamp {
    let doubled = first.saturating_mul(1 << failures.saturating_sub(1).min(20));
    now.plus(doubled.min(longest).mul_f64(0.5 + chance))
}
