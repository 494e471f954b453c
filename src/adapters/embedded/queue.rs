//! The queue in SQLite.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::data_dir::DirectoryLock;
use super::database::Database;
use super::in_flight::InFlight;
use super::inbox::Urgency;
use super::leases::Leases;
use super::rows;
use super::take::{self, lock};
use super::turns::{self, Place};
use crate::domain::dead_letter::DeadLetter;
use crate::ports::queue::{Depth, Handle, NewMessage, Received, Redrive, Sought};
use crate::ports::{Chance, Clock, Error, Queue, Result};

/// How often an idle receiver looks for what other processes have sent, and for what has fallen due.
const POLL: Duration = Duration::from_millis(5);
/// The same once nothing has come for [`QUIET_AFTER`].
const POLL_QUIET: Duration = Duration::from_millis(200);
const QUIET_AFTER: Duration = Duration::from_secs(2);
/// With so many messages in hand, others will soon be settled too: those share a commit.
const BUSY: usize = 32;

/// The queue of a data directory.
pub struct SqliteQueue {
    database: Database,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    lease: Duration,
    sent: Notify,
    /// Only in the process that holds the directory's lock.
    receiving: Option<Receiving>,
}

struct Receiving {
    leases: Arc<Mutex<Leases>>,
    _lock: DirectoryLock,
}

impl SqliteQueue {
    /// Opens the queue for sending, redriving and purging: what any process may do.
    pub fn open(
        database: Database,
        clock: Arc<dyn Clock>,
        chance: Arc<dyn Chance>,
        lease: Duration,
    ) -> Self {
        Self { database, clock, chance, lease, sent: Notify::new(), receiving: None }
    }

    /// Lets this process receive too. Messages that an earlier worker held when it died count one
    /// lost receipt.
    pub async fn receive_under(mut self, lock: DirectoryLock, in_flight: &Path) -> Result<Self> {
        let failed = |e: std::io::Error| Error::new("queue.open", e);
        let (mut in_flight, lost) = InFlight::open(in_flight).map_err(failed)?;
        self.database.write("queue.open", move |c| rows::count_lost(c, &lost)).await?;
        in_flight.clear().map_err(failed)?;
        let leases = Arc::new(Mutex::new(Leases::new(in_flight)));
        self.receiving = Some(Receiving { leases, _lock: lock });
        Ok(self)
    }

    fn leases(&self) -> Result<&Arc<Mutex<Leases>>> {
        let receiving = self.receiving.as_ref();
        receiving.map(|r| &r.leases).ok_or_else(|| {
            Error::new("queue.receive", "only the process that holds the directory's lock receives")
        })
    }

    async fn take_due(&self, max: usize) -> Result<Vec<Received>> {
        let (leases, now, lease) = (Arc::clone(self.leases()?), self.clock.now(), self.lease);
        let read = move |c: &Connection| take::due(c, &leases, max, now, now.plus(lease));
        Ok(self.database.read("queue.receive", read).await??.into_messages())
    }

    /// Runs `work` on the row of the message that `handle` holds, if it is still held.
    async fn settle<T, F>(
        &self,
        urgency: Urgency,
        operation: &'static str,
        handle: &Handle,
        work: F,
    ) -> Result<T>
    where
        T: Default + Send + 'static,
        F: FnOnce(&Connection, i64) -> rusqlite::Result<T> + Send + 'static,
    {
        let leases = self.leases()?;
        let Some(seq) = lock(leases).holder(handle) else { return Ok(T::default()) };
        let done = self.database.write_when(urgency, operation, move |c| work(c, seq)).await?;
        lock(leases).settled(seq);
        Ok(done)
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
        let ids: Vec<String> =
            messages.iter().map(|_| format!("msg_{}", self.chance.token())).collect();
        let named: Vec<(String, NewMessage)> = ids.iter().cloned().zip(messages).collect();
        self.database
            .write("queue.send", move |c| {
                let last = |message: &NewMessage| {
                    let group = message.group.as_ref().map(ToString::to_string);
                    Place { group, position: None }
                };
                named.iter().try_for_each(|(id, message)| {
                    rows::insert(c, id, message, now, now)?;
                    turns::line_up(c, &last(message))
                })
            })
            .await?;
        self.sent.notify_one();
        Ok(ids)
    }

    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<Received>> {
        let started = Instant::now();
        let deadline = started + wait;
        loop {
            let received = self.take_due(max).await?;
            if !received.is_empty() || Instant::now() >= deadline {
                return Ok(received);
            }
            let poll = if started.elapsed() < QUIET_AFTER { POLL } else { POLL_QUIET };
            let next = (Instant::now() + poll).min(deadline);
            tokio::select! {
                () = sleep_until(next) => {}
                _ = timeout_at(deadline, self.sent.notified()) => {}
            }
        }
    }

    fn lease(&self) -> Duration {
        self.lease
    }

    async fn extend(&self, handles: &[Handle]) -> Result<()> {
        let until = self.clock.now().plus(self.lease);
        let mut leases = lock(self.leases()?);
        handles.iter().for_each(|handle| leases.extend(handle, until));
        Ok(())
    }

    async fn release(&self, handle: &Handle, delay: Duration) -> Result<()> {
        lock(self.leases()?).release(handle, self.clock.now(), delay)?;
        self.sent.notify_one();
        Ok(())
    }

    async fn acknowledge(&self, handle: &Handle) -> Result<()> {
        let now = self.clock.now();
        let is_busy = lock(self.leases()?).len() >= BUSY;
        let urgency = if is_busy { Urgency::WithOthers } else { Urgency::AtOnce };
        let remove = move |c: &Connection, seq: i64| rows::remove(c, seq, now);
        self.tell(self.settle(urgency, "queue.acknowledge", handle, remove).await?);
        Ok(())
    }

    async fn replace(&self, handle: &Handle, next: NewMessage) -> Result<()> {
        let now = self.clock.now();
        let replace = move |c: &Connection, seq: i64| match rows::take_out(c, seq)? {
            Some(rows::Removed { message_id, sent_at, place }) => {
                rows::insert(c, &message_id, &next, sent_at, now)?;
                turns::line_up(c, &place)
            }
            None => Ok(()),
        };
        self.settle(Urgency::AtOnce, "queue.replace", handle, replace).await?;
        self.sent.notify_one();
        Ok(())
    }

    async fn dead_letter(
        &self,
        handle: &Handle,
        letter: &DeadLetter,
        state: Option<Bytes>,
    ) -> Result<()> {
        let (id, now) = (letter.id.clone(), self.clock.now());
        let bury = move |c: &Connection, seq: i64| {
            let sql = "INSERT OR REPLACE INTO dead_messages
                           (id, message_id, sent_at, state, body, ordering_group)
                       SELECT ?1, message_id, sent_at, ?2, body, ordering_group
                       FROM messages WHERE seq = ?3";
            c.prepare_cached(sql)?.execute(params![id, state.as_deref(), seq])?;
            rows::remove(c, seq, now)
        };
        self.tell(self.settle(Urgency::AtOnce, "queue.dead_letter", handle, bury).await?);
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
        let leases = Arc::clone(&receiving.leases);
        let read = move |c: &Connection| take::earliest(c, &leases, now);
        let earliest = self.database.read("queue.oldest_due", read).await?;
        Ok(Some(earliest.map(|at| now.since(at)).unwrap_or_default()))
    }

    async fn depth(&self) -> Result<Depth> {
        let sql = "SELECT (SELECT count(*) FROM messages), (SELECT count(*) FROM dead_messages)";
        let read = move |c: &Connection| {
            c.query_row(sql, [], |row| Ok(Depth { pending: row.get(0)?, dead: row.get(1)? }))
        };
        self.database.read("queue.depth", read).await
    }
}
