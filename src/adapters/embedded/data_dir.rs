//! The data directory: where its files lie, and the lock that one worker holds.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::ports::{Error, Result};

/// A data directory.
#[derive(Debug, Clone)]
pub struct DataDir {
    root: PathBuf,
}

/// Held while this process works on the directory's queue.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: File,
}

impl DataDir {
    /// Opens the directory; makes it, for its owner only, if it is not there.
    pub fn open(root: &Path) -> Result<Self> {
        let failed =
            |e: io::Error| Error::new("data directory", format!("{}: {e}", root.display()));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(root).map_err(failed)?;
        Ok(Self { root: root.to_owned() })
    }

    /// The directory as it is, which may not be there: nothing is made.
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The file that the worker locks.
    pub fn lock_file(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// The database file.
    pub fn database(&self) -> PathBuf {
        self.root.join("sealpost.db")
    }

    /// The key file, where the configuration names no other.
    pub fn key_file(&self) -> PathBuf {
        self.root.join("sealpost.key")
    }

    /// The list of messages in flight.
    pub fn in_flight(&self) -> PathBuf {
        self.root.join("in-flight")
    }

    /// Takes the lock that makes this process the directory's one worker.
    ///
    /// # Errors
    /// If another process holds it.
    pub fn lock(&self) -> Result<DirectoryLock> {
        let path = self.lock_file();
        let failed = |problem: String| Error::new("data directory", problem);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(|e| failed(format!("{}: {e}", path.display())))?;
        match file.try_lock() {
            Ok(()) => Ok(DirectoryLock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(failed(format!(
                "{} is in use by another sealpost worker: stop it, or use another directory",
                self.root.display()
            ))),
            Err(TryLockError::Error(e)) => Err(failed(format!("{}: {e}", path.display()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_one_worker_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(dir.path()).unwrap();
        let lock = data.lock().unwrap();
        assert!(data.lock().unwrap_err().to_string().contains("in use"));
        drop(lock);
        assert!(data.lock().is_ok());
    }
}
