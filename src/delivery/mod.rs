//! The life of one message, from receipt to settling, one file a stage:
//!
//! `received → decoded → resolved → admitted → permitted → built → signed → claimed → attempted →
//! settled`
//!
//! A job that names no endpoint is only decoded and fanned out: its children go through all stages.
//! Each stage takes what the one before gave, so that none can be skipped. What goes wrong is a
//! [`Halt`]: the job is given up, put back, or the fault is ours and costs the customer nothing.

mod admit;
mod attempt;
mod authorization;
mod build;
mod claim;
mod decode;
mod dry_run;
mod endpoint_book;
mod fan_out;
mod fill;
mod grants;
mod handshake;
mod health;
mod keeper;
mod limiters;
mod long_timeouts;
mod parameters;
mod permit;
pub mod preview;
mod recorder;
mod resend;
mod resolve;
mod settle;
mod shared_rate;
mod sign;
#[cfg(test)]
mod size_tests;
mod spans;
pub mod test_call;
mod test_telling;
mod withhold;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::asked::Asked;
use crate::domain::envelope::Pointers;
use crate::domain::reason::Reason;
use crate::domain::senders::Senders;
use crate::domain::timestamp::Timestamp;
use crate::domain::verification::WebhookOrigin;
use crate::domain::wait::Wait;
use crate::egress::client::Client;
use crate::egress::guard::Guard;
use crate::ports::deliveries::AttemptRecord;
use crate::ports::queue::Received;
use crate::ports::{
    Chance, Clock, Deliveries, Error, HealthStore, OperationalEvents, Queue, Records, TestCalls,
};
use crate::telemetry::{Tally, Tracer};
use crate::vault::Opener;

use attempt::Attempted;
use decode::{Circumstances, Decoded, Message, NotDecoded};
pub use endpoint_book::{Compiled, EndpointBook, compile, destinations};
use grants::Learning;
pub use grants::{Challenges, Egress, Roles, Tokens};
pub use keeper::Keeping;
pub use limiters::Limiters;
pub use long_timeouts::LongTimeouts;
use permit::Permit;
pub use recorder::Recorder;
pub use shared_rate::SharedRates;
use sign::Signed;
pub use spans::Traceparent;

/// Why a message goes no further.
#[derive(Debug)]
enum Halt {
    /// The job is given up.
    DeadLetter(Reason, String),
    /// The job waits until then without an attempt.
    Park(Timestamp, Wait),
    /// The same, because a limit is reached; the next such wait is longer.
    Limited(Timestamp, Wait),
    /// The attempt was made by a claimer that died before it did what follows.
    Finish(AttemptRecord),
    /// A leftover of a delivery that has gone on: to be removed.
    Leftover,
    /// The attempt is another worker's since our claim ran out. It may have died, too: the message has to
    /// come back.
    Lost,
    /// Our own fault.
    Ours(Error),
}

impl Halt {
    /// A wait that counts as one for a limit: the next is longer.
    fn limited(self) -> Self {
        match self {
            Self::Park(until, why) => Self::Limited(until, why),
            Self::DeadLetter(..)
            | Self::Limited(..)
            | Self::Finish(_)
            | Self::Leftover
            | Self::Lost
            | Self::Ours(_) => self,
        }
    }
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

/// Which attempts claim their fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fencing {
    /// Retries, and whatever was received or put back before.
    Retries,
    /// Every attempt.
    All,
}

/// Everything that a delivery needs.
pub struct Pipeline {
    /// Where messages come from and go back to.
    pub queue: Arc<dyn Queue>,
    /// The endpoints, with what was learnt of them.
    pub endpoints: EndpointBook,
    /// The secrets.
    pub vault: Opener,
    /// What is learnt of endpoints.
    pub health: Arc<dyn HealthStore>,
    /// What the operator is told of.
    pub events: Arc<dyn OperationalEvents>,
    /// Fences and dead letters.
    pub deliveries: Arc<dyn Deliveries>,
    /// The access tokens of endpoints that need one.
    pub tokens: Tokens,
    /// The AWS roles that requests may be signed as.
    pub roles: Roles,
    /// The challenges of servers that want an answer to one.
    pub challenges: Challenges,
    /// The way out.
    pub client: Client,
    /// What may be called.
    pub guard: Arc<Guard>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Jitter and names.
    pub chance: Arc<dyn Chance>,
    /// Which attempts claim their fence.
    pub fencing: Fencing,
    /// Receipts after which a message that crashes the worker is given up.
    pub max_receives: u32,
    /// The name by which receivers know this sender.
    pub webhook_origin: Option<WebhookOrigin>,
    /// Where messages of others name customer and endpoint.
    pub envelopes: Pointers,
    /// Who may send jobs for whom, if that is held to.
    pub senders: Option<Senders>,
    /// Endpoints whose calls a stop may cut short.
    pub long_timeouts: LongTimeouts,
    /// Where attempts are recorded, if they are.
    pub recorder: Option<Recorder>,
    /// What was recorded, and the jobs that were kept.
    pub records: Arc<dyn Records>,
    /// Makes traces, if anybody looks at them.
    pub tracer: Option<Tracer>,
    /// When a call carries `traceparent`.
    pub traceparent: Traceparent,
    /// How long what is recorded is kept.
    pub retention: Duration,
    /// The answers to test calls.
    pub test_calls: Arc<dyn TestCalls>,
    /// Counts what happens.
    pub tally: Arc<Tally>,
}

/// How long a job waits after a fault of ours.
const FAULT_DELAY: Duration = Duration::from_secs(5);
/// How long, about, an order to send a delivery again waits after one.
const RESEND_REST: Duration = Duration::from_secs(60);

impl Pipeline {
    /// Takes one message through all stages. `stop` cuts a call short when the worker must end.
    pub async fn deliver(&self, message: &Received, stop: &CancellationToken) {
        if let Some(id) = &message.moved_back
            && let Err(error) = Box::pin(self.forget_dead_letter(id, message.sent_at)).await
        {
            // The list shows one dead letter too many; the message goes its way.
            self.tally.fault(&error, id);
        }
        // What is rare is boxed, here and below: a delivery's future has the size of its largest branch,
        // and is moved several times before it runs.
        let settled = match message.state.as_deref().and_then(Asked::of) {
            Some(Asked::DryRun(dry_run)) => Box::pin(self.answer_dry_run(message, &dry_run)).await,
            Some(Asked::TestCall(call)) => {
                Box::pin(self.answer_test_call(message, call, stop)).await
            }
            Some(Asked::Resend(order)) => Box::pin(self.carry_out(message, &order)).await,
            None => self.deliver_job(message, stop).await,
        };
        if let Err(error) = settled {
            // The lease runs out and the message comes back.
            self.tally.fault(&error, &message.message_id);
        }
    }

    async fn deliver_job(&self, message: &Received, stop: &CancellationToken) -> Result<(), Error> {
        let begun = self.tracer.as_ref().map(|_| Instant::now());
        let circumstances = self.circumstances(self.max_receives, self.clock.now());
        let mut decoded = decode::decode(message, &circumstances);
        if let Ok(decoded) = &mut decoded {
            self.trace(decoded, begun);
        }
        match decoded.and_then(|decoded| decoded.let_in(self.senders.as_ref())) {
            Ok(Message::Parent(parent)) => Box::pin(self.fan_out(&parent, stop)).await,
            Ok(Message::Delivery(decoded)) => {
                // The permit is held until the message is settled.
                let (result, _permit) = match self.run(&decoded, stop).await {
                    Ok(Attempted { record, permit }) => (Ok(record), Some(permit)),
                    Err(halt) => (Err(halt), None),
                };
                spans::note_result(&decoded.trace, &result);
                let _stage = decoded.trace.stage("settle");
                self.settle(&decoded, result).await
            }
            Err(NotDecoded::Undecodable(why)) => {
                Box::pin(self.settle_undecodable(message, why)).await
            }
            Err(NotDecoded::Newer(what, version)) => {
                Box::pin(self.leave_to_newer(message, what, version)).await
            }
        }
    }

    fn circumstances(&self, max_receives: u32, now: Timestamp) -> Circumstances<'_> {
        let keeps_order = self.queue.keeps_order();
        Circumstances { max_receives, envelopes: &self.envelopes, keeps_order, now }
    }

    async fn run(
        &self,
        decoded: &Decoded<'_>,
        stop: &CancellationToken,
    ) -> Result<Attempted, Halt> {
        let begun = Instant::now();
        // What is sent again was mended first: a cached value may be used, but none that is due to be
        // read anew.
        let since = decoded.state.begins_again().then(|| self.endpoints.fresh_since(begun));
        let (signed, permit) = match self.prepare(decoded, since, stop).await {
            // Nobody's job is given up on what a cache remembers: it may have been mended since.
            // But what the job alone says is not mended by reading.
            Err(Halt::DeadLetter(reason, _)) if reason != Reason::Expired => {
                Box::pin(self.prepare(decoded, Some(begun), stop)).await?
            }
            prepared => prepared?,
        };
        let claimed = {
            let _stage = decoded.trace.stage("claim");
            self.claim(signed, permit).await?
        };
        self.attempt(claimed, stop).await
    }

    /// Everything that comes before a call.
    async fn prepare<'d>(
        &self,
        decoded: &'d Decoded<'d>,
        since: Option<Instant>,
        stop: &CancellationToken,
    ) -> Result<(Box<Signed<'d>>, Permit), Halt> {
        let trace = &decoded.trace;
        let resolved = {
            let _stage = trace.stage("resolve");
            self.resolve(decoded, self.clock.now(), since).await?
        };
        let admitted = admit::admit(resolved, self.clock.now(), self.chance.fraction())?;
        let permit = {
            let _stage = trace.stage("permit");
            let permit = self.permit(&admitted, stop).await?;
            self.claim_probe(&admitted).await?;
            permit
        };
        let built = {
            let _stage = trace.stage("build");
            self.build(admitted)?
        };
        let _stage = trace.stage("sign");
        let grants = self.grants(&built.resolved, Learning::Yes).await?;
        Ok((sign::sign(built, grants, &*self.chance, self.clock.now())?, permit))
    }
}
