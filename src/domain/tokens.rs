//! Where the tokens of an endpoint's rate come from.

use std::time::Duration;

use crate::domain::bucket::Bucket;
use crate::domain::leased::{Leased, Missing};
use crate::domain::limits::Rate;
use crate::domain::rate_lease::{LeaseAnswer, LeaseRequest};
use crate::domain::timestamp::Timestamp;

/// The tokens of one endpoint, as one worker takes them.
#[derive(Debug, Clone, Copy)]
pub enum Tokens {
    /// From a bucket of its own: it is the only worker.
    Own(Bucket),
    /// From the account that all workers share.
    Leased(Leased),
}

impl Default for Tokens {
    fn default() -> Self {
        Self::Own(Bucket::default())
    }
}

impl Tokens {
    /// Takes a token that may be used within `patience`; the time at which it may.
    pub fn take(
        &mut self,
        rate: &Rate,
        now: Timestamp,
        patience: Duration,
    ) -> Result<Timestamp, Missing> {
        match self {
            Self::Own(bucket) => bucket.take(rate, now, patience).map_err(Missing::Until),
            Self::Leased(leased) => leased.take(rate, now, patience),
        }
    }

    /// A request for a lease was answered.
    pub fn answered(
        &mut self,
        request: &LeaseRequest,
        answer: &LeaseAnswer,
        now: Timestamp,
        chance: f64,
    ) {
        match self {
            Self::Own(_) => {}
            Self::Leased(leased) => leased.answered(request, answer, now, chance),
        }
    }

    /// A request for a lease failed.
    pub fn failed(&mut self, now: Timestamp) {
        match self {
            Self::Own(_) => {}
            Self::Leased(leased) => leased.failed(now),
        }
    }

    /// Gives back a token that was not used.
    pub fn give_back(&mut self, rate: &Rate) {
        match self {
            Self::Own(bucket) => bucket.give_back(rate),
            Self::Leased(leased) => leased.give_back(rate),
        }
    }

    /// The time from one token to the next.
    pub fn pace(&self, rate: &Rate) -> Duration {
        match self {
            Self::Own(_) => rate.interval(),
            Self::Leased(leased) => leased.pace(rate),
        }
    }

    /// The rate may be another now.
    pub fn forget(&mut self) {
        match self {
            Self::Own(_) => {}
            Self::Leased(leased) => leased.forget(),
        }
    }
}
