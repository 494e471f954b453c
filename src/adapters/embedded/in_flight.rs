//! Which messages a worker held when it died.
//!
//! Leases live in memory, so that a delivery costs two durable writes and not three. A message that
//! crashes the worker must be known by it all the same, or it would crash the next one for ever.
//! So each leased message's number stands in a slot of a small file, written without `fsync`: what
//! a process has written survives its death, and a power cut is no message's doing.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

const SLOT: usize = 8;

/// The file of slots.
#[derive(Debug)]
pub struct InFlight {
    file: File,
    free: Vec<u64>,
    slots: u64,
}

impl InFlight {
    /// Opens the file, empties it, and returns the numbers that stood in it.
    pub fn open(path: &Path) -> io::Result<(Self, Vec<i64>)> {
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let (slots, _) = bytes.as_chunks::<SLOT>();
        let left = slots.iter().map(|slot| i64::from_le_bytes(*slot)).filter(|seq| *seq > 0);
        Ok((Self { file, free: Vec::new(), slots: 0 }, left.collect()))
    }

    /// Forgets what stood in the file: it has been counted.
    pub fn clear(&mut self) -> io::Result<()> {
        self.file.set_len(0)
    }

    /// Notes that message `seq` is held; returns the slot to give back.
    pub fn hold(&mut self, seq: i64) -> io::Result<u64> {
        let slot = self.free.pop().unwrap_or(self.slots);
        self.slots = self.slots.max(slot + 1);
        self.file.write_all_at(&seq.to_le_bytes(), slot * SLOT as u64)?;
        Ok(slot)
    }

    /// Frees the slot of a message that is gone for good: its number is never given again, so what
    /// stands in the slot does no harm.
    pub fn settled(&mut self, slot: u64) {
        self.free.push(slot);
    }

    /// Frees the slot of a message that stays in the queue.
    pub fn released(&mut self, slot: u64) -> io::Result<()> {
        self.free.push(slot);
        self.file.write_all_at(&[0; SLOT], slot * SLOT as u64)
    }
}
