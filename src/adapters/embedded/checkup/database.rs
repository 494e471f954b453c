//! The database, opened to be read alone.

use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::super::database::SCHEMA_VERSION;
use crate::domain::check::{Check, look};

/// The journal's mode that every command sets.
const WAL: &str = "wal";
/// Longest time for looking through every page.
const PATIENCE: Duration = Duration::from_secs(30);

/// Looks into the database; and whether it can be opened without changing it.
pub fn examine(path: &Path) -> (Vec<Check>, bool) {
    let shown = path.display().to_string();
    let opened = look("data.database", &shown);
    if !path.is_file() {
        let mend =
            "name the right directory with --data, or restore it; `sealpost serve` makes a new one";
        return (vec![opened.failed("there is none", "the database", mend)], false);
    }
    let mend = "restore the directory from its last backup (docs/OPERATIONS.md, \"Back up\")";
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let read = Connection::open_with_flags(path, flags).and_then(|connection| {
        let version = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let mode = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        Ok((connection, version, mode))
    });
    let (connection, version, mode): (Connection, i64, String) = match read {
        Ok(read) => read,
        Err(error) => return (vec![opened.failed(error.to_string(), "a database", mend)], false),
    };
    let checks = vec![
        opened.ok("it opens"),
        layout(&shown, version),
        journal(&shown, &mode),
        pages(&shown, connection),
    ];
    (checks, version == SCHEMA_VERSION && mode == WAL)
}

fn layout(shown: &str, version: i64) -> Check {
    let (subject, found) = (look("data.layout", shown), format!("layout {version}"));
    let expected = format!("layout {SCHEMA_VERSION}");
    if version > SCHEMA_VERSION {
        return subject.failed(found, expected, "run a later version of sealpost");
    }
    if version < SCHEMA_VERSION {
        let mend = "back the directory up; the next command of this version brings it up to date";
        return subject.warning(found, expected, mend);
    }
    subject.ok(found)
}

fn journal(shown: &str, mode: &str) -> Check {
    let subject = look("data.journal", shown);
    if mode == WAL {
        return subject.ok(mode);
    }
    subject.warning(mode, WAL, "run any command here: each one sets it")
}

/// SQLite's own check of every page, cut short where it takes long.
fn pages(shown: &str, connection: Connection) -> Check {
    let subject = look("data.pages", shown);
    let (done, wait) = mpsc::channel::<()>();
    let interrupt = connection.get_interrupt_handle();
    let watch = thread::spawn(move || {
        if wait.recv_timeout(PATIENCE).is_err_and(|e| e == mpsc::RecvTimeoutError::Timeout) {
            interrupt.interrupt();
        }
    });
    let found: rusqlite::Result<String> =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
    drop(done);
    // It ends as soon as nobody can send.
    let _ = watch.join();
    match found {
        Ok(found) if found == "ok" => subject.ok("every page is sound"),
        Err(error)
            if error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) =>
        {
            subject.skipped("it took longer than 30 s: run `PRAGMA quick_check` on a copy")
        }
        found => {
            let found = found.unwrap_or_else(|error| error.to_string());
            let mend = "stop the worker, and restore the directory from its last backup";
            subject.failed(found, "every page is sound", mend)
        }
    }
}
