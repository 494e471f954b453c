//! Attempted → settled: what was decided is done, durably, and the message leaves the worker.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use super::decode::{Decoded, too_new};
use super::{FAULT_DELAY, Halt, Pipeline};
use crate::domain::asked::Asked;
use crate::domain::dead_letter::{DeadLetter, job_sha256};
use crate::domain::decide::Disposition;
use crate::domain::delivery::{DeliveryState, dead_letter_id_of_message};
use crate::domain::envelope;
use crate::domain::job::Undecodable;
use crate::domain::operational_event::{Fact, OperationalEvent};
use crate::domain::reason::Reason;
use crate::domain::timestamp::Timestamp;
use crate::domain::traces::Traces;
use crate::ports::deliveries::AttemptRecord;
use crate::ports::queue::{NewMessage, Received};
use crate::ports::{Error, Result};

/// About how long a message waits that a newer worker has to take.
const NEWER_DELAY: Duration = Duration::from_secs(60);

impl Pipeline {
    /// Settles a message.
    pub(super) async fn settle(
        &self,
        decoded: &Decoded<'_>,
        result: std::result::Result<AttemptRecord, Halt>,
    ) -> Result<()> {
        match result {
            Ok(record) => {
                let age = self.clock.now().since(decoded.state.accepted_at);
                self.tally.attempted(&decoded.key, &record.attempt, record.disposition, age);
                self.follow(decoded, record).await
            }
            Err(halt) => Box::pin(self.settle_halted(decoded, halt)).await,
        }
    }

    async fn settle_halted(&self, decoded: &Decoded<'_>, halt: Halt) -> Result<()> {
        let state = decoded.state.clone();
        match halt {
            // Whoever made it has counted it.
            Halt::Finish(record) => self.follow(decoded, record).await,
            Halt::Leftover => {
                self.tally.leftover(&decoded.key);
                self.queue.acknowledge(&decoded.message.handle).await
            }
            Halt::Lost => {
                self.tally.leftover(&decoded.key);
                self.queue.release(&decoded.message.handle, Duration::ZERO).await
            }
            Halt::DeadLetter(reason, why) => self.give_up(decoded, state, reason, why).await,
            Halt::Park(until, why) => {
                self.tally.parked(&decoded.key, until, why);
                self.put_back(decoded.message, &state.parked(), until).await
            }
            Halt::Limited(until, why) => {
                self.tally.parked(&decoded.key, until, why);
                self.put_back(decoded.message, &state.limited(), until).await
            }
            Halt::Ours(error) => {
                self.tally.fault(&error, &decoded.message.message_id);
                let Some((until, delay)) = self.after_fault(&state, decoded.job.expires_at) else {
                    let why = format!("it could not be sent before: {error}");
                    return self.give_up(decoded, state, Reason::Expired, why).await;
                };
                if self.put_back(decoded.message, &state.faulted(), until).await.is_err() {
                    self.queue.release(&decoded.message.handle, delay).await?;
                }
                Ok(())
            }
        }
    }

    async fn follow(&self, decoded: &Decoded<'_>, record: AttemptRecord) -> Result<()> {
        let AttemptRecord { attempt, disposition } = record;
        let state = |attempt| decoded.state.clone().after(attempt);
        match disposition {
            Disposition::Done => self.queue.acknowledge(&decoded.message.handle).await,
            Disposition::RetryAt(at) => self.put_back(decoded.message, &state(attempt), at).await,
            Disposition::DeadLetter(reason) => {
                let why = format!("attempt {}: {}", attempt.number, attempt.outcome);
                Box::pin(self.give_up(decoded, state(attempt), reason, why)).await
            }
        }
    }

    /// Until when a job waits after a fault of ours, and how long that is: longer with every time, for
    /// what does not pass must not keep the queue busy. `None` once the job has expired.
    pub(super) fn after_fault(
        &self,
        state: &DeliveryState,
        expiry: Option<Timestamp>,
    ) -> Option<(Timestamp, Duration)> {
        let ceiling = FAULT_DELAY.saturating_mul(1 << state.faults.min(6));
        let delay = ceiling.mul_f64(0.5 + self.chance.fraction());
        let now = self.clock.now();
        if expiry.is_some_and(|expiry| expiry <= now) {
            return None;
        }
        let until = now.plus(delay);
        Some((expiry.map_or(until, |expiry| until.min(expiry)), delay))
    }

    /// Puts a message back with its new state.
    pub(super) async fn put_back(
        &self,
        message: &Received,
        state: &DeliveryState,
        until: Timestamp,
    ) -> Result<()> {
        let next = NewMessage {
            body: message.body.clone(),
            state: Some(encode(state)?),
            not_before: Some(until),
            ..NewMessage::default()
        };
        self.queue.replace(&message.handle, next).await
    }

    async fn give_up(
        &self,
        decoded: &Decoded<'_>,
        state: DeliveryState,
        reason: Reason,
        why: String,
    ) -> Result<()> {
        let key = &decoded.key;
        let (job_size, job_sha256) = job_facts(decoded.message);
        let mut letter = DeadLetter {
            id: key.dead_letter_id(),
            message_id: decoded.message.message_id.clone(),
            customer_id: Some(key.customer_id.clone()),
            endpoint_id: Some(key.endpoint_id.clone()),
            job_id: Some(key.job_id.clone()),
            child: state.child.clone(),
            event_type: decoded.job.event_type.clone(),
            round: state.round,
            reason,
            message: format!("{why}; {}", reason.advice()),
            accepted_at: state.accepted_at,
            dead_at: self.clock.now(),
            attempts: state.attempt,
            history: state.history.clone(),
            job_size,
            job_sha256,
            attributes: BTreeMap::new(),
        };
        // An endpoint that cannot be read has no profile that could say more.
        if let Ok(known) = self.endpoints.find(&key.customer_id, &key.endpoint_id, None).await {
            letter.attributes = known.endpoint.dead_letter_attributes(&letter);
        }
        let exhausted = exhausted(&letter, decoded);
        self.bury(decoded.message, letter, Some(encode(&state)?)).await?;
        if let Some(event) = exhausted {
            self.events.tell(event);
        }
        Ok(())
    }

    /// Settles a message that is no job.
    pub(super) async fn settle_undecodable(
        &self,
        message: &Received,
        why: Undecodable,
    ) -> Result<()> {
        let letter = self.letter_of_message(message, why.reason, &why.error.to_string());
        self.bury(message, letter, message.state.clone()).await
    }

    /// Gives back a message that only a newer worker understands, as it came. Whoever deploys has to
    /// know that there is none, or that an old one is left.
    pub(super) async fn leave_to_newer(
        &self,
        message: &Received,
        what: &str,
        version: u64,
    ) -> Result<()> {
        self.tally.fault(&too_new(what, version), &message.message_id);
        let delay = NEWER_DELAY.mul_f64(0.5 + self.chance.fraction());
        self.queue.release(&message.handle, delay).await
    }

    /// Puts a dead letter that the queue made by itself into the index, and then gives it the id by
    /// which it is found. Between the two it is a stray still, and found as one again.
    pub async fn index_stray(&self, message: &Received) -> Result<()> {
        match message.state.as_deref().and_then(Asked::of) {
            // A replay would make the call that a dry run promised not to make, or a test long after.
            Some(Asked::DryRun(_) | Asked::TestCall(_)) => {
                return self.queue.acknowledge(&message.handle).await;
            }
            Some(Asked::Resend(order)) => return self.give_up_order(message, &order).await,
            None => {}
        }
        let why = "received too many times without being settled; the queue gave it up";
        let mut letter = self.letter_of_message(message, Reason::CrashLoop, why);
        // A job without an id of its own has its message's: a replay goes on with the same.
        let own = || {
            let job = envelope::read(&message.body, &self.envelopes).ok()?;
            job.id.or_else(|| message.message_id.parse().ok())
        };
        letter.job_id = letter.job_id.or_else(own);
        let first = |id| DeliveryState::first(id, letter.accepted_at);
        let state = match (&message.state, letter.job_id.clone().map(first)) {
            (Some(state), _) => Some(state.clone()),
            (None, Some(first)) => Some(encode(&first)?),
            (None, None) => None,
        };
        self.bury(message, letter, state).await
    }

    /// The index record of a message whose delivery may be unknown.
    fn letter_of_message(&self, message: &Received, reason: Reason, why: &str) -> DeadLetter {
        // What a crash loop interrupted may have a state; another round must not begin at one again.
        let state: Option<DeliveryState> =
            message.state.as_ref().and_then(|state| serde_json::from_slice(state).ok());
        let round = state.as_ref().map_or(1, |state| state.round);
        let child = state.as_ref().and_then(|state| state.child.clone());
        let traces = Traces::of(&message.body);
        let endpoint_id = child.as_ref().map(|child| child.endpoint_id.clone());
        let (job_size, job_sha256) = job_facts(message);
        DeadLetter {
            id: dead_letter_id_of_message(&message.message_id, round),
            message_id: message.message_id.clone(),
            customer_id: traces.customer_id,
            endpoint_id: endpoint_id.or(traces.endpoint_id),
            job_id: state.as_ref().map(|state| state.job_id.clone()).or(traces.job_id),
            child,
            event_type: traces.event_type,
            round,
            reason,
            message: format!("{why}; {}", reason.advice()),
            accepted_at: state.as_ref().map_or(message.sent_at, |state| state.accepted_at),
            dead_at: self.clock.now(),
            attempts: state.as_ref().map_or(0, |state| state.attempt),
            history: state.map_or_else(Vec::new, |state| state.history),
            job_size,
            job_sha256,
            attributes: BTreeMap::new(),
        }
    }

    /// The index first: a dead letter that nobody can find would be lost.
    pub(super) async fn bury(
        &self,
        message: &Received,
        letter: DeadLetter,
        state: Option<Bytes>,
    ) -> Result<()> {
        self.deliveries.put_dead_letter(&letter).await?;
        self.queue.dead_letter(&message.handle, &letter, state).await?;
        self.tally.dead_lettered(&letter);
        Ok(())
    }

    /// Takes a dead letter out of the index that was moved back behind the index's back. If it has
    /// died again since, its record stays.
    pub(super) async fn forget_dead_letter(&self, id: &str, moved_at: Timestamp) -> Result<()> {
        match self.deliveries.get_dead_letter(id).await? {
            Some(letter) if letter.dead_at <= moved_at => {
                self.deliveries.remove_dead_letters(&[letter]).await
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// What the operator is told of a delivery whose attempts or time were over. Other reasons name something
/// to be mended, and the log tells of all.
fn exhausted(letter: &DeadLetter, decoded: &Decoded<'_>) -> Option<OperationalEvent> {
    if !matches!(letter.reason, Reason::AttemptsExhausted | Reason::TooOld) {
        return None;
    }
    let key = &decoded.key;
    let fact = Fact::DeliveryExhausted {
        endpoint_id: key.endpoint_id.clone(),
        job_id: key.job_id.clone(),
        dead_letter_id: letter.id.clone(),
        reason: letter.reason,
        attempts: letter.attempts,
    };
    Some(OperationalEvent { at: letter.dead_at, customer_id: key.customer_id.clone(), fact })
}

/// What a dead letter keeps of a message's bytes: how many they were, and their hash.
pub fn job_facts(message: &Received) -> (usize, String) {
    (message.body.len(), job_sha256(&message.body))
}

/// A state as it travels.
pub fn encode(state: &DeliveryState) -> Result<Bytes> {
    serde_json::to_vec(state).map(Bytes::from).map_err(|e| Error::new("delivery.state", e))
}
