//! Sends dead letters again, as they were chosen: a plan, a durable record, and the work on it.
//!
//! A replay goes over the index oldest first, a page at a time. Each page is claimed, moved by the
//! queue, taken out of the index and then counted in the record, in this order: whoever dies between
//! two of these leaves letters that are met again, and none that nobody knows of. A letter that was
//! sent and not counted is sent again at worst as another copy of the same round, whose fence it meets
//! ([decision 17](../../docs/adr/0017-replays.md)).
//!
//! Any process may plan, begin, show and steer; one works on a replay at a time.

mod kept;
mod run;
mod whole;

use std::sync::Arc;
use std::time::Duration;

use crate::domain::dead_letter::DeadLetterFilter;
use crate::domain::replay::{Plan, Replay, Request, Runner, Standing};
use crate::domain::timestamp::Timestamp;
use crate::ports::{self, Chance, Clock, Deliveries, Endpoints, Queue, Records, Replays};
use crate::telemetry::Tally;

pub use kept::Resent;
pub use run::keep_running;

/// Letters looked at, or moved, at once.
pub const PAGE: usize = 500;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Ours: try again.
    #[error(transparent)]
    Ours(#[from] ports::Error),
    /// There is no such replay.
    #[error("there is no replay {0}")]
    Unknown(String),
    /// What was asked cannot be done. Says why, and what to do.
    #[error("{0}")]
    Refused(String),
}

/// What is done here, or why not.
pub type Result<T> = std::result::Result<T, Error>;

/// Plans, keeps and works on replays.
#[derive(Clone)]
pub struct Replayer {
    /// The queue whose dead letters they are.
    pub queue: Arc<dyn Queue>,
    /// Their index.
    pub deliveries: Arc<dyn Deliveries>,
    /// The records of replays.
    pub replays: Arc<dyn Replays>,
    /// Recorded deliveries, and who had them sent again.
    pub records: Arc<dyn Records>,
    /// How long the latter is kept.
    pub retention: Duration,
    /// The endpoints.
    pub endpoints: Arc<dyn Endpoints>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Random numbers, for names.
    pub chance: Arc<dyn Chance>,
    /// Counts what happens.
    pub tally: Arc<Tally>,
}

impl Replayer {
    /// What a replay of these letters would send; nothing is sent. In bounded memory, however many
    /// there are.
    ///
    /// # Errors
    /// If the index cannot be read.
    pub async fn plan(&self, filter: &DeadLetterFilter) -> Result<Plan> {
        let (mut plan, mut after) = (Plan::default(), None::<String>);
        loop {
            let page = self.deliveries.list_dead_letters(filter, after.as_deref(), PAGE).await?;
            page.iter().for_each(|letter| plan.add(letter));
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.position()),
                Some(_) | None => return Ok(plan),
            }
        }
    }

    /// Begins a replay: its record is durable, and somebody may work on it. With `own`, the name of
    /// the caller's work, nobody else does so by itself.
    ///
    /// # Errors
    /// If the endpoint that it goes to is not there, or a store fails.
    pub async fn begin(&self, request: Request, who: &str, own: Option<&str>) -> Result<Replay> {
        self.check(&request).await?;
        let now = self.clock.now();
        let planned = self.plan(&request.filter.clone().before(now)).await?;
        let id = format!("rp_{:011x}{}", now.as_millis(), &self.chance.token()[..13]);
        let mut replay = Replay::begin(id, request, who, planned, now);
        replay.version = 1;
        replay.runner = own.map(|token| run::runner(token, now));
        if !self.replays.put(&replay).await? {
            return Err(Error::Refused("a replay of this name is there: try again".to_owned()));
        }
        told("start", who, &replay);
        Ok(replay)
    }

    async fn check(&self, request: &Request) -> Result<()> {
        if request.kept_bodies && request.filter.customer_id.is_none() {
            let problem = "failures are recovered of one customer: name the customer";
            return Err(Error::Refused(problem.to_owned()));
        }
        let Some(to) = &request.to else { return Ok(()) };
        let Some(customer) = &request.filter.customer_id else {
            let problem = "to another endpoint go the letters of one customer: name the customer";
            return Err(Error::Refused(problem.to_owned()));
        };
        if self.endpoints.get(customer, to).await?.is_none() {
            let problem = format!("customer {customer} has no endpoint {to}: register it first");
            return Err(Error::Refused(problem));
        }
        Ok(())
    }

    /// One record.
    ///
    /// # Errors
    /// If there is none, or the store fails.
    pub async fn get(&self, id: &str) -> Result<Replay> {
        self.replays.get(id).await?.ok_or_else(|| Error::Unknown(id.to_owned()))
    }

    /// Stops the work on a replay after the page in hand, until it is resumed.
    ///
    /// # Errors
    /// If it has ended, or a store fails.
    pub async fn pause(&self, id: &str, who: &str) -> Result<Replay> {
        let paused = self.steer(id, who, Standing::Paused, None).await?;
        self.stop_move(&paused).await?;
        Ok(paused)
    }

    /// Gives a replay up after the page in hand. What was sent stays sent.
    ///
    /// # Errors
    /// If it has ended, or a store fails.
    pub async fn cancel(&self, id: &str, who: &str) -> Result<Replay> {
        let cancelled = self.steer(id, who, Standing::Cancelled, None).await?;
        self.stop_move(&cancelled).await?;
        Ok(cancelled)
    }

    /// Lets a replay go on. With `own` the caller takes the work over, from whoever has it.
    ///
    /// # Errors
    /// If it has ended, or a store fails.
    pub async fn resume(&self, id: &str, who: &str, own: Option<&str>) -> Result<Replay> {
        let runner = own.map(|token| run::runner(token, self.clock.now()));
        self.steer(id, who, Standing::Running, runner).await
    }

    async fn steer(
        &self,
        id: &str,
        who: &str,
        to: Standing,
        runner: Option<Runner>,
    ) -> Result<Replay> {
        loop {
            let mut replay = self.get(id).await?;
            let (now, before) = (self.clock.now(), replay.state);
            replay.steer(to, who, now).map_err(|ended| Error::Refused(ended.to_string()))?;
            if runner.is_some() {
                replay.runner.clone_from(&runner);
            }
            replay.version += 1;
            replay.updated_at = now;
            if self.replays.put(&replay).await? {
                if before != to {
                    told(to.name(), who, &replay);
                }
                return Ok(replay);
            }
            // The work has written meanwhile, or somebody else.
        }
    }

    /// A name for one's own work on a replay.
    pub fn token(&self) -> String {
        self.chance.token()
    }

    /// The replays that wait for somebody to work on them.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn waiting(&self) -> Result<Vec<String>> {
        let (mut waiting, mut after, now) = (Vec::new(), None::<String>, self.clock.now());
        loop {
            let page = self.replays.list(after.as_deref(), PAGE).await?;
            waiting.extend(page.iter().filter(|r| is_waiting(r, now)).map(|r| r.id.clone()));
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.id.clone()),
                Some(_) | None => return Ok(waiting),
            }
        }
    }
}

fn is_waiting(replay: &Replay, now: Timestamp) -> bool {
    replay.state == Standing::Running && !replay.is_worked_on(now)
}

/// The audit, in the log: the record has it too.
fn told(what: &str, who: &str, replay: &Replay) {
    let (id, count) = (&replay.id, replay.planned.count);
    let filter = serde_json::to_string(&replay.request).unwrap_or_default();
    tracing::info!(event = "replay", what, who, id, count, filter);
}
