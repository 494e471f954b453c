//! Signed → claimed: this worker, and no other, makes the attempt.

use std::time::Duration;

use super::grants::LONGEST_RENEWAL;
use super::permit::Permit;
use super::sign::Signed;
use super::{Fencing, Halt, Pipeline};
use crate::auth::need::Need;
use crate::domain::reason::Reason;
use crate::domain::wait::Wait;
use crate::ports::deliveries::{Claim, ClaimRequest};

/// A job whose attempt is this worker's to make.
pub struct Claimed<'d> {
    /// The job with its request.
    pub signed: Box<Signed<'d>>,
    /// The name of the claim; `None` where the queue's lease is enough.
    pub token: Option<String>,
    /// What the limits hold for it.
    pub permit: Permit,
}

/// Longer than a store may take to answer.
const MARGIN: Duration = Duration::from_secs(15);

impl Pipeline {
    /// Claims the attempt, where that is needed.
    pub(super) async fn claim<'d>(
        &self,
        signed: Box<Signed<'d>>,
        permit: Permit,
    ) -> Result<Claimed<'d>, Halt> {
        let (decoded, endpoint) = (signed.resolved.decoded, &signed.resolved.known.endpoint);
        let attempt = signed.resolved.standing().attempt;
        let (state, message) = (&decoded.state, decoded.message);
        let seen_before = attempt > 1
            || state.round > 1
            || state.hops > 0
            || message.hops > 0
            || message.moved_back.is_some()
            || message.receive_count > 1
            // A call that a lost worker still makes would come beside the next one's.
            || message.group.is_some()
            // Another receipt of its parent makes a copy.
            || state.child.is_some();
        let careful = !signed.resolved.known.retry.retry_ambiguous;
        if self.fencing == Fencing::Retries && !seen_before && !careful {
            return Ok(Claimed { signed, token: None, permit });
        }
        let needs = signed.resolved.known.chain.needs();
        let tokens = needs.filter(|need| matches!(need, Some(Need::Token(_)))).count();
        let tokens = u32::try_from(tokens).unwrap_or(u32::MAX);
        let token = self.chance.token();
        let request = ClaimRequest {
            key: decoded.key.clone(),
            attempt,
            token: token.clone(),
            now: self.clock.now(),
            // The call, once more after a refusal with a new secret or token, and what lies between:
            // the claim itself, reading the secret, fetching the tokens, recording the outcome.
            lease: endpoint.timeout() * 2 + LONGEST_RENEWAL * tokens + MARGIN,
        };
        match self.deliveries.claim(request).await? {
            Claim::Granted { after_lost_claimer: true } if careful => {
                let problem =
                    "an earlier worker may have made this call and left no outcome".to_owned();
                Err(Halt::DeadLetter(Reason::Ambiguous, problem))
            }
            Claim::Granted { .. } => Ok(Claimed { signed, token: Some(token), permit }),
            Claim::Held(until) => Err(Halt::Park(until, Wait::Claimed)),
            Claim::Settled(record) => Err(Halt::Finish(record)),
            Claim::Superseded => Err(Halt::Leftover),
        }
    }
}
