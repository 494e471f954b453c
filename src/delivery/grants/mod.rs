//! What auth steps need of others: access tokens, and servers' challenges. Obtained before a call,
//! kept, and renewed when the endpoint refuses them.
//!
//! What goes wrong here costs the delivery no attempt: the endpoint has not been called.

mod challenges;
mod slot;
mod token_server;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

pub use challenges::Challenges;
pub use token_server::Egress;
use tokens::TokenError;
pub use tokens::{LONGEST_RENEWAL, Tokens};

use super::endpoint_book::KnownEndpoint;
use super::resolve::{Resolved, ours};
use super::sign::call_of;
use super::{Halt, Pipeline};
use crate::auth::need::{Grant, Need};
use crate::auth::oauth2_client_credentials::{Token, TokenRequest};
use crate::domain::aws_role::{AwsRole, RolePolicy};
use crate::domain::endpoint::{Health, MAX_AUTH_STEPS};
use crate::domain::ids::{CustomerId, EndpointId};
use crate::domain::reason::Reason;
use crate::domain::timestamp::Timestamp;
use crate::domain::wait::Wait;
use crate::ports::AwsRoles;

/// One auth step of one version of an endpoint: what a grant is kept under.
pub type StepKey = (CustomerId, EndpointId, u64, usize);

/// The AWS roles that endpoints may be called with, and who gives their credentials.
pub struct Roles {
    /// Which may be used where.
    pub policy: RolePolicy,
    /// Gives credentials; `None` where there is nobody to ask.
    pub aws: Option<Arc<dyn AwsRoles>>,
}

/// What each step was granted, in order.
pub type Grants = Vec<Option<Grant>>;

/// Whether what is seen changes what is known of the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learning {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// It does not, and nobody waits: what is wrong is told at once.
    Told,
}

/// The first and the longest wait after failures in a row.
type Bounds = (Duration, Duration);

impl Pipeline {
    /// Obtains what the endpoint's steps need. A step that needs the server's challenge is granted
    /// none until there is one: the first call asks for it.
    pub(super) async fn grants(
        &self,
        resolved: &Resolved<'_>,
        learning: Learning,
    ) -> Result<Grants, Halt> {
        let known = &resolved.known;
        let deauthorized = matches!(known.record.health, Health::Deauthorized { .. });
        if !deauthorized && known.chain.needs().all(|need| need.is_none()) {
            return Ok(known.chain.needs().map(|_| None).collect());
        }
        Box::pin(self.obtain(resolved, learning)).await
    }

    async fn obtain(&self, resolved: &Resolved<'_>, learning: Learning) -> Result<Grants, Halt> {
        let known = &resolved.known;
        let mut grants = Vec::new();
        for (index, need) in resolved.known.chain.needs().enumerate() {
            let key = step_key(resolved, index);
            grants.push(match need {
                None => None,
                Some(Need::Token(request)) => {
                    Some(self.token(&key, request, resolved, learning).await?)
                }
                Some(Need::AwsCredentials(role)) => Some(self.credentials(role, resolved).await?),
                Some(Need::Challenge) => self.challenges.next(&key).await.map(Grant::Challenge),
            });
        }
        let deauthorized = matches!(known.record.health, Health::Deauthorized { .. });
        if deauthorized && learning == Learning::Yes && self.is_still(known).await {
            self.set_health(known, &Health::Active).await;
        }
        Ok(grants)
    }

    async fn token(
        &self,
        key: &StepKey,
        request: &Arc<TokenRequest>,
        resolved: &Resolved<'_>,
        learning: Learning,
    ) -> Result<Grant, Halt> {
        let nonce = || self.chance.token();
        let call = call_of(resolved, &nonce, self.clock.now());
        match self.tokens.get(key, request, &call, self.egress()).await {
            Ok(token) => Ok(Grant::Token(token)),
            Err(error) => match self.previous_token(key, request, resolved, &error, None).await {
                Some(token) => Ok(Grant::Token(token)),
                None => Err(self.without_token(resolved, error, learning).await),
            },
        }
    }

    /// The token that the previous client secret gives, where the token server refuses the current one
    /// and the endpoint says that the previous one may be used; other than `refused`.
    async fn previous_token(
        &self,
        (customer, endpoint, version, index): &StepKey,
        request: &Arc<TokenRequest>,
        resolved: &Resolved<'_>,
        error: &TokenError,
        refused: Option<&Token>,
    ) -> Option<Token> {
        let previous = match error {
            TokenError::Refused { .. } => resolved.with_previous()?,
            TokenError::Invalid(_) | TokenError::Unavailable { .. } | TokenError::Ours(_) => {
                return None;
            }
        };
        // Kept apart from what the current secret gives: it would take its place, and be asked for
        // again with every delivery.
        let key = (customer.clone(), endpoint.clone(), *version, *index + MAX_AUTH_STEPS);
        let nonce = || self.chance.token();
        let call = call_of(&previous, &nonce, self.clock.now());
        match refused {
            None => self.tokens.get(&key, request, &call, self.egress()).await.ok(),
            Some(refused) => {
                self.tokens.renew(&key, request, refused, &call, self.egress()).await.ok()?
            }
        }
    }

    /// The credentials of a role, if the operator allows it here.
    async fn credentials(&self, role: &AwsRole, resolved: &Resolved<'_>) -> Result<Grant, Halt> {
        let endpoint = &resolved.known.endpoint;
        let refuse = |why: &str| Halt::DeadLetter(Reason::AuthFailed, why.to_owned());
        let allowed = self.roles.policy.check(role, endpoint.url.origin());
        allowed.map_err(|e| refuse(&e.to_string()))?;
        let aws = self.roles.aws.as_ref().ok_or_else(|| {
            refuse("AWS roles can be used only by a program built with the cargo feature `aws`")
        })?;
        match aws.credentials(role, &endpoint.customer_id).await? {
            Ok(credentials) => Ok(Grant::AwsCredentials(credentials)),
            Err(refused) => Err(refuse(&refused.to_string())),
        }
    }

    /// Renews what the endpoint has refused; `None` if nothing is new. `challenges` came with the
    /// refusal.
    ///
    /// # Errors
    /// If a token cannot be renewed: the endpoint is not to blame for that.
    pub(super) async fn renewed_grants(
        &self,
        resolved: &Resolved<'_>,
        refused: &Grants,
        challenges: &[String],
        learning: Learning,
    ) -> Result<Option<Grants>, Halt> {
        let nonce = || self.chance.token();
        let mut grants = refused.clone();
        let mut is_new = false;
        for (index, need) in resolved.known.chain.needs().enumerate() {
            let key = step_key(resolved, index);
            let renewed = match (need, refused.get(index).and_then(Option::as_ref)) {
                (Some(Need::Token(request)), Some(Grant::Token(token))) => {
                    let call = call_of(resolved, &nonce, self.clock.now());
                    let renewed = self.tokens.renew(&key, request, token, &call, self.egress());
                    match renewed.await {
                        Ok(renewed) => renewed.map(Grant::Token),
                        Err(error) => {
                            let kept = Some(token);
                            let previous =
                                self.previous_token(&key, request, resolved, &error, kept).await;
                            let Some(previous) = previous else {
                                return Err(self.without_token(resolved, error, learning).await);
                            };
                            Some(Grant::Token(previous))
                        }
                    }
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
        Ok(is_new.then_some(grants))
    }

    /// The same grants, with challenges that can be answered once more: no answer may be used twice.
    pub(super) async fn with_next_challenges(
        &self,
        resolved: &Resolved<'_>,
        grants: &Grants,
    ) -> Grants {
        let mut next = grants.clone();
        for (index, need) in resolved.known.chain.needs().enumerate() {
            if matches!(need, Some(Need::Challenge)) {
                let challenge = self.challenges.next(&step_key(resolved, index)).await;
                next[index] = challenge.map(Grant::Challenge);
            }
        }
        next
    }

    /// Forgets the challenges of an endpoint: they cannot be answered, and the next may be others.
    pub(super) async fn forget_challenges(&self, resolved: &Resolved<'_>) {
        for index in 0..resolved.known.chain.steps().len() {
            self.challenges.forget(&step_key(resolved, index)).await;
        }
    }

    /// What follows from having no token.
    async fn without_token(
        &self,
        resolved: &Resolved<'_>,
        error: TokenError,
        learning: Learning,
    ) -> Halt {
        let now = self.clock.now();
        match error {
            TokenError::Ours(error) => ours(&error),
            TokenError::Invalid(error) => Halt::DeadLetter(Reason::AuthFailed, error.to_string()),
            TokenError::Unavailable { why, .. } if learning == Learning::Told => {
                Halt::DeadLetter(Reason::TokenUnavailable, why)
            }
            TokenError::Refused { why, .. } if learning == Learning::Told => {
                Halt::DeadLetter(Reason::EndpointDeauthorized, why)
            }
            TokenError::Unavailable { until, why } => {
                let (what, reason) = (Wait::NoAccessToken, Reason::TokenUnavailable);
                resolved.wait_within(now, until, what, reason, &why)
            }
            TokenError::Refused { until, why, is_news } => {
                if is_news && learning == Learning::Yes {
                    let health = Health::Deauthorized { why: why.clone(), probe_at: until };
                    self.set_health(&resolved.known, &health).await;
                }
                let (what, reason) = (Wait::EndpointDeauthorized, Reason::EndpointDeauthorized);
                resolved.wait_within(now, until, what, reason, &why)
            }
        }
    }

    /// Whether the endpoint's health is what was read of it: others may have learnt more since.
    async fn is_still(&self, known: &KnownEndpoint) -> bool {
        let (customer, endpoint) = (&known.endpoint.customer_id, &known.endpoint.endpoint_id);
        let now = self.health.get(customer, endpoint, known.version).await;
        now.is_ok_and(|now| now == known.record.health)
    }

    fn egress(&self) -> Egress<'_> {
        Egress {
            client: &self.client,
            clock: &*self.clock,
            chance: &*self.chance,
            tally: &self.tally,
        }
    }
}

fn step_key(resolved: &Resolved<'_>, index: usize) -> StepKey {
    let (version, endpoint) = (resolved.known.version, &resolved.known.endpoint);
    (endpoint.customer_id.clone(), endpoint.endpoint_id.clone(), version, index)
}

/// When something that failed `failures` times in a row is tried again: twice as long after each
/// further failure, within the bounds, and by chance up to half as much less or more, so that not all
/// come at once. `chance` is in `0.0..1.0`.
fn again_at(now: Timestamp, failures: u32, (first, longest): Bounds, chance: f64) -> Timestamp {
    let doubled = first.saturating_mul(1 << failures.saturating_sub(1).min(20)).min(longest);
    now.plus(doubled.mul_f64(0.5 + chance).clamp(first, longest))
}
