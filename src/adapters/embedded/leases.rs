//! Who holds which message: in memory, because one process holds the whole queue.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::in_flight::InFlight;
use crate::domain::timestamp::Timestamp;
use crate::ports::queue::Handle;
use crate::ports::{Error, Result};

/// The leases of one queue.
pub struct Leases {
    held: HashMap<i64, Lease>,
    in_flight: InFlight,
    last_token: u64,
}

struct Lease {
    token: u64,
    until: Timestamp,
    in_order: bool,
    /// Receipts before this one that ended without a settling.
    lost: u32,
    slot: usize,
    /// Given back: waits until `until`, and whose turn it is then counts as no loss.
    released: bool,
}

/// A message that a handle holds.
#[derive(Debug, Clone, Copy)]
pub struct Held {
    /// The number of its row.
    pub seq: i64,
    /// It is the head of a group, which goes on when it is gone.
    pub in_order: bool,
}

impl Leases {
    /// No leases yet.
    pub fn new(in_flight: InFlight) -> Self {
        Self { held: HashMap::new(), in_flight, last_token: 0 }
    }

    /// The messages that are held, or wait after a release, at `now`.
    pub fn held(&self, now: Timestamp) -> HashSet<i64> {
        self.held.iter().filter(|(_, lease)| lease.until > now).map(|(seq, _)| *seq).collect()
    }

    /// When the first of all leases ends, or has ended, if nothing is done: `None` if there are none.
    pub fn first_end(&self) -> Option<Timestamp> {
        self.held.values().map(|lease| lease.until).min()
    }

    /// Whether a message can be received at `now`.
    pub fn is_free(&self, seq: i64, now: Timestamp) -> bool {
        self.held.get(&seq).is_none_or(|lease| lease.until <= now)
    }

    /// Leases a message; returns its handle and how many receipts were lost before. Nothing is to be done
    /// with it before [`Leases::write`].
    pub fn take(&mut self, seq: i64, until: Timestamp, in_order: bool) -> (Handle, u32) {
        self.last_token += 1;
        let (lost, slot) = match self.held.remove(&seq) {
            Some(lease) if lease.released => (lease.lost, None),
            Some(lease) => (lease.lost + 1, Some(lease.slot)),
            None => (0, None),
        };
        let slot = slot.unwrap_or_else(|| self.in_flight.hold(seq));
        let token = self.last_token;
        self.held.insert(seq, Lease { token, until, in_order, lost, slot, released: false });
        (Handle(format!("{seq}:{token}").into()), lost)
    }

    /// Writes down what was leased, so that it is known if the process dies of it.
    pub fn write(&mut self) -> Result<()> {
        self.in_flight.write().map_err(|e| Error::new("queue.receive", e))
    }

    /// The message that `handle` holds; `None` if the handle is stale or its message settled.
    pub fn holder(&self, handle: &Handle) -> Option<Held> {
        let (seq, token) = handle.0.split_once(':')?;
        let (seq, token): (i64, u64) = (seq.parse().ok()?, token.parse().ok()?);
        let lease = self.held.get(&seq)?;
        let held = Held { seq, in_order: lease.in_order };
        (lease.token == token && !lease.released).then_some(held)
    }

    /// Renews the lease of `handle`, if it still holds its message.
    pub fn extend(&mut self, handle: &Handle, until: Timestamp) {
        if let Some(lease) = self.holder(handle).and_then(|held| self.held.get_mut(&held.seq)) {
            lease.until = until;
        }
    }

    /// Gives a lease back: the message can be received from `now + delay`.
    pub fn release(&mut self, handle: &Handle, now: Timestamp, delay: Duration) -> Result<()> {
        let Some(Held { seq, .. }) = self.holder(handle) else { return Ok(()) };
        if let Some(lease) = self.held.get_mut(&seq) {
            lease.until = now.plus(delay);
            lease.released = true;
            let slot = lease.slot;
            self.in_flight.released(slot).map_err(|e| Error::new("queue.release", e))?;
        }
        Ok(())
    }

    /// Ends the lease on a message that is gone.
    pub fn settled(&mut self, seq: i64) {
        if let Some(lease) = self.held.remove(&seq)
            && !lease.released
        {
            self.in_flight.settled(lease.slot);
        }
    }
}
