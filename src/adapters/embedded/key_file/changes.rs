//! Adds keys to a key file and removes them, beside any number of processes that read it: the new file
//! is written beside the old one, put on the disk, and renamed into its place.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{MutexGuard, PoisonError};

use super::{Document, DocumentKey, ID_LEN, Id, KeyFile, refuse, sync_directory, write_beside};
use crate::ports::master_keys::{MasterKey, MasterKeyId, MasterKeys, Removed};
use crate::ports::{Error, Result};

fn name(id: Id) -> MasterKeyId {
    MasterKeyId(id.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn rename_into_place(path: &Path, document: &Document) -> std::io::Result<()> {
    let beside = write_beside(path, document)?;
    if let Err(error) = std::fs::rename(&beside, path) {
        std::fs::remove_file(&beside)?;
        return Err(error);
    }
    sync_directory(path)
}

impl KeyFile {
    /// Where the file itself lies: a link to it stays a link.
    fn target(&self) -> Result<PathBuf> {
        std::fs::canonicalize(&self.path).map_err(|e| refuse(&self.path, &e.to_string()))
    }

    fn removed(&self) -> MutexGuard<'_, Vec<DocumentKey>> {
        self.removed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the file while no other process does; `change` tells whether there is anything to write.
    fn change<T>(&self, change: impl FnOnce(&mut Document) -> (bool, T)) -> Result<T> {
        let path = self.target()?;
        let _lock = lock(&path)?;
        let mut document = Document::read(&path)?;
        let (is_changed, told) = change(&mut document);
        if is_changed {
            // What could not be read again is not written.
            document.wrapping_keys(&path)?;
            rename_into_place(&path, &document).map_err(|e| refuse(&path, &e.to_string()))?;
        }
        self.read_anew()?;
        Ok(told)
    }
}

fn lock(path: &Path) -> Result<File> {
    let path = path.with_extension("key-lock");
    let failed = |e: std::io::Error| refuse(&path, &e.to_string());
    let mut options = OpenOptions::new();
    let options = options.create(true).truncate(false).write(true).mode(0o600);
    let file = options.open(&path).map_err(failed)?;
    file.lock().map_err(failed)?;
    Ok(file)
}

impl MasterKeys for KeyFile {
    fn all(&self) -> Result<Vec<MasterKey>> {
        let keys = self.read_anew()?;
        let named = keys.iter().enumerate();
        Ok(named.map(|(at, key)| MasterKey { id: name(key.id), wraps: at == 0 }).collect())
    }

    fn add(&self) -> Result<MasterKeyId> {
        let key = DocumentKey::new();
        let Some(id) = key.id() else {
            return Err(Error::new("keys.add", "the new key has no usable id"));
        };
        self.change(|document| {
            document.keys.insert(0, key);
            (true, name(id))
        })
    }

    fn remove(&self, id: &MasterKeyId) -> Result<Removed> {
        let is_it = |key: &DocumentKey| key.id().is_some_and(|known| name(known) == *id);
        self.change(|document| match document.keys.iter().position(is_it) {
            None => (false, Removed::Unknown),
            Some(0) => (false, Removed::Wraps),
            Some(at) => {
                self.removed().push(document.keys.remove(at));
                (true, Removed::Done)
            }
        })
    }

    fn put_back(&self) -> Result<()> {
        let mut removed = self.removed();
        self.change(|document| {
            document.keys.extend(removed.iter().cloned());
            (true, ())
        })?;
        removed.clear();
        Ok(())
    }

    fn of(&self, wrapped: &[u8]) -> Option<MasterKeyId> {
        wrapped.first_chunk::<ID_LEN>().map(|id| name(*id))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::domain::secret::SecretBytes;
    use crate::ports::Keys;
    use crate::ports::keys::Unwrapped;

    const CONTEXT: &[(&str, String)] = &[];

    async fn opens(keys: &KeyFile, wrapped: &[u8]) -> bool {
        matches!(keys.unwrap(wrapped, CONTEXT).await.unwrap(), Unwrapped::Opened(_))
    }

    #[tokio::test]
    async fn a_key_that_another_process_added_wraps_and_unwraps_without_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sealpost.key");
        let worker = KeyFile::open_or_create(&path).unwrap();
        let value = SecretBytes::new(b"value".to_vec());
        let old = worker.wrap(&value, CONTEXT).await.unwrap();
        let command = KeyFile::open_or_create(&path).unwrap();
        let added = command.add().unwrap();
        let new = command.wrap(&value, CONTEXT).await.unwrap();
        assert_eq!(command.of(&new), Some(added.clone()));
        assert!(opens(&worker, &new).await, "it reads the file anew");
        assert!(opens(&worker, &old).await && opens(&command, &old).await);
        let next = worker.wrap(&value, CONTEXT).await.unwrap();
        assert_eq!(worker.of(&next), Some(added), "the new key wraps from now on");
    }

    #[tokio::test]
    async fn a_removed_key_opens_nothing_and_the_one_that_wraps_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sealpost.key");
        let keys = KeyFile::open_or_create(&path).unwrap();
        let wrapped = keys.wrap(&SecretBytes::new(vec![1]), CONTEXT).await.unwrap();
        let first = keys.of(&wrapped).unwrap();
        assert_eq!(keys.remove(&first).unwrap(), Removed::Wraps);
        let second = keys.add().unwrap();
        assert_eq!(
            keys.all().unwrap(),
            [
                MasterKey { id: second.clone(), wraps: true },
                MasterKey { id: first.clone(), wraps: false }
            ]
        );
        assert_eq!(keys.remove(&first).unwrap(), Removed::Done);
        assert!(!opens(&keys, &wrapped).await);
        keys.put_back().unwrap();
        assert!(opens(&keys, &wrapped).await, "something needed it after all");
        assert_eq!(keys.remove(&first).unwrap(), Removed::Done);
        assert_eq!(keys.remove(&first).unwrap(), Removed::Unknown);
        assert!(!opens(&keys, &wrapped).await);
        assert_eq!(keys.remove(&second).unwrap(), Removed::Wraps);
    }

    #[test]
    fn the_file_stays_its_owner_s_alone_and_nothing_is_left_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sealpost.key");
        let keys = KeyFile::open_or_create(&path).unwrap();
        keys.add().unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let mut names: Vec<_> = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["sealpost.key", "sealpost.key-lock"]);
    }

    #[test]
    fn two_processes_that_add_at_once_lose_no_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sealpost.key");
        let keys = KeyFile::open_or_create(&path).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| KeyFile::open_or_create(&path).unwrap().add().unwrap());
            }
        });
        assert_eq!(keys.all().unwrap().len(), 9);
    }
}
