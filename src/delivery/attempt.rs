//! Claimed → attempted: the call is made, and what follows is decided.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::claim::Claimed;
use super::grants::{Grants, Learning};
use super::permit::Permit;
use super::resolve::{OpenSecrets, Resolved};
use super::sign::{Signed, lacks_challenge};
use super::spans::{note_call, note_parts};
use super::withhold::withhold_secrets;
use super::{Halt, Pipeline};
use crate::auth::need::Need;
use crate::domain::decide::{Disposition, decide};
use crate::domain::delivery::DeliveryKey;
use crate::domain::outcome::{Attempt, AttemptOutcome, Phase};
use crate::domain::reason::Reason;
use crate::domain::request::OutboundRequest;
use crate::domain::retry_after;
use crate::domain::secret::SecretBytes;
use crate::domain::timestamp::Timestamp;
use crate::egress::client::Reply;
use crate::ports::deliveries::AttemptRecord;

/// An attempt with what was decided. The permit is held until the message is settled.
pub struct Attempted {
    /// What happened, and what follows.
    pub record: AttemptRecord,
    /// What the limits hold for it.
    pub permit: Permit,
}

/// What a response says beside its outcome.
#[derive(Default)]
struct Aside {
    challenges: Vec<String>,
    /// Nothing is left of the endpoint's own rate limit for so long.
    exhausted: Option<Duration>,
}

/// What is waited after each failure to write to a fence.
const RECORD_PAUSES: [Duration; 4] =
    [Duration::from_millis(50), Duration::from_millis(200), Duration::from_secs(1), Duration::ZERO];

impl Pipeline {
    /// Makes the call and records its outcome under the claim.
    pub(super) async fn attempt(
        &self,
        claimed: Claimed<'_>,
        stop: &CancellationToken,
    ) -> Result<Attempted, Halt> {
        let Claimed { signed, token, mut permit } = claimed;
        permit.begins();
        let mut stage = signed.resolved.decoded.trace.attempt();
        let (attempt, exhausted) = match self.make_calls(&signed, stop).await {
            Ok((attempt, aside)) => (attempt, aside.exhausted),
            Err(halt) => {
                // Nothing was written, or it was refused for good: nobody need wait for the claim, or
                // wonder what became of it.
                if let Some(token) = &token {
                    Box::pin(self.abandon(&signed.resolved.decoded.key, token)).await;
                }
                return Err(halt);
            }
        };
        self.tally.called(&attempt);
        note_call(&mut stage, &signed.request, &attempt);
        drop(stage);
        let policy = &signed.resolved.known.retry;
        let (now, chance) = (self.clock.now(), self.chance.fraction());
        self.tell(&signed.resolved.known, permit.ended(&attempt, now, self.chance.fraction()));
        let disposition = decide(&attempt.outcome, signed.resolved.standing(), policy, now, chance);
        let record = AttemptRecord { attempt, disposition };
        if let Some(recorder) = &self.recorder {
            recorder.record(&signed, &record);
        }
        if let Some(token) = token {
            let key = &signed.resolved.decoded.key;
            // Lost to another claimer after our lease ran out: what follows is theirs to do. But a
            // delivery that was made is done, whoever made it.
            let ours = Box::pin(self.record_outcome(key, &token, &record)).await;
            if !ours && record.disposition != Disposition::Done {
                return Err(Halt::Lost);
            }
        }
        self.learn(&signed.resolved.known, &record.attempt.outcome).await;
        if let Some(wait) = exhausted {
            Box::pin(self.pause(&signed.resolved.known, wait)).await;
        }
        Ok(Attempted { record, permit })
    }

    /// Makes the call; and once more, at once, if it was refused and a secret has changed since, or
    /// what was granted can be renewed. If nothing is new, the previous secret is tried, where the
    /// endpoint says so: a receiver that was told of a rotation may not have made it yet.
    async fn make_calls(
        &self,
        signed: &Signed<'_>,
        stop: &CancellationToken,
    ) -> Result<(Attempt, Aside), Halt> {
        let (refused, aside) = self
            .call(signed, &signed.resolved.secrets, &signed.request, signed.opens, stop)
            .await?;
        if signed.opens && refused.outcome.is_success() {
            // It carried no message, and what is not authenticated as configured is not sent.
            let why = format!(
                "the server asked for no authentication ({}), and the endpoint has a step that answers \
                 its challenge",
                refused.outcome
            );
            return Err(Halt::DeadLetter(Reason::AuthFailed, why));
        }
        if !is_refusal(&refused.outcome) {
            return Ok((refused, aside));
        }
        Box::pin(self.call_with_what_is_new(signed, (refused, aside), stop)).await
    }

    /// After a refusal.
    async fn call_with_what_is_new(
        &self,
        signed: &Signed<'_>,
        (refused, aside): (Attempt, Aside),
        stop: &CancellationToken,
    ) -> Result<(Attempt, Aside), Halt> {
        let secrets = self.changed_secrets(signed).await?;
        let is_new = secrets.is_some();
        let secrets = secrets.unwrap_or_else(|| signed.resolved.secrets.clone());
        let resolved = Resolved { secrets, ..signed.resolved.clone() };
        let (granted, challenges) = (&signed.grants, &aside.challenges);
        let grants = self.renewed_grants(&resolved, granted, challenges, Learning::Yes).await?;
        if !is_new && grants.is_none() {
            return self.fall_back(signed, &signed.grants, (refused, aside), stop).await;
        }
        let grants = grants.unwrap_or_else(|| signed.grants.clone());
        let again = self.call_again(signed, &resolved, &grants, stop).await?;
        match again {
            // A challenge has only now been answered; a new token may be as wrong as the old one.
            Some(called) if !is_new => self.fall_back(signed, &grants, called, stop).await,
            Some(called) => Ok(called),
            None => Ok((refused, aside)),
        }
    }

    /// Signs the call anew and makes it; `None` if that cannot be done. What cannot be applied leaves
    /// the refusal standing; a fault of ours does not make the old secret the endpoint's fault.
    async fn call_again(
        &self,
        signed: &Signed<'_>,
        resolved: &Resolved<'_>,
        grants: &Grants,
        stop: &CancellationToken,
    ) -> Result<Option<(Attempt, Aside)>, Halt> {
        if lacks_challenge(resolved, grants) {
            // The refusal brought none, and another call without the message would bring no other.
            return Ok(None);
        }
        match self.sign_again(resolved, grants) {
            Ok(request) => {
                self.call(signed, &resolved.secrets, &request, false, stop).await.map(Some)
            }
            Err(_) => {
                self.forget_challenges(resolved).await;
                Ok(None)
            }
        }
    }

    /// After a 401 with the current secrets: the call with the previous ones, where the endpoint says
    /// so and they still overlap; otherwise `refused` stands. What a token was made of is tried where
    /// the token is asked for.
    async fn fall_back(
        &self,
        signed: &Signed<'_>,
        grants: &Grants,
        refused: (Attempt, Aside),
        stop: &CancellationToken,
    ) -> Result<(Attempt, Aside), Halt> {
        let is_401 = matches!(refused.0.outcome, AttemptOutcome::Answered { status: 401, .. });
        let previous = signed.resolved.with_previous().filter(|_| is_401);
        let Some(previous) = previous.filter(shows_secrets) else { return Ok(refused) };
        let grants = self.with_next_challenges(&previous, grants).await;
        let Some(called) = self.call_again(signed, &previous, &grants, stop).await? else {
            return Ok(refused);
        };
        self.tally.fell_back(&signed.resolved.decoded.key, &called.0.outcome);
        Ok(called)
    }

    /// The secrets as they are now, if they are others than those that were refused. They are read
    /// past the cache, at most once in a while; another delivery may have read them just before.
    async fn changed_secrets(&self, signed: &Signed<'_>) -> Result<Option<OpenSecrets>, Halt> {
        let known = &signed.resolved.known;
        for (id, _) in &known.secrets {
            // Our own trouble in finding out changes nothing about the refusal.
            let _ = self.vault.reread(&known.endpoint.customer_id, id).await;
        }
        match self.open_secrets(known, self.clock.now(), None).await {
            Ok(secrets) if !are_same(&secrets, &signed.resolved.secrets) => Ok(Some(secrets)),
            Err(Halt::Ours(error)) => Err(Halt::Ours(error)),
            // What is wrong with the new secret shows at the next attempt.
            Ok(_) | Err(_) => Ok(None),
        }
    }

    /// Gives a claim back. If that fails for long, its lease runs out, and the next claimer is told of
    /// a lost one.
    async fn abandon(&self, key: &DeliveryKey, token: &str) {
        for pause in RECORD_PAUSES {
            match self.deliveries.abandon(key, token).await {
                Ok(()) => return,
                Err(error) => self.tally.fault(&error, key.job_id.as_str()),
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Records an outcome; whether the claim was still ours. The call was made, so a store that
    /// stays out of order is no reason to make it again: what follows is done without the record,
    /// and the fence of the next attempt keeps out whoever claims this one after us.
    async fn record_outcome(&self, key: &DeliveryKey, token: &str, record: &AttemptRecord) -> bool {
        for pause in RECORD_PAUSES {
            match self.deliveries.record(key, token, record).await {
                Ok(ours) => return ours,
                Err(error) => self.tally.fault(&error, key.job_id.as_str()),
            }
            tokio::time::sleep(pause).await;
        }
        true
    }

    async fn call(
        &self,
        signed: &Signed<'_>,
        secrets: &OpenSecrets,
        request: &OutboundRequest,
        opens: bool,
        stop: &CancellationToken,
    ) -> Result<(Attempt, Aside), Halt> {
        let endpoint = &signed.resolved.known.endpoint;
        let (at, started) = (self.clock.now(), Instant::now());
        let reply = self.client.send(request, started + endpoint.timeout(), stop).await?;
        let number = signed.resolved.standing().attempt;
        if let Some(timeline) = &reply.timeline {
            let trace = &signed.resolved.decoded.trace;
            note_parts(trace, started, timeline, Instant::now());
        }
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (now, cap) = (self.clock.now(), signed.resolved.known.retry.max_delay);
        let aside = aside(&reply, now, cap);
        let address = reply.address.map(|address| address.to_string());
        let (mut outcome, said) = outcome(reply, now, cap);
        if let AttemptOutcome::Failed { phase } = &mut outcome
            && opens
            && phase.is_ambiguous()
        {
            // Whatever became of it, it carried no message.
            *phase = Phase::BeforeWrite;
        }
        let detail = withhold_secrets(said, secrets, request);
        Ok((Attempt { number, at, duration_ms, address, outcome, detail }, aside))
    }
}

fn are_same(some: &OpenSecrets, others: &OpenSecrets) -> bool {
    some.iter().all(|(id, values)| {
        let others = others.get(id).map_or(&[][..], Vec::as_slice);
        values.iter().map(SecretBytes::expose).eq(others.iter().map(SecretBytes::expose))
    })
}

/// Whether another value of a secret makes another request: some go into tokens alone.
fn shows_secrets(resolved: &Resolved<'_>) -> bool {
    let known = &resolved.known;
    let is_shown = known
        .chain
        .steps()
        .iter()
        .any(|step| !matches!(step.need(), Some(Need::Token(_))) && !step.secrets().is_empty());
    is_shown || known.endpoint.secrets().next().is_some()
}

pub fn is_refusal(outcome: &AttemptOutcome) -> bool {
    matches!(outcome, AttemptOutcome::Answered { status: 401 | 403 | 407, .. })
}

/// What a response says beside its outcome. A response that is no success says how long to wait in
/// its outcome.
fn aside(reply: &Reply, now: Timestamp, cap: Duration) -> Aside {
    let Ok(answer) = &reply.result else { return Aside::default() };
    let is_success = (200..=299).contains(&answer.status);
    let exhausted = answer.rate_limit.wait(now, cap).filter(|_| is_success);
    Aside { challenges: answer.challenges.clone(), exhausted }
}

/// The outcome, and what was said beside it.
pub fn outcome(reply: Reply, now: Timestamp, cap: Duration) -> (AttemptOutcome, String) {
    match reply.result {
        Ok(answer) => {
            let asked = answer.retry_after.as_deref();
            // `Retry-After` goes first where both are there.
            let is_success = (200..=299).contains(&answer.status);
            let exhausted = answer.rate_limit.wait(now, cap).filter(|_| !is_success);
            let wait = asked.and_then(|value| retry_after::parse(value, now, cap)).or(exhausted);
            let never_again = asked.is_some_and(retry_after::is_negative);
            let retry_after_ms =
                wait.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
            let outcome =
                AttemptOutcome::Answered { status: answer.status, retry_after_ms, never_again };
            let kept = if outcome.is_success() { &[][..] } else { &answer.excerpt };
            let said = String::from_utf8_lossy(kept).into_owned();
            (outcome, said)
        }
        Err(failure) => (AttemptOutcome::Failed { phase: failure.phase }, failure.detail),
    }
}
