//! The SQLite database: one thread that writes, with group commit, and one that reads.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use tokio::sync::oneshot;

use super::inbox::{self, Inbox, Sender, Urgency};
use super::log_file::LogFile;
use crate::ports::{Error, Result};

/// The layout of the tables; raised whenever `schema.sql` changes in a way that old code cannot use.
pub const SCHEMA_VERSION: i64 = 9;
/// Most jobs in one commit: bounds how long the first of them waits for the last.
const MAX_BATCH: usize = 512;
/// Pages that the connection keeps that writes, as `cache_size` has it: in KiB, negative. What is enqueued
/// is read, and removed, soon after.
const WRITER_CACHE: i64 = -16 * 1024;
/// How long a write waits for another process that is writing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Tells a caller how the commit of its job went.
type Completion = Box<dyn FnOnce(std::result::Result<(), String>) + Send>;
/// Work on the database; where there is no transaction to do it in, it is only told why.
type Work = Box<
    dyn FnOnce(
            std::result::Result<&Connection, &str>,
        ) -> std::result::Result<Completion, (Completion, String)>
        + Send,
>;

/// Work for one of the threads.
struct Job {
    work: Work,
    writes: bool,
}

/// A handle on the database; cheap to clone. The threads end when the last handle is dropped.
#[derive(Clone)]
pub struct Database {
    writer: Sender<Job>,
    reader: Sender<Job>,
    log: Arc<LogFile>,
}

impl Database {
    /// Opens the database file, and makes it if it is not there.
    ///
    /// # Errors
    /// If the file cannot be opened, or was written by a later version.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |e: rusqlite::Error| Error::new("database.open", e);
        let writer = connect(path).map_err(failed)?;
        writer.pragma_update(None, "cache_size", WRITER_CACHE).map_err(failed)?;
        let version: i64 =
            writer.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
        if version > SCHEMA_VERSION {
            let problem = format!(
                "{} has layout {version}, this program knows up to {SCHEMA_VERSION}: use a later version",
                path.display()
            );
            return Err(Error::new("database.open", problem));
        }
        if version < SCHEMA_VERSION {
            create_tables(&writer).map_err(failed)?;
        }
        let reader = connect(path).map_err(failed)?;
        Ok(Self {
            writer: spawn("sealpost-write", writer)?,
            reader: spawn("sealpost-read", reader)?,
            log: Arc::new(LogFile::of(path)),
        })
    }

    /// The log of its changes, of this process and of others.
    pub fn log(&self) -> &LogFile {
        &self.log
    }

    /// Runs `job` in a transaction, together with other jobs; returns when it is on the disk. An
    /// error of any job undoes the whole batch, so expected conditions are values, not errors.
    pub async fn write<T, F>(&self, operation: &'static str, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        submit(&self.writer, true, operation, job).await
    }

    /// The same for work that nobody waits for: `then` is told, on the thread that writes, how it went.
    pub fn write_then<T, F>(
        &self,
        urgency: Urgency,
        operation: &'static str,
        job: F,
        then: impl FnOnce(Result<T>) + Send + 'static,
    ) where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        self.writer.send(Job { work: wrap(operation, job, then), writes: true }, urgency);
    }

    /// Runs `job`, which only reads, on the thread that writes, whose connection has in its cache what was
    /// just written; `then` is told on that thread.
    pub fn read_then<T, F>(
        &self,
        operation: &'static str,
        job: F,
        then: impl FnOnce(Result<T>) + Send + 'static,
    ) where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let job = Job { work: wrap(operation, job, then), writes: false };
        self.writer.send(job, Urgency::AtOnce);
    }

    /// Runs `job`, which only reads, and sees all that `write` has returned before.
    pub async fn read<T, F>(&self, operation: &'static str, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        submit(&self.reader, false, operation, job).await
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // Twice the default: half as many pages to write for jobs of a kilobyte. A database that is there keeps its own.
    connection.pragma_update(None, "page_size", 8192)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // FULL: a commit returns when the log is on the disk, so that a power cut loses nothing.
    connection.pragma_update(None, "synchronous", "FULL")?;
    // In pages, 64 MiB: what is written several times meanwhile is moved once.
    connection.pragma_update(None, "wal_autocheckpoint", 8000)?;
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    // A plan that may depend on a parameter's value is made anew for every value ("Query Planner
    // Stability Guarantee"): here none is.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn create_tables(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    // Read again: another process may have done all this meanwhile.
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if (1..6).contains(&version) {
        connection.execute_batch(
            "ALTER TABLE messages ADD COLUMN ordering_group TEXT;
             ALTER TABLE messages ADD COLUMN position INTEGER;
             ALTER TABLE messages ADD COLUMN not_before INTEGER;
             ALTER TABLE dead_messages ADD COLUMN ordering_group TEXT;",
        )?;
    }
    connection.execute_batch(include_str!("schema.sql"))?;
    connection.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    connection.execute_batch("COMMIT")
}

fn spawn(name: &str, connection: Connection) -> Result<Sender<Job>> {
    let (sender, jobs) = inbox::inbox();
    let work = move || work_off(&connection, &jobs);
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(|e| Error::new("database.open", e))?;
    Ok(sender)
}

/// What writes shares a transaction; what only reads comes after it, and sees what is on the disk.
fn work_off(connection: &Connection, jobs: &Inbox<Job>) {
    while let Some(batch) = jobs.next_batch(MAX_BATCH) {
        let (writes, reads): (Vec<_>, Vec<_>) = batch.into_iter().partition(|job| job.writes);
        if !writes.is_empty() {
            write_batch(connection, writes);
        }
        read_batch(connection, reads);
    }
}

fn read_batch(connection: &Connection, jobs: Vec<Job>) {
    for job in jobs {
        match (job.work)(Ok(connection)) {
            Ok(complete) => complete(Ok(())),
            Err((complete, problem)) => complete(Err(problem)),
        }
    }
}

fn write_batch(connection: &Connection, jobs: Vec<Job>) {
    let mut completions = Vec::with_capacity(jobs.len());
    let mut result = run(connection, "BEGIN IMMEDIATE");
    for job in jobs {
        // Without a transaction, because it did not begin or because SQLite has undone it by itself,
        // each statement would stand for itself.
        if connection.is_autocommit() {
            result = result.and(Err("the transaction was lost".to_owned()));
        }
        match (job.work)(result.as_ref().map(|()| connection).map_err(String::as_str)) {
            Ok(complete) => completions.push(complete),
            Err((complete, problem)) => {
                completions.push(complete);
                result = result.and(Err(problem));
            }
        }
    }
    result = result.and_then(|()| run(connection, "COMMIT"));
    if result.is_err() {
        // Fails only where no transaction is open any more, which is what it is for.
        let _ = run(connection, "ROLLBACK");
    }
    for complete in completions {
        complete(result.clone());
    }
}

fn run(connection: &Connection, sql: &str) -> std::result::Result<(), String> {
    let executed = connection.prepare_cached(sql).and_then(|mut statement| statement.execute([]));
    executed.map(drop).map_err(|e| e.to_string())
}

async fn submit<T, F>(to: &Sender<Job>, writes: bool, operation: &'static str, job: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    // Nobody may be listening any more; the work is done all the same.
    let tell = move |done: Result<T>| drop(reply.send(done));
    to.send(Job { work: wrap(operation, job, tell), writes }, Urgency::AtOnce);
    answer.await.unwrap_or_else(|_| Err(Error::new(operation, "the database thread has ended")))
}

fn wrap<T, F>(
    operation: &'static str,
    job: F,
    then: impl FnOnce(Result<T>) + Send + 'static,
) -> Work
where
    T: Send + 'static,
    F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
{
    Box::new(move |connection| {
        let ran = connection
            .map_err(str::to_owned)
            .and_then(|connection| job(connection).map_err(|e| e.to_string()));
        match ran {
            Ok(value) => Ok(Box::new(move |committed: std::result::Result<(), String>| {
                let failed = |problem| Error::new(operation, problem);
                then(committed.map(|()| value).map_err(failed));
            })),
            Err(problem) => Err((
                Box::new(move |failed: std::result::Result<(), String>| {
                    then(Err(Error::new(operation, failed.err().unwrap_or_default())));
                }),
                problem,
            )),
        }
    })
}

#[cfg(test)]
impl Database {
    /// What SQLite says of how it finds the rows of a query, its parameters left open.
    pub async fn plan(&self, sql: &str) -> String {
        let sql = format!("EXPLAIN QUERY PLAN {sql}");
        let read = move |c: &Connection| {
            let mut statement = c.prepare(&sql)?;
            let (mut rows, mut lines) = (statement.raw_query(), Vec::<String>::new());
            while let Some(row) = rows.next()? {
                lines.push(row.get(3)?);
            }
            Ok(lines)
        };
        self.read("plan", read).await.unwrap().join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_failing_job_undoes_its_batch_and_says_so_to_everyone_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::open(&dir.path().join("t.db")).unwrap();
        let good = database
            .write("good", |c| c.execute("INSERT INTO dead_letters VALUES ('a', 1, '{}')", []));
        let bad = database.write("bad", |c| c.execute("INSERT INTO nonsense VALUES (1)", []));
        let (good, bad) = tokio::join!(good, bad);
        assert!(bad.is_err());
        let rows = |c: &Connection| {
            c.query_row("SELECT count(*) FROM dead_letters", [], |r| r.get::<_, i64>(0))
        };
        assert_eq!(database.read("count", rows).await.unwrap(), i64::from(good.is_ok()));
        let again = database
            .write("again", |c| c.execute("INSERT INTO dead_letters VALUES ('b', 1, '{}')", []));
        assert_eq!(again.await.unwrap(), 1);
    }

    #[tokio::test]
    async fn no_job_runs_outside_a_transaction() {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::open(&dir.path().join("t.db")).unwrap();
        let put = |id: &'static str| {
            database.write("put", move |c| {
                c.execute("INSERT INTO dead_letters VALUES (?, 1, '{}')", [id])
            })
        };
        // As SQLite does by itself when the disk is full.
        let undo = database.write("undo", |c| c.execute_batch("ROLLBACK"));
        let (first, undone, last) = tokio::join!(put("a"), undo, put("b"));
        let kept = |c: &Connection| {
            c.query_row("SELECT count(*) FROM dead_letters", [], |r| r.get::<_, usize>(0))
        };
        let told = [first.is_ok(), last.is_ok()].iter().filter(|ok| **ok).count();
        assert_eq!(database.read("count", kept).await.unwrap(), told, "{undone:?}");
        put("c").await.unwrap();
    }

    #[tokio::test]
    async fn messages_of_before_there_were_groups_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.db");
        let old = Connection::open(&path).unwrap();
        old.execute_batch(
            "CREATE TABLE messages (
                 seq INTEGER PRIMARY KEY AUTOINCREMENT, message_id TEXT NOT NULL,
                 due_at INTEGER NOT NULL, sent_at INTEGER NOT NULL,
                 receives INTEGER NOT NULL DEFAULT 0, state BLOB, body BLOB NOT NULL);
             CREATE TABLE dead_messages (
                 id TEXT PRIMARY KEY, message_id TEXT NOT NULL, sent_at INTEGER NOT NULL,
                 state BLOB, body BLOB NOT NULL) WITHOUT ROWID;
             INSERT INTO messages (message_id, due_at, sent_at, body) VALUES ('m', 1, 1, x'00');",
        )
        .unwrap();
        old.pragma_update(None, "user_version", 5).unwrap();
        for _ in 0..2 {
            let database = Database::open(&path).unwrap();
            let sql = "SELECT count(*) FROM messages WHERE ordering_group IS NULL";
            let kept = |c: &Connection| c.query_row(sql, [], |row| row.get::<_, i64>(0));
            assert_eq!(database.read("count", kept).await.unwrap(), 1);
        }
    }

    #[tokio::test]
    async fn a_database_of_a_later_version_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.db");
        Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
        assert!(Database::open(&path).err().unwrap().to_string().contains("later version"));
    }
}
