//! Acknowledgements on their way: the rows of messages whose work is done are removed many at once, and
//! nobody waits for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use tokio::sync::{Notify, oneshot};

use super::database::Database;
use super::hands::{Hands, lock};
use super::inbox::Urgency;
use crate::ports::{Clock, Error, Result};

/// So many wait for no others: the fixed part of a commit is divided often enough.
const MANY: usize = 128;
/// With so many the writer does not keep up, and whoever acknowledges waits for it.
const MOST: usize = 1024;

/// What was acknowledged and is not committed.
pub struct Acknowledged {
    database: Database,
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    hands: Arc<Mutex<Hands>>,
    state: Mutex<State>,
    /// Told of a failure.
    receiver: Arc<Notify>,
}

#[derive(Default)]
struct State {
    /// The numbers of the rows that the next commit removes.
    waiting: Vec<i64>,
    /// Of those that the present one removes.
    under_way: Vec<i64>,
    /// A commit was asked for, and has not begun.
    is_asked: bool,
    /// Why one failed.
    failure: Option<Error>,
}

impl Acknowledged {
    /// None yet. `receiver` is told of failures.
    pub fn new(
        database: Database,
        clock: Arc<dyn Clock>,
        hands: Arc<Mutex<Hands>>,
        receiver: Arc<Notify>,
    ) -> Self {
        let shared = Shared { clock, hands, state: Mutex::default(), receiver };
        Self { database, shared: Arc::new(shared) }
    }

    /// Removes the row of a message that is in no group, within a few milliseconds.
    ///
    /// # Errors
    /// Where very many wait already: if the commit fails.
    pub async fn remove(&self, seq: i64) -> Result<()> {
        let (waiting, is_asked) = {
            let mut state = self.shared.state();
            state.waiting.push(seq);
            (state.waiting.len(), std::mem::replace(&mut state.is_asked, true))
        };
        if waiting >= MOST {
            return self.flush().await;
        }
        if waiting == MANY {
            self.commit_then(Urgency::AtOnce, || ());
        } else if !is_asked {
            self.commit_then(Urgency::WithOthers, || ());
        }
        Ok(())
    }

    /// Waits until all that was acknowledged is durable.
    ///
    /// # Errors
    /// If it is not, because a commit failed.
    pub async fn flush(&self) -> Result<()> {
        self.commit().await?;
        self.failure().map_or(Ok(()), Err)
    }

    /// Waits until a commit of all that was acknowledged has been tried. Whether one failed is left to be
    /// told by who asks for it.
    ///
    /// # Errors
    /// If nothing can be committed any more.
    pub async fn commit(&self) -> Result<()> {
        if !self.shared.state().is_empty() {
            let (reply, ended) = oneshot::channel();
            // What came before is done before, and this takes along what waits.
            self.commit_then(Urgency::AtOnce, move || {
                // Somebody who waits no more has nothing to be told.
                let _ = reply.send(());
            });
            let gone = |_| Error::new("queue.acknowledge", "the database thread has ended");
            ended.await.map_err(gone)?;
        }
        Ok(())
    }

    /// Why a commit failed since this was asked last.
    pub fn failure(&self) -> Option<Error> {
        self.shared.state().failure.take()
    }

    /// Asks for another commit if the last one failed.
    pub fn try_again(&self) {
        let mut state = self.shared.state();
        let is_left = !state.waiting.is_empty() && !std::mem::replace(&mut state.is_asked, true);
        drop(state);
        if is_left {
            self.commit_then(Urgency::AtOnce, || ());
        }
    }

    /// Removes what waits, and calls `then`.
    fn commit_then(&self, urgency: Urgency, then: impl FnOnce() + Send + 'static) {
        let (shared, own) = (Arc::clone(&self.shared), Arc::clone(&self.shared));
        let remove = move |c: &Connection| shared.remove_rows(c);
        self.database.write_then(urgency, "queue.acknowledge", remove, move |removed| {
            own.end(removed);
            then();
        });
    }
}

impl Shared {
    /// Nothing panics while it is held.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remove_rows(&self, c: &Connection) -> rusqlite::Result<()> {
        let mut rows = {
            let mut state = self.state();
            state.is_asked = false;
            let rows = std::mem::take(&mut state.waiting);
            state.under_way.extend_from_slice(&rows);
            rows
        };
        rows.sort_unstable();
        // Of what is worked off in order, most stands in a row, and costs one statement.
        let mut statement = c.prepare_cached("DELETE FROM messages WHERE seq BETWEEN ? AND ?")?;
        for run in rows.chunk_by(|before, next| next - before <= 1) {
            statement.execute([run.first(), run.last()])?;
        }
        Ok(())
    }

    /// Ends the leases of what is gone, or keeps what is not for the next commit.
    fn end(&self, removed: Result<()>) {
        let mut state = self.state();
        let rows = std::mem::take(&mut state.under_way);
        match removed {
            Ok(()) => {
                drop(state);
                let (mut hands, now) = (lock(&self.hands), self.clock.now());
                rows.iter().for_each(|seq| hands.settled(*seq, now));
            }
            Err(error) => {
                state.waiting.extend(rows);
                state.is_asked = false;
                state.failure = Some(error);
                drop(state);
                self.receiver.notify_one();
            }
        }
    }
}

impl State {
    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.under_way.is_empty()
    }
}
