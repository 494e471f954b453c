//! Whether anybody has changed endpoints, their health or their secrets: triggers of the database count
//! it, whichever process writes. One small reading now and then spares one of each cached value.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::time::Instant;

use super::database::Database;
use crate::ports::{Changes, Result};

/// The changes in a data directory.
pub struct SqliteChanges {
    database: Database,
    /// What was seen within this time is known.
    lasts: Duration,
    seen: Arc<Mutex<Seen>>,
}

struct Seen {
    /// The changes that were counted.
    count: i64,
    /// What was read from here on has in it all that was counted.
    since: Instant,
    /// When the last look began: what was changed later it may not have seen.
    looked: Instant,
    is_looking: bool,
}

impl SqliteChanges {
    /// Of a database. What was changed is known within `lasts`.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn open(database: Database, lasts: Duration) -> Result<Self> {
        let looked = Instant::now();
        let count = database.read("changes.count", count).await?;
        let seen = Seen { count, since: Instant::now(), looked, is_looking: false };
        Ok(Self { database, lasts, seen: Arc::new(Mutex::new(seen)) })
    }

    fn look(&self) {
        let (database, seen, begun) =
            (self.database.clone(), Arc::clone(&self.seen), Instant::now());
        tokio::spawn(async move {
            let count = database.read("changes.count", count).await;
            lock(&seen).note(count, begun, Instant::now());
        });
    }
}

impl Changes for SqliteChanges {
    fn none_since(&self, then: Instant) -> bool {
        let mut seen = lock(&self.seen);
        let age = seen.looked.elapsed();
        if !seen.is_looking && age >= self.lasts / 2 {
            seen.is_looking = true;
            self.look();
        }
        age < self.lasts && then >= seen.since
    }
}

impl Seen {
    /// Notes what a look found. A change may have been made while it lasted, after what somebody else
    /// read meanwhile: so only what is read from its end on is known to have it.
    fn note(&mut self, count: Result<i64>, begun: Instant, ended: Instant) {
        self.is_looking = false;
        // Without an answer nothing is known any more, and values are read one by one.
        let Ok(count) = count else { return };
        if self.count != count {
            (self.count, self.since) = (count, ended);
        }
        self.looked = begun;
    }
}

fn count(c: &Connection) -> rusqlite::Result<i64> {
    c.prepare_cached("SELECT count FROM changes")?.query_row([], |row| row.get(0))
}

/// Nothing panics while it is held.
fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LASTS: Duration = Duration::from_secs(1);

    /// Waits for a look that begins now; nothing tells of its end.
    async fn looked(changes: &SqliteChanges, then: Instant) -> bool {
        let ended = async || {
            while lock(&changes.seen).is_looking {
                tokio::task::yield_now().await;
            }
        };
        ended().await;
        changes.none_since(then);
        ended().await;
        changes.none_since(then)
    }

    async fn write(database: &Database, sql: &'static str) {
        database.write("test", move |c| c.execute_batch(sql)).await.unwrap();
    }

    #[tokio::test]
    async fn every_change_is_seen_and_nothing_else_is_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.db");
        let (own, other) = (Database::open(&path).unwrap(), Database::open(&path).unwrap());
        // Nothing lasts: each question makes a look.
        let changes = SqliteChanges::open(own, Duration::ZERO).await.unwrap();
        let count = || lock(&changes.seen).count;
        let mut before = count();
        for sql in [
            "INSERT INTO endpoints VALUES ('c', 'e', 1, 1, '{}')",
            "UPDATE endpoints SET config = NULL",
            "DELETE FROM endpoints",
            "INSERT INTO health VALUES ('c', 'e', 1, '{}')",
            "INSERT OR REPLACE INTO health VALUES ('c', 'e', 1, '{}')",
            "DELETE FROM health",
            "INSERT INTO secrets VALUES ('c', 's', 1, '{}')",
            "UPDATE secrets SET version = 2",
            "DELETE FROM secrets",
        ] {
            write(&other, sql).await;
            looked(&changes, Instant::now()).await;
            let after = count();
            assert!(after > before, "{sql}");
            before = after;
        }
        write(
            &other,
            "INSERT INTO messages (message_id, due_at, sent_at, body) VALUES ('m', 1, 1, x'00')",
        )
        .await;
        looked(&changes, Instant::now()).await;
        assert_eq!(count(), before);
    }

    #[test]
    fn what_was_read_while_a_look_found_a_change_may_not_have_it() {
        let begun = Instant::now();
        let (read, ended) = (begun + LASTS / 10, begun + LASTS / 5);
        let mut seen = Seen { count: 1, since: begun, looked: begun, is_looking: true };
        seen.note(Ok(2), begun, ended);
        assert!(read < seen.since && ended >= seen.since);
        assert_eq!(seen.looked, begun);
    }

    #[tokio::test]
    async fn what_was_read_before_a_change_is_not_known_to_be_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::open(&dir.path().join("t.db")).unwrap();
        let early = Instant::now();
        let changes = SqliteChanges::open(database.clone(), LASTS).await.unwrap();
        assert!(!changes.none_since(early), "what was before the first look is not known");
        let read = Instant::now();
        assert!(changes.none_since(read));
        write(&database, "INSERT INTO endpoints VALUES ('c', 'e', 1, 1, '{}')").await;
        assert!(changes.none_since(read), "it is looked at now and then only");
        tokio::time::pause();
        tokio::time::advance(LASTS).await;
        tokio::time::resume();
        assert!(!looked(&changes, read).await);
        assert!(changes.none_since(Instant::now()));
    }
}
