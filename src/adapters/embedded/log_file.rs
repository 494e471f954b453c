//! Whether something was written since: what the database's log file (SQLite's write-ahead log) tells,
//! without asking SQLite.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A file's time may be this much coarser than the clock: a file that was written so lately may be
/// written once more and look the same.
const COARSE: Duration = Duration::from_millis(500);

/// The log of a database.
#[derive(Debug, Clone)]
pub struct LogFile(PathBuf);

/// How the log stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    written: SystemTime,
    len: u64,
}

impl LogFile {
    /// The log of the database at `path`.
    pub fn of(path: &Path) -> Self {
        let mut name = path.as_os_str().to_owned();
        name.push("-wal");
        Self(name.into())
    }

    /// How it stands: the same as before if nothing was written. `None` where that cannot be told,
    /// as just after a write, or after the clock was set back.
    pub fn mark(&self) -> Option<Mark> {
        let metadata = std::fs::metadata(&self.0).ok()?;
        let written = metadata.modified().ok()?;
        let is_settled = written.elapsed().is_ok_and(|age| age >= COARSE);
        is_settled.then_some(Mark { written, len: metadata.len() })
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{File, FileTimes};
    use std::io::Write;

    use super::*;

    fn set(file: &File, written: SystemTime) {
        file.set_times(FileTimes::new().set_modified(written)).unwrap();
    }

    #[test]
    fn a_log_that_was_not_written_has_the_same_mark_and_a_written_one_another() {
        let dir = tempfile::tempdir().unwrap();
        let log = LogFile::of(&dir.path().join("t.db"));
        assert_eq!(log.mark(), None, "there is none yet");
        let mut file = File::create(dir.path().join("t.db-wal")).unwrap();
        assert_eq!(log.mark(), None, "it was made just now");
        let now = file.metadata().unwrap().modified().unwrap();
        set(&file, now - Duration::from_secs(10));
        let before = log.mark();
        assert!(before.is_some());
        assert_eq!(log.mark(), before);
        file.write_all(b"frame").unwrap();
        assert_eq!(log.mark(), None);
        set(&file, now - Duration::from_secs(5));
        assert_ne!(log.mark(), before);
        set(&file, now + Duration::from_secs(5));
        assert_eq!(log.mark(), None, "whether it is old cannot be told");
    }
}
