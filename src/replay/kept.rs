//! Deliveries whose jobs are kept: one is sent again, or all failures that have no dead letter.
//!
//! Only workers may open what is kept, so here nothing but an order is sent. It says which delivery, and
//! a worker puts the job in its place. An order that is given twice makes two copies of one round at
//! worst, whose fence lets one of them through.

use futures_util::future::try_join_all;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Error, Replayer, Result, run};
use crate::domain::delivery_record::{DeliveryRecord, DeliveryStatus};
use crate::domain::kept_body::BodyFate;
use crate::domain::recovery::KeptPlace;
use crate::domain::replay::Replay;
use crate::domain::resend::{ResendLine, ResendOrder, ResendOutcome};
use crate::ports;
use crate::ports::queue::{NewMessage, Redrive};

/// Recorded deliveries looked up at once.
const LOOKED_UP: usize = 50;

/// How a delivery is sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resent {
    /// Its dead letter is back in the queue.
    Replayed,
    /// A worker was ordered to send the job that is kept.
    Ordered,
}

impl Resent {
    /// The stable name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Replayed => "replayed",
            Self::Ordered => "ordered",
        }
    }
}

impl Replayer {
    /// Sends a recorded delivery again: from its dead letter, if it has one, or from its kept job.
    ///
    /// # Errors
    /// If it is not recorded, is under way, was sent again already, or has no job; or a store fails.
    pub async fn resend(&self, record: &DeliveryRecord, who: &str) -> Result<Resent> {
        if self.replay_letter(record).await? {
            self.note(record, who, ResendOutcome::Sent).await?;
            return Ok(Resent::Replayed);
        }
        let (id, next) = (&record.id, record.next_round_id());
        match (record.status, record.body) {
            (DeliveryStatus::Retrying, _) => {
                let problem = format!("{id} is under way: it is tried again by itself");
                return Err(Error::Refused(problem));
            }
            (_, Some(BodyFate::Kept)) => {}
            (_, Some(fate)) => {
                let problem = format!("the job of {id} is not kept: {}", fate.advice());
                return Err(Error::Refused(problem));
            }
            (_, None) => {
                let problem = format!(
                    "{id} is no dead letter (it is {}), and its job is not kept \
                     (`keep_bodies` under [deliveries]): enqueue it again",
                    record.status.name()
                );
                return Err(Error::Refused(problem));
            }
        }
        if self.records.header(&next, self.clock.now()).await?.is_some() {
            let problem = format!("{id} was sent again already: the next round is {next}");
            return Err(Error::Refused(problem));
        }
        self.note(record, who, ResendOutcome::Ordered).await?;
        self.queue.send(vec![order(record, who)?]).await?;
        Ok(Resent::Ordered)
    }

    /// Moves the dead letter of a delivery back, if it has one that is found.
    async fn replay_letter(&self, record: &DeliveryRecord) -> Result<bool> {
        let letter = self.deliveries.get_dead_letter(&record.dead_letter_id()).await?;
        let Some(letter) = letter else { return Ok(false) };
        let state = letter.replayed(self.clock.now());
        let state = state.map(|state| serde_json::to_vec(&state)).transpose().map_err(unwritten)?;
        let dead_letter_id = letter.id.clone();
        let redrive = Redrive { dead_letter_id, state: state.map(Into::into) };
        let sought = self.queue.redrive(vec![redrive]).await?;
        if !sought.unknown.is_empty() {
            if record.body == Some(BodyFate::Kept) {
                return Ok(false);
            }
            let problem = format!(
                "the job of {} was not found: somebody else may have it in hand, so try again in a \
                 few minutes; what the queue has kept too long is gone",
                letter.id
            );
            return Err(Error::Refused(problem));
        }
        // The message is back in the queue, or gone: only now may the index forget it.
        self.deliveries.remove_dead_letters(&[letter]).await?;
        Ok(!sought.found.is_empty())
    }

    async fn note(&self, record: &DeliveryRecord, who: &str, what: ResendOutcome) -> Result<()> {
        let (id, at) = (&record.id, self.clock.now());
        let line = ResendLine { at, who: who.to_owned(), what };
        self.records.log_resend(id, &line, at.plus(self.retention)).await?;
        tracing::info!(event = "resend", delivery = %id, who, what = what.name());
        Ok(())
    }

    /// Orders a page of the failures whose jobs are kept; `false` if there is nothing left to look at.
    pub(super) async fn step_kept(
        &self,
        replay: &mut Replay,
        token: &str,
        stop: &CancellationToken,
    ) -> Result<bool> {
        let after = match &replay.kept {
            KeptPlace::Start => None,
            KeptPlace::After(place) => Some(place.clone()),
            KeptPlace::End => return Ok(false),
        };
        let Some(filter) = replay.request.recorded() else { return Ok(false) };
        let begun = Instant::now();
        let (size, now) = (run::page_size(replay), self.clock.now());
        let page = self.records.list(&filter, after.as_deref(), size, now).await?;
        let wanted = page.records.iter();
        let wanted = wanted.filter(|record| replay.request.recovers(record, replay.created_at));
        let wanted = self.without_a_letter(wanted.collect()).await?;
        let orders: Result<Vec<NewMessage>> =
            wanted.iter().map(|record| order(record, &replay.who)).collect();
        self.queue.send(orders?).await?;
        replay.count_resent(wanted.len() as u64);
        replay.kept = page.next.map_or(KeptPlace::End, KeptPlace::After);
        self.save(replay, token).await?;
        run::keep_pace(replay, begun, wanted.len(), stop).await;
        Ok(true)
    }

    /// Those that have no dead letter, which is replayed, and were not sent again.
    async fn without_a_letter<'r>(
        &self,
        records: Vec<&'r DeliveryRecord>,
    ) -> Result<Vec<&'r DeliveryRecord>> {
        let mut without = Vec::with_capacity(records.len());
        for some in records.chunks(LOOKED_UP) {
            let found = try_join_all(some.iter().map(async |record| {
                let letter = self.deliveries.get_dead_letter(&record.dead_letter_id()).await?;
                if letter.is_some() {
                    return Ok::<bool, ports::Error>(true);
                }
                let next = self.records.header(&record.next_round_id(), self.clock.now()).await?;
                Ok(next.is_some())
            }))
            .await?;
            let left = some.iter().zip(found).filter(|(_, found)| !found);
            without.extend(left.map(|(record, _)| *record));
        }
        Ok(without)
    }
}

/// The message that orders a worker to send a delivery again. SQS takes none without a body.
fn order(record: &DeliveryRecord, who: &str) -> Result<NewMessage> {
    let order = ResendOrder::new(record.id.clone(), who);
    let state = order.to_state().map_err(unwritten)?;
    let (body, customer) = (record.id.clone().into(), Some(record.customer_id.clone()));
    Ok(NewMessage { body, state: Some(state.into()), customer, ..NewMessage::default() })
}

fn unwritten(error: serde_json::Error) -> Error {
    Error::Ours(ports::Error::new("replay.state", error))
}
