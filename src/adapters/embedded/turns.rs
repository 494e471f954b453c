//! Whose turn it is in an ordering group.
//!
//! Of a group only the head, the row with the smallest position, has a time at which it is due. The
//! others are due never; when the head's row goes, the next one's time is set, in the same
//! transaction. So whoever looks for what is due looks at no group, however many wait in it.

use rusqlite::{Connection, OptionalExtension, params};

use crate::domain::timestamp::Timestamp;

/// When a row is due that waits for others of its group.
const NEVER: i64 = i64::MAX;

/// A place in a group.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// The group, if there is one.
    pub group: Option<String>,
    /// The position in it; without one it is the last.
    pub position: Option<i64>,
}

/// Gives the row that was just inserted its place. Whatever is before it goes first.
pub fn line_up(c: &Connection, place: &Place) -> rusqlite::Result<()> {
    let Some(group) = &place.group else { return Ok(()) };
    let seq = c.last_insert_rowid();
    let position = place.position.unwrap_or(seq);
    let sql = "UPDATE messages SET ordering_group = ?1, position = ?2 WHERE seq = ?3";
    c.prepare_cached(sql)?.execute(params![group, position, seq])?;
    let before = "SELECT EXISTS (SELECT 1 FROM messages WHERE ordering_group = ? AND position < ?)";
    let waits: bool =
        c.prepare_cached(before)?.query_row(params![group, position], |row| row.get(0))?;
    if waits {
        let sql = "UPDATE messages SET not_before = due_at, due_at = ? WHERE seq = ?";
        c.prepare_cached(sql)?.execute(params![NEVER, seq])?;
    }
    Ok(())
}

/// Lets the group go on whose head's row is gone; whether there is a next one.
pub fn go_on(c: &Connection, group: &str, now: Timestamp) -> rusqlite::Result<bool> {
    let head = "SELECT seq FROM messages WHERE ordering_group = ? ORDER BY position LIMIT 1";
    let head: Option<i64> =
        c.prepare_cached(head)?.query_row([group], |row| row.get(0)).optional()?;
    let Some(head) = head else { return Ok(false) };
    let sql = "UPDATE messages SET due_at = max(not_before, ?), not_before = NULL
               WHERE seq = ? AND due_at = ?";
    c.prepare_cached(sql)?.execute(params![now.as_millis(), head, NEVER]).map(|went| went > 0)
}
