//! The rows of messages: what one statement or two do to them, within a transaction.

use rusqlite::{Connection, OptionalExtension, Statement, params};

use super::turns::{self, Place};
use crate::domain::timestamp::Timestamp;
use crate::ports::queue::{NewMessage, Redrive};

/// Rows that one statement puts in.
const TOGETHER: usize = 16;

/// Puts messages in, each with its id.
pub fn insert_all(
    c: &Connection,
    (ids, messages): (&[String], &[NewMessage]),
    now: Timestamp,
) -> rusqlite::Result<()> {
    let in_groups = messages.iter().any(|message| message.group.is_some());
    let mut rest = (ids, messages);
    if !in_groups && messages.len() >= TOGETHER {
        let sql = format!("{INSERT}{}", ", (?, ?, ?, ?, ?)".repeat(TOGETHER - 1));
        let mut statement = c.prepare_cached(&sql)?;
        let (ids, last_ids) = rest.0.as_chunks::<TOGETHER>();
        let (messages, last) = rest.1.as_chunks::<TOGETHER>();
        for (ids, messages) in ids.iter().zip(messages) {
            for (index, (id, message)) in ids.iter().zip(messages).enumerate() {
                bind(&mut statement, index * 5, id, message, (now, now))?;
            }
            statement.raw_execute()?;
        }
        rest = (last_ids, last);
    }
    for (id, message) in rest.0.iter().zip(rest.1) {
        insert(c, id, message, now, now)?;
        let group = message.group.as_ref().map(ToString::to_string);
        turns::line_up(c, &Place { group, position: None })?;
    }
    Ok(())
}

const INSERT: &str =
    "INSERT INTO messages (message_id, due_at, sent_at, state, body) VALUES (?, ?, ?, ?, ?)";

/// Puts a message in.
pub fn insert(
    c: &Connection,
    message_id: &str,
    message: &NewMessage,
    sent_at: Timestamp,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let mut statement = c.prepare_cached(INSERT)?;
    bind(&mut statement, 0, message_id, message, (sent_at, now))?;
    statement.raw_execute().map(drop)
}

/// Binds a row's five parameters, which stand after `before` others.
fn bind(
    statement: &mut Statement<'_>,
    before: usize,
    message_id: &str,
    message: &NewMessage,
    (sent_at, now): (Timestamp, Timestamp),
) -> rusqlite::Result<()> {
    let due = message.not_before.map_or(now, |at| at.max(now));
    statement.raw_bind_parameter(before + 1, message_id)?;
    statement.raw_bind_parameter(before + 2, due.as_millis())?;
    statement.raw_bind_parameter(before + 3, sent_at.as_millis())?;
    statement.raw_bind_parameter(before + 4, message.state.as_deref())?;
    statement.raw_bind_parameter(before + 5, &message.body[..])
}

/// What was known of a row that is gone.
pub struct Removed {
    /// The id of the producer's message.
    pub message_id: String,
    /// When it was accepted.
    pub sent_at: Timestamp,
    /// Its place in a group.
    pub place: Place,
}

/// Takes a message out.
pub fn take_out(c: &Connection, seq: i64) -> rusqlite::Result<Option<Removed>> {
    let sql = "DELETE FROM messages WHERE seq = ?
               RETURNING message_id, sent_at, ordering_group, position";
    let removed = |row: &rusqlite::Row<'_>| {
        let sent_at = Timestamp::from_millis(row.get(1)?);
        let place = Place { group: row.get(2)?, position: row.get(3)? };
        Ok(Removed { message_id: row.get(0)?, sent_at, place })
    };
    c.prepare_cached(sql)?.query_row([seq], removed).optional()
}

/// Removes a message for good, and lets its group go on, if it has one.
pub fn remove(c: &Connection, seq: i64, now: Timestamp) -> rusqlite::Result<bool> {
    // RETURNING would make a table for its one row, which costs more than looking twice.
    let sql = "SELECT ordering_group FROM messages WHERE seq = ?";
    let group: Option<Option<String>> =
        c.prepare_cached(sql)?.query_row([seq], |row| row.get(0)).optional()?;
    c.prepare_cached("DELETE FROM messages WHERE seq = ?")?.execute([seq])?;
    group.flatten().map_or(Ok(false), |group| turns::go_on(c, &group, now))
}

/// Moves a dead letter back; whether it was there.
pub fn redrive(c: &Connection, letter: &Redrive, now: Timestamp) -> rusqlite::Result<bool> {
    let sql = "INSERT INTO messages (message_id, due_at, sent_at, state, body)
               SELECT message_id, ?2, ?2, ?3, body FROM dead_messages WHERE id = ?1";
    let state = letter.state.as_deref();
    let copied =
        c.prepare_cached(sql)?.execute(params![letter.dead_letter_id, now.as_millis(), state])?;
    let sql = "DELETE FROM dead_messages WHERE id = ? RETURNING ordering_group";
    let group = c.prepare_cached(sql)?.query_row([&letter.dead_letter_id], |row| row.get(0));
    if let Some(group) = group.optional()? {
        turns::line_up(c, &Place { group, position: None })?;
    }
    Ok(copied > 0)
}

/// Counts a lost receipt of each.
pub fn count_lost(c: &Connection, lost: &[i64]) -> rusqlite::Result<()> {
    let mut statement =
        c.prepare_cached("UPDATE messages SET receives = receives + 1 WHERE seq = ?")?;
    lost.iter().try_for_each(|seq| statement.execute([seq]).map(drop))
}
