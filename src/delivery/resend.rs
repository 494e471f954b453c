//! Carries out an order to send a delivery again: its kept job is opened, and takes the order's place in
//! the queue as the delivery's next round.
//!
//! Whoever dies on the way leaves the order, which comes back. All copies of a round share one fence, so
//! an order that is carried out twice makes no second call.

use bytes::Bytes;

use super::settle::encode;
use super::{Pipeline, RESEND_REST};
use crate::domain::resend::{ResendLine, ResendOrder, ResendOutcome};
use crate::ports::queue::{NewMessage, Received};
use crate::ports::{Error, Result};
use crate::vault::BodyError;

/// The order cannot be carried out, now or ever.
enum Failed {
    /// It never will be.
    For(ResendOutcome, String),
    /// Our own fault: it is tried again.
    Ours(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

impl Pipeline {
    /// Carries an order out, or says in the delivery's audit why not.
    pub(super) async fn carry_out(&self, message: &Received, order: &ResendOrder) -> Result<()> {
        let done = if message.receive_count > self.max_receives {
            let problem = format!("received {} times", message.receive_count - 1);
            Err(Failed::For(ResendOutcome::CrashLoop, problem))
        } else {
            self.resend(message, order).await
        };
        match done {
            Ok(next) => self.note(order, ResendOutcome::Sent, &next).await,
            Err(Failed::For(outcome, why)) => {
                // The audit first: an order that nobody can find would be lost.
                self.note(order, outcome, &why).await?;
                self.queue.acknowledge(&message.handle).await
            }
            Err(Failed::Ours(error)) => {
                self.tally.fault(&error, &order.delivery_id);
                let rest = RESEND_REST.mul_f64(0.5 + self.chance.fraction());
                self.queue.release(&message.handle, rest).await
            }
        }
    }

    /// Puts the job in the order's place; returns the name of the round that it begins.
    async fn resend(
        &self,
        message: &Received,
        order: &ResendOrder,
    ) -> std::result::Result<String, Failed> {
        let (id, now) = (&order.delivery_id, self.clock.now());
        let gone = |what: &str| Failed::For(ResendOutcome::Gone, format!("{what} is gone"));
        let record = self.records.header(id, now).await?.ok_or_else(|| gone("its record"))?;
        let next = record.next_round_id();
        if self.records.header(&next, now).await?.is_some() {
            return Err(Failed::For(ResendOutcome::AlreadySent, format!("as {next}")));
        }
        let sealed = self.records.body(id, now).await?.ok_or_else(|| gone("its job"))?;
        let opened = self.vault.open_body(&record, &sealed).await;
        let job = opened.map_err(|error| match error {
            BodyError::Ours(error) => Failed::Ours(error),
            BodyError::Shredded(_) => {
                Failed::For(ResendOutcome::TenantKeyShredded, error.to_string())
            }
            BodyError::NotOpened(_) => Failed::For(ResendOutcome::BodyNotOpened, error.to_string()),
        })?;
        let job = NewMessage {
            body: Bytes::copy_from_slice(job.expose()),
            state: Some(encode(&record.resent(now))?),
            customer: Some(record.customer_id),
            ..NewMessage::default()
        };
        // Not by `replace`: a queue that keeps order leaves a message's bytes where they are.
        self.queue.send(vec![job]).await?;
        self.queue.acknowledge(&message.handle).await?;
        Ok(next)
    }

    /// An order that the queue itself gave up: it is said to be, and removed.
    pub(super) async fn give_up_order(
        &self,
        message: &Received,
        order: &ResendOrder,
    ) -> Result<()> {
        self.note(order, ResendOutcome::CrashLoop, "the queue gave it up").await?;
        self.queue.acknowledge(&message.handle).await
    }

    /// Adds a line to the delivery's audit, and to the log.
    async fn note(&self, order: &ResendOrder, what: ResendOutcome, why: &str) -> Result<()> {
        let (at, who) = (self.clock.now(), order.who.clone());
        self.tally.resend(order, what, why);
        let line = ResendLine { at, who, what };
        self.records.log_resend(&order.delivery_id, &line, at.plus(self.retention)).await
    }
}
