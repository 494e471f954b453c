//! An endpoint's rate as a fleet of workers keeps it: one account for all of them, from which each
//! leases some tokens ahead.
//!
//! The account is the one time at which the endpoint's bucket will be full again, as in
//! [`crate::domain::bucket`]. A lease moves it on by its tokens; they are the stretch of time in
//! between. Each token may be used from a time of its own on, and lapses a moment later, so that
//! what a worker does not use cannot be saved up. What can be held back in this way is kept off the
//! burst: in no span of time are more calls made than rate × time + burst, by however many workers.

use std::time::Duration;

use crate::domain::bucket::{LONGEST_PATIENCE, since_epoch};
use crate::domain::limits::Rate;
use crate::domain::timestamp::Timestamp;

/// A lease holds what so long a time allows, and no token lives longer.
const LONGEST: Duration = Duration::from_secs(1);
/// How far the clocks of workers may be apart. An account that is further ahead than any lease could
/// bring it was made at another rate, or by a clock that was wrong.
const CLOCKS_APART: Duration = Duration::from_secs(10);

/// How the tokens of a rate are leased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// The time from one token to the next.
    pub interval: Duration,
    /// How long before the account's time a token may be used: what of the burst is lent at once.
    pub credit: Duration,
    /// How long a token may be used from its time on: the rest of the burst.
    pub life: Duration,
    /// Most tokens of a lease; at least 1.
    pub most: u32,
}

impl Terms {
    /// The terms for a rate.
    pub fn of(rate: &Rate) -> Self {
        let (interval, burst) = (rate.interval(), rate.burst.max(1));
        let in_a_second = LONGEST.as_nanos() / interval.as_nanos().max(1);
        let in_a_second = u32::try_from(in_a_second).unwrap_or(u32::MAX);
        let kept = (burst / 2).min(in_a_second);
        Self {
            interval,
            credit: interval.saturating_mul(burst - kept),
            life: interval.saturating_mul(kept),
            most: in_a_second.max(1),
        }
    }

    /// So many tokens, as the time that they take up in the account.
    pub fn stretch(&self, tokens: u32) -> Duration {
        self.interval.saturating_mul(tokens)
    }

    /// From when on the first token of a stretch that begins at `from` may be used.
    pub fn usable_at(&self, from: Duration) -> Duration {
        (from + self.interval).saturating_sub(self.credit)
    }

    /// The furthest that leases of now could have brought an account.
    fn furthest(&self, now: Duration) -> Duration {
        now + LONGEST_PATIENCE + self.credit + self.stretch(self.most) + CLOCKS_APART
    }

    /// When a token of a new lease may be used, if the account stands there.
    pub fn earliest(&self, account: Duration, now: Duration) -> Duration {
        if account > self.furthest(now) {
            return now + LONGEST_PATIENCE;
        }
        self.usable_at(account.max(now)).max(now)
    }
}

/// A worker asks for tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseRequest {
    /// On these terms.
    pub terms: Terms,
    /// When.
    pub now: Timestamp,
    /// So many.
    pub count: u32,
    /// If the first of them may be used within this time, at most [`LONGEST_PATIENCE`].
    pub patience: Duration,
    /// Where the account stood when this worker last heard of it: a guess, to ask the right thing first.
    pub known: Duration,
}

/// What comes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseAnswer {
    /// The tokens are the stretch of time that begins at `from`.
    Granted {
        /// Where the account stood before.
        before: Duration,
        /// Where the stretch begins.
        from: Duration,
    },
    /// No token may be used in time; nothing is taken.
    Refused {
        /// Where the account stands.
        account: Duration,
    },
}

/// Where an account stands, seen from a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// At or before now: nothing is owed, the stretch begins now.
    Rested,
    /// Ahead, and a token is there in time: the stretch begins where the account stands.
    Running,
    /// Too far ahead.
    Ahead,
    /// Where no lease of now could have brought it: the stretch begins as late as can be waited for.
    Astray,
}

impl LeaseRequest {
    /// Now.
    pub fn now(&self) -> Duration {
        since_epoch(self.now)
    }

    /// The last place at which an account gives a token in time.
    pub fn latest(&self) -> Duration {
        let in_time = self.now() + self.patience.min(LONGEST_PATIENCE) + self.terms.credit;
        in_time.saturating_sub(self.terms.interval)
    }

    /// An account beyond this is astray.
    pub fn furthest(&self) -> Duration {
        self.terms.furthest(self.now())
    }

    /// How an account stands.
    pub fn standing(&self, account: Duration) -> Standing {
        if account <= self.now() {
            Standing::Rested
        } else if account <= self.latest() {
            Standing::Running
        } else if account <= self.furthest() {
            Standing::Ahead
        } else {
            Standing::Astray
        }
    }

    /// Where the stretch of an account begins that stands like this; `None` if there is none in time.
    pub fn begins(&self, account: Duration) -> Option<Duration> {
        match self.standing(account) {
            Standing::Rested => Some(self.now()),
            Standing::Running => Some(account),
            Standing::Ahead => None,
            Standing::Astray => Some(self.latest()),
        }
    }

    /// Carries the request out on an account that nobody else touches meanwhile.
    pub fn carry_out(&self, account: &mut Duration) -> LeaseAnswer {
        let before = *account;
        let Some(from) = self.begins(before) else {
            return LeaseAnswer::Refused { account: before };
        };
        *account = from + self.terms.stretch(self.count);
        LeaseAnswer::Granted { before, from }
    }
}

#[cfg(test)]
#[path = "rate_lease_tests.rs"]
mod tests;
