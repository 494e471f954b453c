//! The queue in SQLite.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::Notify;

use super::data_dir::DirectoryLock;
use super::database::Database;
use super::hands::{self, lock};
use super::leases::Held;
use super::log_file::Mark;
use super::receiving::Receiving;
use super::rows;
use super::turns;
use crate::domain::dead_letter::DeadLetter;
use crate::ports::queue::{Depth, Handle, NewMessage, Received, Redrive, Sought};
use crate::ports::{Chance, Clock, Error, Queue, Result};

/// The queue of a data directory.
pub struct SqliteQueue {
    database: Database,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    lease: Duration,
    /// Wakes a receiver that waits.
    sent: Arc<Notify>,
    /// How many there were, and how the log stood: it is asked for regularly.
    counted: Mutex<Option<(Mark, Depth)>>,
    /// Only in the process that holds the directory's lock.
    receiving: Option<Receiving>,
}

impl SqliteQueue {
    /// Opens the queue for sending, redriving and purging: what any process may do.
    pub fn open(
        database: Database,
        clock: Arc<dyn Clock>,
        chance: Arc<dyn Chance>,
        lease: Duration,
    ) -> Self {
        let (sent, counted) = (Arc::default(), Mutex::default());
        Self { database, clock, chance, lease, sent, counted, receiving: None }
    }

    /// A panic elsewhere leaves it whole.
    fn counted(&self) -> MutexGuard<'_, Option<(Mark, Depth)>> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets this process receive too. Messages that an earlier worker held when it died count one
    /// lost receipt.
    pub async fn receive_under(mut self, lock: DirectoryLock, in_flight: &Path) -> Result<Self> {
        let parts = (self.database.clone(), Arc::clone(&self.clock));
        let sent = Arc::clone(&self.sent);
        self.receiving = Some(Receiving::begin(parts, self.lease, sent, lock, in_flight).await?);
        Ok(self)
    }

    fn receiving(&self) -> Result<&Receiving> {
        self.receiving.as_ref().ok_or_else(|| {
            Error::new("queue.receive", "only the process that holds the directory's lock receives")
        })
    }

    /// Runs `work` on the row of a message in hand, which it takes out of the queue.
    async fn settle<T, F>(&self, operation: &'static str, held: Held, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, i64) -> rusqlite::Result<T> + Send + 'static,
    {
        let done = self.database.write(operation, move |c| work(c, held.seq)).await?;
        lock(&self.receiving()?.hands).settled(held.seq, self.clock.now());
        Ok(done)
    }

    /// The message that `handle` holds.
    fn holder(&self, handle: &Handle) -> Result<Option<Held>> {
        Ok(lock(&self.receiving()?.hands).holder(handle))
    }

    /// Tells a receiver that waits, if there is something new for it.
    fn tell(&self, there_is: bool) {
        if there_is {
            self.sent.notify_one();
        }
    }
}

#[async_trait]
impl Queue for SqliteQueue {
    fn keeps_order(&self) -> bool {
        true
    }

    async fn send(&self, messages: Vec<NewMessage>) -> Result<Vec<String>> {
        let now = self.clock.now();
        let names = self.chance.tokens(messages.len());
        let ids: Vec<String> = names.iter().map(|name| format!("msg_{name}")).collect();
        let insert = move |c: &Connection| {
            rows::insert_all(c, (&ids, &messages), now)?;
            Ok(ids)
        };
        let ids = self.database.write("queue.send", insert).await?;
        self.sent.notify_one();
        Ok(ids)
    }

    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<Received>> {
        self.receiving()?.receive(max, wait).await
    }

    fn lease(&self) -> Duration {
        self.lease
    }

    async fn extend(&self, handles: &[Handle]) -> Result<()> {
        lock(&self.receiving()?.hands).extend(handles, self.clock.now().plus(self.lease));
        Ok(())
    }

    async fn release(&self, handle: &Handle, delay: Duration) -> Result<()> {
        lock(&self.receiving()?.hands).release(handle, self.clock.now(), delay)?;
        self.sent.notify_one();
        Ok(())
    }

    async fn acknowledge(&self, handle: &Handle) -> Result<()> {
        let Some(held) = self.holder(handle)? else { return Ok(()) };
        if !held.in_order {
            return self.receiving()?.acknowledged.remove(held.seq).await;
        }
        let now = self.clock.now();
        let remove = move |c: &Connection, seq: i64| rows::remove(c, seq, now);
        self.tell(self.settle("queue.acknowledge", held, remove).await?);
        Ok(())
    }

    async fn flush(&self) -> Result<()> {
        match &self.receiving {
            Some(receiving) => receiving.acknowledged.flush().await,
            None => Ok(()),
        }
    }

    async fn replace(&self, handle: &Handle, next: NewMessage) -> Result<()> {
        let Some(held) = self.holder(handle)? else { return Ok(()) };
        let now = self.clock.now();
        let replace = move |c: &Connection, seq: i64| match rows::take_out(c, seq)? {
            Some(rows::Removed { message_id, sent_at, place }) => {
                rows::insert(c, &message_id, &next, sent_at, now)?;
                turns::line_up(c, &place)
            }
            None => Ok(()),
        };
        self.settle("queue.replace", held, replace).await?;
        self.sent.notify_one();
        Ok(())
    }

    async fn dead_letter(
        &self,
        handle: &Handle,
        letter: &DeadLetter,
        state: Option<Bytes>,
    ) -> Result<()> {
        let Some(held) = self.holder(handle)? else { return Ok(()) };
        let (id, now) = (letter.id.clone(), self.clock.now());
        let bury = move |c: &Connection, seq: i64| {
            let sql = "INSERT OR REPLACE INTO dead_messages
                           (id, message_id, sent_at, state, body, ordering_group)
                       SELECT ?1, message_id, sent_at, ?2, body, ordering_group
                       FROM messages WHERE seq = ?3";
            c.prepare_cached(sql)?.execute(params![id, state.as_deref(), seq])?;
            rows::remove(c, seq, now)
        };
        self.tell(self.settle("queue.dead_letter", held, bury).await?);
        Ok(())
    }

    async fn peek_dead(&self, id: &str) -> Result<Option<Bytes>> {
        let id = id.to_owned();
        let read = move |c: &Connection| {
            let mut statement = c.prepare_cached("SELECT body FROM dead_messages WHERE id = ?")?;
            statement.query_row([id], |row| row.get::<_, Vec<u8>>(0)).optional()
        };
        Ok(self.database.read("queue.peek_dead", read).await?.map(Bytes::from))
    }

    async fn redrive(&self, letters: Vec<Redrive>) -> Result<Sought> {
        let now = self.clock.now();
        let write = move |c: &Connection| {
            let mut sought = Sought::default();
            for letter in letters {
                if rows::redrive(c, &letter, now)? {
                    sought.found.push(letter.dead_letter_id);
                }
            }
            Ok(sought)
        };
        let sought = self.database.write("queue.redrive", write).await?;
        self.sent.notify_one();
        Ok(sought)
    }

    async fn purge_dead(&self, ids: &[String]) -> Result<Sought> {
        let ids = ids.to_owned();
        let write = move |c: &Connection| {
            let mut statement = c.prepare_cached("DELETE FROM dead_messages WHERE id = ?")?;
            let mut sought = Sought::default();
            for id in ids {
                if statement.execute([&id])? > 0 {
                    sought.found.push(id);
                }
            }
            Ok(sought)
        };
        self.database.write("queue.purge_dead", write).await
    }

    async fn oldest_due(&self) -> Result<Option<Duration>> {
        let (Some(receiving), now) = (&self.receiving, self.clock.now()) else { return Ok(None) };
        let hands = Arc::clone(&receiving.hands);
        let read = move |c: &Connection| hands::earliest(c, &hands, now);
        let earliest = self.database.read("queue.oldest_due", read).await?;
        Ok(Some(earliest.map(|at| now.since(at)).unwrap_or_default()))
    }

    async fn depth(&self) -> Result<Depth> {
        if let Some(receiving) = &self.receiving {
            receiving.acknowledged.commit().await?;
        }
        let log = self.database.log().mark();
        let known = *self.counted();
        if let Some((before, depth)) = known
            && Some(before) == log
        {
            return Ok(depth);
        }
        let sql = "SELECT (SELECT count(*) FROM messages), (SELECT count(*) FROM dead_messages)";
        let read = move |c: &Connection| {
            c.query_row(sql, [], |row| Ok(Depth { pending: row.get(0)?, dead: row.get(1)? }))
        };
        let depth = self.database.read("queue.depth", read).await?;
        *self.counted() = log.map(|log| (log, depth));
        Ok(depth)
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
