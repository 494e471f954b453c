//! Taking messages that are due, under leases that are given back if nobody comes for the messages.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rusqlite::{Connection, params};

use super::leases::Leases;
use crate::domain::ordering::MessageGroup;
use crate::domain::senders::Sender;
use crate::domain::timestamp::Timestamp;
use crate::ports::Result;
use crate::ports::queue::Received;

/// Messages that were leased. Dropped with their receiver, as by a stop, they are free again.
pub struct Taken {
    leases: Arc<Mutex<Leases>>,
    messages: Vec<Received>,
    now: Timestamp,
}

impl Taken {
    /// The messages, for a receiver that has come.
    pub fn into_messages(mut self) -> Vec<Received> {
        std::mem::take(&mut self.messages)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if self.messages.is_empty() {
            return;
        }
        let mut leases = lock(&self.leases);
        for message in &self.messages {
            // Not given back, its lease runs out.
            let _ = leases.release(&message.handle, self.now, Duration::ZERO);
        }
    }
}

/// A panic elsewhere leaves the leases whole: every change to them is one step.
pub fn lock(leases: &Mutex<Leases>) -> MutexGuard<'_, Leases> {
    leases.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Leases up to `max` messages that are due at `now`. The outer error is the database's, the inner
/// one that of the file of messages in hand.
pub fn due(
    c: &Connection,
    leases: &Arc<Mutex<Leases>>,
    max: usize,
    now: Timestamp,
    until: Timestamp,
) -> rusqlite::Result<Result<Taken>> {
    let mut taken = Taken { leases: Arc::clone(leases), messages: Vec::new(), now };
    // The lock is held from before the first row is read: a lease ends only after its message's
    // row is gone, so a row that is seen and not leased is really there to be had.
    let mut leases = lock(leases);
    // Read from the index alone; bodies are read only of what is free.
    let mut due = c.prepare_cached(
        "SELECT seq FROM messages WHERE due_at <= ? ORDER BY due_at, seq LIMIT ?",
    )?;
    let limit = i64::try_from(max + leases.len()).unwrap_or(i64::MAX);
    let seqs: Vec<i64> = due
        .query_map(params![now.as_millis(), limit], |row| row.get(0))?
        .filter(|seq| seq.as_ref().map_or(true, |seq| leases.is_free(*seq, now)))
        .take(max)
        .collect::<rusqlite::Result<_>>()?;
    let mut body = c.prepare_cached(
        "SELECT message_id, sent_at, receives, state, body, ordering_group FROM messages
         WHERE seq = ?",
    )?;
    for seq in seqs {
        let (handle, lost) = leases.take(seq, until);
        let message = body.query_row([seq], |row| {
            Ok(Received {
                handle,
                message_id: row.get(0)?,
                sent_at: Timestamp::from_millis(row.get(1)?),
                receive_count: 1 + lost + row.get::<_, u32>(2)?,
                // Delays and releases make no copy here.
                hops: 0,
                moved_back: None,
                sent_by: Sender::Unknown,
                state: row.get::<_, Option<Vec<u8>>>(3)?.map(Bytes::from),
                body: Bytes::from(row.get::<_, Vec<u8>>(4)?),
                group: row.get::<_, Option<String>>(5)?.map(|name| MessageGroup::named(&name)),
            })
        });
        match message {
            Ok(message) => taken.messages.push(message),
            Err(error) => {
                drop(leases);
                return Err(error);
            }
        }
    }
    let written = leases.write();
    drop(leases);
    Ok(written.map(|()| taken))
}

/// When the first of the messages became due that are due at `now` and free to be taken.
pub fn earliest(
    c: &Connection,
    leases: &Mutex<Leases>,
    now: Timestamp,
) -> rusqlite::Result<Option<Timestamp>> {
    let leases = lock(leases);
    let mut due = c.prepare_cached(
        "SELECT seq, due_at FROM messages WHERE due_at <= ? ORDER BY due_at, seq LIMIT ?",
    )?;
    let limit = i64::try_from(leases.len() + 1).unwrap_or(i64::MAX);
    let mut rows = due.query(params![now.as_millis(), limit])?;
    while let Some(row) = rows.next()? {
        if leases.is_free(row.get(0)?, now) {
            return Ok(Some(Timestamp::from_millis(row.get(1)?)));
        }
    }
    Ok(None)
}
