//! The directory and its files.

use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::UNIX_EPOCH;

use rustix::fs::statvfs;
use rustix::process::geteuid;

use super::super::data_dir::DataDir;
use super::super::key_file::KeyFile;
use crate::domain::check::{self, Check, look};
use crate::domain::timestamp::Timestamp;

/// Less than this is warned of, in bytes: the write-ahead log alone may take 64 MiB.
const FEW: u64 = 1 << 30;
/// With less than this nothing goes on for long.
const TOO_FEW: u64 = 128 << 20;

/// That it is there, whose it is, and who may read it.
pub fn directory(data: &DataDir) -> Vec<Check> {
    let shown = data.root().display().to_string();
    let subject = look("data.directory", &shown);
    let metadata = match std::fs::metadata(data.root()) {
        Ok(metadata) if metadata.is_dir() => metadata,
        Ok(_) => {
            return vec![subject.failed("a file", "a directory", "name another one with --data")];
        }
        Err(error) => {
            let mend =
                "name the right one with --data (SEALPOST_DATA); `sealpost serve` makes a new one";
            return vec![subject.failed(error.to_string(), "the data directory", mend)];
        }
    };
    let mode = metadata.permissions().mode() & 0o777;
    let found = format!("mode {mode:03o}");
    let mend = format!("chmod 700 {shown}");
    let mode = match mode & 0o077 {
        0 => subject.ok(found),
        others if others & 0o022 != 0 => {
            subject.failed(found, "700: others can replace its files", mend)
        }
        _ => subject.warning(found, "700: others can read jobs and addresses", mend),
    };
    vec![mode, owner(&shown, metadata.uid())]
}

fn owner(shown: &str, owner: u32) -> Check {
    let (subject, ours) = (look("data.owner", shown), geteuid().as_raw());
    if owner == ours {
        return subject.ok(format!("user {owner}"));
    }
    let found = format!("belongs to user {owner}, and this is user {ours}");
    let mend = format!("run sealpost as user {owner}, or chown -R {ours} {shown}");
    subject.warning(found, "one user for the files and every sealpost command", mend)
}

/// That it is there, that nobody else reads it, and that it holds keys.
pub fn key_file(data: &DataDir) -> Check {
    let path = data.key_file();
    let subject = look("data.key_file", path.display().to_string());
    let error = match KeyFile::open(&path) {
        Ok(_) => return subject.ok("mode 600, and it holds keys"),
        Err(error) => error,
    };
    let (expected, mend) = match std::fs::metadata(&path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => (
            "the key file, without which no secret opens",
            "put it back from where it is kept before anything else runs here: the next command makes a new \
             one, which opens nothing"
                .to_owned(),
        ),
        Ok(metadata) if metadata.permissions().mode() & 0o077 != 0 => {
            ("mode 600: no others read it", format!("chmod 600 {}", path.display()))
        }
        Ok(_) | Err(_) => (
            "a key file that its owner can read",
            "put it back from where it is kept; see whose it is".to_owned(),
        ),
    };
    subject.failed(error.source.to_string(), expected, mend)
}

/// How much room there is on the disk.
pub fn space(data: &DataDir) -> Check {
    let subject = look("data.space", data.root().display().to_string());
    let free = match statvfs(data.root()) {
        Ok(disk) => disk.f_bavail.saturating_mul(disk.f_frsize),
        Err(error) => return subject.skipped(error.to_string()),
    };
    let found = format!("{} MiB free", free >> 20);
    let mend = "make room, or move the directory (docs/OPERATIONS.md, \"Move in the file system\")";
    let expected = "at least 1024 MiB";
    match free {
        ..TOO_FEW => subject.failed(found, expected, mend),
        TOO_FEW..FEW => subject.warning(found, expected, mend),
        FEW.. => subject.ok(found),
    }
}

/// Whether a worker has it. Asks the system's list of locks: to try the lock could turn a worker away that
/// begins at the same moment.
pub fn worker(data: &DataDir) -> Check {
    let subject = look("data.worker", data.lock_file().display().to_string());
    let Ok(metadata) = std::fs::metadata(data.lock_file()) else {
        return subject.ok("no worker has run here yet");
    };
    let Ok(locks) = std::fs::read_to_string("/proc/locks") else {
        return subject.skipped("the system does not list its locks");
    };
    let inode = format!(":{}", metadata.ino());
    let is_it = |line: &str| {
        let mut words = line.split_whitespace();
        words.clone().any(|word| word == "FLOCK") && words.any(|word| word.ends_with(&inode))
    };
    if locks.lines().any(is_it) {
        return subject.ok("a worker is running");
    }
    subject.ok("no worker is running: jobs wait until `sealpost serve` does")
}

/// A clock that was set back shows by what was written since. It is all that can be seen without asking
/// anybody.
pub fn clock(data: &DataDir, now: Timestamp) -> Check {
    let database = data.database();
    let log = database.with_extension("db-wal");
    let last = [database, log].iter().filter_map(|path| changed(path)).max();
    let subject = look("clock.skew", "this machine's clock against the database's last change");
    let Some(last) = last else { return subject.skipped("there is nothing to compare with") };
    match now.as_secs().saturating_sub(last) {
        0.. => subject.ok("not behind; no service that knows the time was asked"),
        behind => check::clock(subject, behind),
    }
}

fn changed(path: &Path) -> Option<i64> {
    let modified = std::fs::metadata(path).ok()?.modified().ok()?;
    i64::try_from(modified.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
}
