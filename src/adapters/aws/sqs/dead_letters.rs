//! Finding dead letters by their id. SQS cannot be searched: messages are received from the
//! dead-letter queue under a lease, looked at, and given back in the end.
//!
//! The lease keeps two searches from moving the same dead letter; it also hides from one what the
//! other is looking at, so what was not found may be there all the same.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::time::Instant;

use super::appetite::FULL;
use super::arrive;
use super::in_flight::{Held, Origin};
use super::settle::Settler;
use crate::adapters::aws::Failure;
use crate::domain::delivery::{DeliveryState, dead_letter_id_of_message};
use crate::ports::queue::{Handle, Received, Redrive, Sought};

/// How long a search may have a message in hand. It ends well before.
const LEASE: Duration = Duration::from_secs(300);
const LONGEST_SEARCH: Duration = Duration::from_secs(240);
/// Most messages that a search looks at: a sixth of what SQS lets be in flight at once.
const MOST: usize = 20_000;
/// A poll that waits asks all of SQS's servers, so that nothing means that nothing is there.
const WAIT: Duration = Duration::from_secs(1);

/// Searches the dead-letter queue.
pub struct DeadLetters {
    settler: Arc<Settler>,
}

/// One search. Everything that it has seen and not settled is given back by [`Search::end`].
struct Search<'s> {
    settler: &'s Settler,
    until: Instant,
    seen: usize,
    passed_over: Vec<Handle>,
}

/// What is done with a dead letter that was looked for.
#[derive(Debug)]
enum Wanted {
    /// With its place among those that were asked for.
    MoveBack(Redrive, usize),
    Purge,
}

/// A dead letter that was found, and what is done with it.
struct Chosen {
    id: String,
    what: Wanted,
    held: Held,
}

impl DeadLetters {
    /// Searches through `settler`'s dead-letter queue.
    pub fn new(settler: Arc<Settler>) -> Self {
        Self { settler }
    }

    /// The body of a dead letter.
    pub async fn peek(&self, id: &str) -> Result<Option<Bytes>, Failure> {
        let mut search = Search::begin(&self.settler);
        let found = search.look_for(id).await;
        search.end().await?;
        found
    }

    /// Moves dead letters back.
    pub async fn redrive(&self, letters: Vec<Redrive>) -> Result<Sought, Failure> {
        let wanted = letters.into_iter().enumerate().map(|(place, letter)| {
            (letter.dead_letter_id.clone(), Wanted::MoveBack(letter, place))
        });
        self.settle(wanted.collect()).await
    }

    /// Removes dead letters.
    pub async fn purge(&self, ids: &[String]) -> Result<Sought, Failure> {
        self.settle(ids.iter().map(|id| (id.clone(), Wanted::Purge)).collect()).await
    }

    async fn settle(&self, mut wanted: HashMap<String, Wanted>) -> Result<Sought, Failure> {
        let (mut search, mut sought) = (Search::begin(&self.settler), Sought::default());
        let result = search.settle(&mut wanted, &mut sought).await;
        let ended = search.end().await;
        // What is done is told, so that its index record goes too; the rest may be asked for again.
        if sought.found.is_empty() {
            result.and(ended)?;
        }
        sought.unknown.extend(wanted.into_keys());
        Ok(sought)
    }

    /// Up to `max` dead letters without an id, held.
    pub async fn strays(&self, max: usize) -> Result<Vec<Received>, Failure> {
        let (mut search, mut strays) = (Search::begin(&self.settler), Vec::new());
        let result = search.strays(max, &mut strays).await;
        let ended = search.end().await;
        if strays.is_empty() {
            result.and(ended)?;
        }
        let Settler { in_flight, clock, .. } = &*self.settler;
        let hold = |held| in_flight.take(held, LEASE, clock.now()).received();
        Ok(strays.into_iter().map(hold).collect())
    }
}

impl<'s> Search<'s> {
    fn begin(settler: &'s Settler) -> Self {
        let until = Instant::now() + LONGEST_SEARCH;
        Self { settler, until, seen: 0, passed_over: Vec::new() }
    }

    /// The next messages; none at the end of the queue or of the search's bounds.
    async fn next(&mut self) -> Result<Vec<Held>, Failure> {
        if self.seen >= MOST || Instant::now() >= self.until {
            return Ok(Vec::new());
        }
        let Settler { dead, clock, senders, .. } = self.settler;
        let messages = dead.receive(&dead.client, FULL, WAIT, LEASE).await?;
        self.seen += messages.len();
        let (now, senders, keeps_order) = (clock.now(), senders.get(), dead.keeps_order);
        let held = |message| arrive::held(message, Origin::DeadLetters, keeps_order, now, senders);
        Ok(messages.into_iter().filter_map(held).collect())
    }

    async fn look_for(&mut self, id: &str) -> Result<Option<Bytes>, Failure> {
        loop {
            let page = self.next().await?;
            if page.is_empty() {
                return Ok(None);
            }
            let body = page.iter().find(|held| id_of(held) == id).map(|held| held.body.clone());
            self.passed_over.extend(page.into_iter().map(|held| held.handle));
            if body.is_some() {
                return Ok(body);
            }
        }
    }

    async fn settle(
        &mut self,
        wanted: &mut HashMap<String, Wanted>,
        sought: &mut Sought,
    ) -> Result<(), Failure> {
        let mut chosen: Vec<Chosen> = Vec::new();
        while !wanted.is_empty() {
            let page = self.next().await?;
            if page.is_empty() {
                break;
            }
            for held in page {
                let id = id_of(&held);
                let is_chosen = sought.found.contains(&id) || chosen.iter().any(|c| c.id == id);
                match wanted.remove(&id) {
                    Some(what) => chosen.push(Chosen { id, what, held }),
                    // A worker died between burying it and deleting it, so there are two.
                    None if is_chosen => chosen.push(Chosen { id, what: Wanted::Purge, held }),
                    None => self.passed_over.push(held.handle),
                }
            }
            if self.settler.fifo.is_none() {
                // All at once, so that they go out in batches.
                self.settle_some(std::mem::take(&mut chosen), sought).await?;
            }
        }
        // Order is kept in a FIFO queue: one after another, as they were asked for.
        chosen.sort_by_key(|chosen| match chosen.what {
            Wanted::MoveBack(_, place) => place,
            Wanted::Purge => usize::MAX,
        });
        let mut result = Ok(());
        for one in chosen {
            if result.is_ok() {
                result = self.settle_some(vec![one], sought).await;
            } else {
                sought.unknown.push(one.id);
                self.passed_over.push(one.held.handle);
            }
        }
        result
    }

    async fn settle_some(
        &mut self,
        chosen: Vec<Chosen>,
        sought: &mut Sought,
    ) -> Result<(), Failure> {
        let settler = self.settler;
        let settling = chosen.into_iter().map(|Chosen { id, what, held }| async move {
            let settled = match what {
                Wanted::MoveBack(redrive, _) => settler.move_back(&held, redrive).await,
                Wanted::Purge => settler.delete(&held).await,
            };
            (id, held, settled)
        });
        let mut result = Ok(());
        for (id, held, settled) in join_all(settling).await {
            match settled {
                Ok(()) if sought.found.contains(&id) => {}
                Ok(()) => sought.found.push(id),
                Err(failure) => {
                    sought.unknown.push(id);
                    self.passed_over.push(held.handle);
                    result = Err(failure);
                }
            }
        }
        result
    }

    async fn strays(&mut self, max: usize, strays: &mut Vec<Held>) -> Result<(), Failure> {
        while strays.len() < max {
            let page = self.next().await?;
            if page.is_empty() {
                break;
            }
            for held in page {
                if held.dead_letter_id.is_none() && strays.len() < max {
                    strays.push(held);
                } else {
                    self.passed_over.push(held.handle);
                }
            }
        }
        Ok(())
    }

    /// Gives back what is left. What cannot be given back comes back with the end of its lease.
    async fn end(self) -> Result<(), Failure> {
        let visibility = &self.settler.dead.visibility;
        let changes = self.passed_over.into_iter().map(|handle| visibility.hand_in((handle, 0)));
        let changes: Vec<_> = changes.collect();
        let mut result = Ok(());
        for change in changes {
            if let Err(failure) = change.await {
                result = Err(failure);
            }
        }
        result
    }
}

/// The id of a dead letter; what SQS moved here by itself has that of its message.
fn id_of(held: &Held) -> String {
    held.dead_letter_id.clone().unwrap_or_else(|| {
        let state = held.state.as_deref().and_then(|state| serde_json::from_slice(state).ok());
        let round = state.map_or(1, |state: DeliveryState| state.round);
        dead_letter_id_of_message(&held.message_id, round)
    })
}
