//! What the process that receives has in hand of the queue: messages that it has leased, and such as it
//! has read ahead and leases when a receiver asks for them.
//!
//! What is read ahead is nobody's: other processes add messages and take none away, and those that fall
//! due later come after it. The thread that writes reads it: what was enqueued just now is in its cache,
//! and what it removes next is there then.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rusqlite::{Connection, Statement, params};

use super::in_flight::InFlight;
use super::leases::{Held, Leases};
use super::log_file::Mark;
use crate::domain::ordering::MessageGroup;
use crate::domain::senders::Sender;
use crate::domain::timestamp::Timestamp;
use crate::ports::Result;
use crate::ports::queue::{Handle, Received};

/// Most messages in one reading.
const MOST: usize = 256;
/// Bytes of bodies after which it ends.
const MOST_BYTES: usize = 1024 * 1024;
/// With fewer left than these, the next reading is made while they are handed out.
const FEW: usize = 128;

/// A message's row, read and not leased.
struct Row {
    seq: i64,
    message_id: String,
    sent_at: Timestamp,
    receives: u32,
    state: Option<Bytes>,
    body: Bytes,
    group: Option<MessageGroup>,
}

/// Leases, and what was read ahead.
pub struct Hands {
    leases: Leases,
    ahead: VecDeque<Row>,
    /// The last reading left something.
    is_more: bool,
    /// A reading has begun, and what it found is not here yet.
    is_reading: bool,
    nothing: Option<Nothing>,
}

/// The last reading found nothing, and what it left out is in hand.
#[derive(Clone, Copy)]
struct Nothing {
    /// How the log stood before.
    log: Mark,
    /// When something will be due, unless more is sent.
    until: Option<Timestamp>,
}

/// What a reading found.
pub struct Found {
    rows: Vec<Row>,
    is_more: bool,
    /// When something will be due, if nothing is: `None` for never.
    next: Option<Timestamp>,
}

/// A panic elsewhere leaves them whole: every change is one step.
pub fn lock(hands: &Mutex<Hands>) -> MutexGuard<'_, Hands> {
    hands.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hands {
    /// Empty hands.
    pub fn new(in_flight: InFlight) -> Self {
        let leases = Leases::new(in_flight);
        let ahead = VecDeque::new();
        Self { leases, ahead, is_more: false, is_reading: false, nothing: None }
    }

    /// Leases up to `max` of the messages that were read ahead.
    ///
    /// # Errors
    /// If it cannot be written down that they are in hand; they are not, then.
    pub fn hand_out(
        &mut self,
        max: usize,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Received>> {
        let count = max.min(self.ahead.len());
        let (leases, mut received) = (&mut self.leases, Vec::with_capacity(count));
        for row in self.ahead.drain(..count) {
            if leases.is_free(row.seq, now) {
                let (handle, lost) = leases.take(row.seq, until, row.group.is_some());
                received.push(row.into_received(handle, lost));
            }
        }
        if let Err(error) = leases.write() {
            for message in &received {
                // Not given back, its lease runs out.
                let _ = leases.release(&message.handle, now, Duration::ZERO);
            }
            return Err(error);
        }
        Ok(received)
    }

    /// Whether it is time to read on, so that hands need not wait for it.
    pub fn wants_more(&self) -> bool {
        self.is_more && !self.is_reading && self.ahead.len() < FEW
    }

    /// Begins a reading: the messages that it is to leave out. `None` if it is not needed, or one has
    /// begun.
    fn begin(&mut self, now: Timestamp) -> Option<HashSet<i64>> {
        if self.is_reading || self.ahead.len() >= FEW {
            return None;
        }
        self.is_reading = true;
        let mut known = self.leases.held(now);
        known.extend(self.ahead.iter().map(|row| row.seq));
        Some(known)
    }

    /// Ends a reading; `found` if one was made. `log` is how the log stood before, where that is known.
    pub fn end(&mut self, found: Option<Found>, log: Option<Mark>) {
        let Some(Found { rows, is_more, next }) = found else { return };
        self.is_reading = false;
        self.ahead.extend(rows);
        self.is_more = is_more;
        let until = next.into_iter().chain(self.leases.first_end()).min();
        self.nothing = log.filter(|_| self.ahead.is_empty()).map(|log| Nothing { log, until });
    }

    /// Ends a reading that failed.
    pub fn fail(&mut self) {
        self.is_reading = false;
    }

    /// Whether nothing can have fallen due since the last reading, if the log stands at `log`.
    pub fn has_nothing(&self, log: Option<Mark>, now: Timestamp) -> bool {
        self.nothing.is_some_and(|nothing| {
            log == Some(nothing.log) && nothing.until.is_none_or(|until| now < until)
        })
    }

    /// The message that `handle` holds; `None` if the handle is stale or its message settled.
    pub fn holder(&self, handle: &Handle) -> Option<Held> {
        self.leases.holder(handle)
    }

    /// Renews the leases of `handles`.
    pub fn extend(&mut self, handles: &[Handle], until: Timestamp) {
        handles.iter().for_each(|handle| self.leases.extend(handle, until));
    }

    /// Gives a lease back: the message can be received from `now + delay`.
    pub fn release(&mut self, handle: &Handle, now: Timestamp, delay: Duration) -> Result<()> {
        self.nothing = None;
        self.leases.release(handle, now, delay)
    }

    /// Ends the lease on a message that is gone.
    pub fn settled(&mut self, seq: i64, now: Timestamp) {
        if self.leases.is_free(seq, now) {
            // Its lease had run out, and it may have been read since.
            self.ahead.retain(|row| row.seq != seq);
        }
        self.leases.settled(seq);
    }
}

impl Row {
    fn into_received(self, handle: Handle, lost: u32) -> Received {
        Received {
            handle,
            message_id: self.message_id,
            sent_at: self.sent_at,
            receive_count: 1 + lost + self.receives,
            // Delays and releases make no copy here.
            hops: 0,
            moved_back: None,
            sent_by: Sender::Unknown,
            state: self.state,
            body: self.body,
            group: self.group,
        }
    }
}

/// Reads ahead what is due at `now`, for [`Hands::end`]; `None` if that is not needed.
pub fn read_ahead(
    c: &Connection,
    hands: &Mutex<Hands>,
    now: Timestamp,
) -> rusqlite::Result<Option<Found>> {
    let Some(known) = lock(hands).begin(now) else { return Ok(None) };
    // Read from the index alone; bodies are read only of what is free.
    let mut due = c.prepare_cached(
        "SELECT seq FROM messages WHERE due_at <= ? ORDER BY due_at, seq LIMIT ?",
    )?;
    let mut body = c.prepare_cached(
        "SELECT message_id, sent_at, receives, state, body, ordering_group FROM messages
         WHERE seq = ?",
    )?;
    let limit = i64::try_from(MOST + known.len()).unwrap_or(i64::MAX);
    let seqs = due.query_map(params![now.as_millis(), limit], |row| row.get(0))?;
    let (mut rows, mut bytes, mut is_more) = (Vec::new(), 0, false);
    for seq in seqs {
        let seq = seq?;
        if known.contains(&seq) {
            continue;
        }
        if rows.len() == MOST || bytes >= MOST_BYTES {
            is_more = true;
            break;
        }
        let Some(row) = read(&mut body, seq)? else { continue };
        bytes += row.body.len();
        rows.push(row);
    }
    // The limit cuts off what may be there.
    is_more |= rows.len() == MOST;
    let next = if rows.is_empty() { next_due(c, now)? } else { None };
    Ok(Some(Found { rows, is_more, next }))
}

fn read(body: &mut Statement<'_>, seq: i64) -> rusqlite::Result<Option<Row>> {
    let mut rows = body.query([seq])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some(Row {
        seq,
        message_id: row.get(0)?,
        sent_at: Timestamp::from_millis(row.get(1)?),
        receives: row.get(2)?,
        state: row.get::<_, Option<Vec<u8>>>(3)?.map(Bytes::from),
        body: Bytes::from(row.get::<_, Vec<u8>>(4)?),
        group: row.get::<_, Option<String>>(5)?.map(|name| MessageGroup::named(&name)),
    }))
}

fn next_due(c: &Connection, now: Timestamp) -> rusqlite::Result<Option<Timestamp>> {
    let sql = "SELECT min(due_at) FROM messages WHERE due_at > ?";
    let next: Option<i64> =
        c.prepare_cached(sql)?.query_row([now.as_millis()], |row| row.get(0))?;
    Ok(next.map(Timestamp::from_millis))
}

/// When the first of the messages became due that are due at `now` and free to be taken.
pub fn earliest(
    c: &Connection,
    hands: &Mutex<Hands>,
    now: Timestamp,
) -> rusqlite::Result<Option<Timestamp>> {
    let in_hand = lock(hands).leases.held(now);
    let mut due = c.prepare_cached(
        "SELECT seq, due_at FROM messages WHERE due_at <= ? ORDER BY due_at, seq LIMIT ?",
    )?;
    let limit = i64::try_from(in_hand.len() + 1).unwrap_or(i64::MAX);
    let mut rows = due.query(params![now.as_millis(), limit])?;
    while let Some(row) = rows.next()? {
        if !in_hand.contains(&row.get(0)?) {
            return Ok(Some(Timestamp::from_millis(row.get(1)?)));
        }
    }
    Ok(None)
}
