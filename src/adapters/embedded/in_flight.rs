//! Which messages a worker held when it died.
//!
//! Leases live in memory, so that a delivery costs two durable writes and not three. A message that
//! crashes the worker must be known by it all the same, or it would crash the next one for ever.
//! So each leased message's number stands in a slot of a small file, written without `fsync`: what
//! a process has written survives its death, and a power cut is no message's doing.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

const SLOT: usize = 8;

/// The file of slots.
#[derive(Debug)]
pub struct InFlight {
    file: File,
    /// What stands in the file, or will once it is written.
    slots: Vec<[u8; SLOT]>,
    free: Vec<usize>,
    /// The slots among which some are not written yet.
    unwritten: Range<usize>,
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
        let left = left.collect();
        Ok((Self { file, slots: Vec::new(), free: Vec::new(), unwritten: 0..0 }, left))
    }

    /// Forgets what stood in the file: it has been counted.
    pub fn clear(&mut self) -> io::Result<()> {
        self.file.set_len(0)
    }

    /// Notes that message `seq` is held; returns the slot to give back. To be written before anything is
    /// done with the message.
    pub fn hold(&mut self, seq: i64) -> usize {
        let slot = self.free.pop().unwrap_or(self.slots.len());
        match self.slots.get_mut(slot) {
            Some(own) => *own = seq.to_le_bytes(),
            None => self.slots.push(seq.to_le_bytes()),
        }
        let Range { start, end } = self.unwritten;
        self.unwritten =
            if start < end { start.min(slot)..end.max(slot + 1) } else { slot..slot + 1 };
        slot
    }

    /// Writes what was held since the last time, all at once.
    pub fn write(&mut self) -> io::Result<()> {
        let Range { start, end } = self.unwritten;
        if start < end {
            self.file.write_all_at(self.slots[start..end].as_flattened(), (start * SLOT) as u64)?;
            self.unwritten = 0..0;
        }
        Ok(())
    }

    /// Frees the slot of a message that is gone for good: its number is never given again, so what
    /// stands in the slot does no harm.
    pub fn settled(&mut self, slot: usize) {
        self.free.push(slot);
    }

    /// Frees the slot of a message that stays in the queue.
    pub fn released(&mut self, slot: usize) -> io::Result<()> {
        self.free.push(slot);
        self.slots[slot] = [0; SLOT];
        self.file.write_all_at(&[0; SLOT], (slot * SLOT) as u64)
    }
}
