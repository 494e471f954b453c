//! Gathers what many callers want done into calls of ten.
//!
//! A batch goes out when it has ten entries, when the next one would take it over the byte limit, or
//! when its first entry has lingered long enough. Each caller gets the answer to its own entry:
//! entries that failed in passing are tried again a few times, and one entry that the service
//! refuses the whole call for does not take the others with it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout_at};

use crate::adapters::aws::{Failure, Kind};
use crate::ports::Chance;

/// Most entries of a batch call (Amazon SQS Developer Guide, "Amazon SQS batch actions").
pub const MOST: usize = 10;
/// How often an entry is tried. The SDK repeats whole calls by itself.
const TRIES: u32 = 4;
/// Before the second try; doubles with every further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// A batch call.
#[async_trait]
pub trait BatchCall: Send + Sync + 'static {
    /// One of up to ten things to be done.
    type Entry: Send + Sync + 'static;
    /// What doing it gave.
    type Done: Send + 'static;

    /// What the entry counts toward the byte limit.
    fn size(&self, entry: &Self::Entry) -> usize;

    /// Makes the call; answers in the order of the entries.
    async fn call(&self, entries: &[&Self::Entry]) -> Result<Vec<Answer<Self::Done>>, Failure>;
}

/// The answer to one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<T> {
    /// It is done.
    Done(T),
    /// It failed in passing: to be tried again.
    Again(Failure),
    /// It was refused.
    Refused(Failure),
}

/// How long the first entry of a batch waits for others, when so many have come together.
pub type Linger = Box<dyn Fn(usize) -> Duration + Send + Sync>;

struct Waiting<C: BatchCall> {
    entry: C::Entry,
    caller: oneshot::Sender<Result<C::Done, Failure>>,
}

/// Gathers entries for one kind of call.
pub struct Batcher<C: BatchCall> {
    entries: mpsc::UnboundedSender<Waiting<C>>,
}

impl<C: BatchCall> Batcher<C> {
    /// Begins. `limit` is the most bytes of a batch.
    pub fn start(call: C, limit: usize, linger: Linger, chance: Arc<dyn Chance>) -> Self {
        // No more entries wait than there are callers.
        let (entries, waiting) = mpsc::unbounded_channel();
        let gathering = Gathering { call: Arc::new(call), limit, linger, chance };
        tokio::spawn(gathering.run(waiting));
        Self { entries }
    }

    /// Hands in an entry, to go out with others; what comes back is its answer.
    pub fn hand_in(
        &self,
        entry: C::Entry,
    ) -> impl Future<Output = Result<C::Done, Failure>> + use<C> {
        let (caller, answer) = oneshot::channel();
        // If it is not taken, neither is it answered.
        let _ = self.entries.send(Waiting { entry, caller });
        async { answer.await.unwrap_or_else(|_| Err(unanswered("the process is ending"))) }
    }
}

struct Gathering<C: BatchCall> {
    call: Arc<C>,
    limit: usize,
    linger: Linger,
    chance: Arc<dyn Chance>,
}

impl<C: BatchCall> Gathering<C> {
    async fn run(self, mut waiting: mpsc::UnboundedReceiver<Waiting<C>>) {
        let mut carried = None;
        loop {
            let first = match carried.take() {
                Some(first) => first,
                None => match waiting.recv().await {
                    Some(first) => first,
                    None => return,
                },
            };
            let (batch, over) = self.gather(first, &mut waiting).await;
            carried = over;
            tokio::spawn(deliver(Arc::clone(&self.call), batch, Arc::clone(&self.chance)));
        }
    }

    /// A batch, and the entry that did not fit any more.
    async fn gather(
        &self,
        first: Waiting<C>,
        waiting: &mut mpsc::UnboundedReceiver<Waiting<C>>,
    ) -> (Vec<Waiting<C>>, Option<Waiting<C>>) {
        let begun = Instant::now();
        let mut bytes = self.call.size(&first.entry);
        let mut batch = vec![first];
        while batch.len() < MOST {
            let until = begun + (self.linger)(batch.len());
            let Ok(Some(next)) = timeout_at(until, waiting.recv()).await else { break };
            bytes += self.call.size(&next.entry);
            if bytes > self.limit {
                return (batch, Some(next));
            }
            batch.push(next);
        }
        (batch, None)
    }
}

/// Makes the call until every entry has its answer.
async fn deliver<C: BatchCall>(call: Arc<C>, mut batch: Vec<Waiting<C>>, chance: Arc<dyn Chance>) {
    for pause in (0..TRIES - 1).map(|n| Some(FIRST_PAUSE * (1 << n))).chain([None]) {
        let mut left = Vec::new();
        for (waiting, answer) in answered(&*call, batch).await {
            match answer {
                Answer::Done(done) => drop(waiting.caller.send(Ok(done))),
                Answer::Again(_) if pause.is_some() => left.push(waiting),
                Answer::Again(failure) | Answer::Refused(failure) => {
                    drop(waiting.caller.send(Err(failure)));
                }
            }
        }
        let Some(pause) = pause.filter(|_| !left.is_empty()) else { return };
        sleep(pause.mul_f64(0.5 + chance.fraction())).await;
        batch = left;
    }
}

/// Every entry with its answer.
async fn answered<C: BatchCall>(
    call: &C,
    batch: Vec<Waiting<C>>,
) -> Vec<(Waiting<C>, Answer<C::Done>)> {
    let entries: Vec<&C::Entry> = batch.iter().map(|waiting| &waiting.entry).collect();
    let answers = match call.call(&entries).await {
        Ok(answers) => answers,
        // One of them is what the service refuses: alone, each gets its own answer.
        Err(failure) if failure.kind == Kind::Refused && entries.len() > 1 => {
            let mut answers = Vec::new();
            for entry in entries {
                answers.push(alone(call, entry).await);
            }
            answers
        }
        Err(failure) => entries.iter().map(|_| answer_for_all(failure.clone())).collect(),
    };
    let none = || Answer::Again(unanswered("no answer to this entry"));
    let answers = answers.into_iter().chain(std::iter::repeat_with(none));
    batch.into_iter().zip(answers).collect()
}

/// What a failure of the whole call is for each of its entries. The SDK has repeated the call
/// already; where SQS answered that it cannot just now, patience is still better than a delivery
/// that is made again because its message was not deleted.
fn answer_for_all<T>(failure: Failure) -> Answer<T> {
    match failure.kind {
        Kind::Throttled | Kind::ServiceFault => Answer::Again(failure),
        Kind::AccessDenied
        | Kind::Credentials
        | Kind::NotFound
        | Kind::KeyUnusable
        | Kind::Unreachable
        | Kind::Refused => Answer::Refused(failure),
    }
}

async fn alone<C: BatchCall>(call: &C, entry: &C::Entry) -> Answer<C::Done> {
    match call.call(&[entry]).await {
        Ok(answers) => answers
            .into_iter()
            .next()
            .unwrap_or_else(|| Answer::Again(unanswered("no answer to this entry"))),
        Err(failure) => answer_for_all(failure),
    }
}

fn unanswered(message: &str) -> Failure {
    let message = message.to_owned();
    Failure { kind: Kind::ServiceFault, code: None, request_id: None, message }
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
