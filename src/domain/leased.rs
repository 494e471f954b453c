//! What one worker has leased of an endpoint's rate, and how much it asks for.
//!
//! It asks for what it uses in a second, and for twice as much as before if that was used up at once;
//! so an endpoint in steady use costs about one lease a second, and one that is not used costs nothing.

use std::time::Duration;

use crate::domain::bucket::{Bucket, LONGEST_PATIENCE, since_epoch, timestamp};
use crate::domain::limits::Rate;
use crate::domain::rate_lease::{LeaseAnswer, LeaseRequest, Terms};
use crate::domain::timestamp::Timestamp;

/// Tokens that were used up in less were too few.
const AT_ONCE: Duration = Duration::from_millis(250);
/// Over how long a time the use is reckoned: what is longer ago counts for less and less.
const MEMORY: f64 = 1.0;
/// How long a worker that was refused does not ask again, at most; and if it had no patience.
const GAP: Duration = Duration::from_secs(1);
const SHORT_GAP: Duration = Duration::from_millis(50);
/// A token that can be used within so long is waited for even by those who have no patience: tokens of
/// a lease have times of their own, and the next is a moment away.
const MOMENT: Duration = Duration::from_millis(250);
/// Jobs come back to whichever worker: where more come than its share, the others have too few. So
/// more are told to come than there are tokens, and a few wait again.
const EAGER: f64 = 1.25;
/// How long a worker keeps to itself after a lease failed.
const ALONE: Duration = Duration::from_secs(5);
/// How much of what was taken until the last lease counts for the share.
const LASTING: f64 = 0.8;
/// No share is reckoned smaller.
const SMALLEST: f64 = 0.001;

/// Why there is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// One will be there then.
    Until(Timestamp),
    /// Some have to be leased first: carry this out, tell [`Leased::answered`] or [`Leased::failed`],
    /// and ask again.
    Lease(LeaseRequest),
}

/// The tokens that a worker has leased.
#[derive(Debug, Clone, Copy, Default)]
pub struct Leased {
    /// Where the stretch of those that are left begins.
    next: Duration,
    left: u32,
    /// When they came: earlier, none of them could be used.
    came_at: Duration,
    /// How many came the last time, how many of them were used, and whether the others lapsed.
    granted: u32,
    used: u32,
    has_lapsed: bool,
    /// How many are used in [`MEMORY`], as of `reckoned_at`.
    usual: f64,
    reckoned_at: Duration,
    /// Where the account stood when it was last heard of, and after this worker's last lease.
    account: Duration,
    left_at: Duration,
    /// What this worker and what all have taken of late, in seconds of the account's time.
    own: f64,
    all: f64,
    /// No lease is asked for before.
    ask_at: Duration,
    /// Until then, after a failure, the share is taken from a bucket of one's own.
    alone_until: Duration,
    alone: Bucket,
    /// Whether the last token came from there.
    is_alone: bool,
}

impl Leased {
    /// Takes a token that may be used within `patience`; the time at which it may.
    pub fn take(
        &mut self,
        rate: &Rate,
        now: Timestamp,
        patience: Duration,
    ) -> Result<Timestamp, Missing> {
        let (terms, at) = (Terms::of(rate), since_epoch(now));
        let patience = patience.max(terms.interval.min(MOMENT)).min(LONGEST_PATIENCE);
        self.is_alone = at < self.alone_until;
        if self.is_alone {
            return self.take_alone(rate, now, patience);
        }
        self.lapse(&terms, at);
        if self.left > 0 {
            let usable = terms.usable_at(self.next).max(at);
            if usable > at + patience {
                return Err(Missing::Until(timestamp(usable)));
            }
            self.next += terms.interval;
            (self.left, self.used) = (self.left - 1, self.used + 1);
            return Ok(timestamp(usable));
        }
        let earliest = terms.earliest(self.account, at).max(self.ask_at);
        if at < self.ask_at || earliest > at + patience {
            return Err(Missing::Until(timestamp(earliest)));
        }
        let count = self.want(&terms, at);
        Err(Missing::Lease(LeaseRequest { terms, now, count, patience, known: self.account }))
    }

    /// Drops the tokens whose life is over.
    fn lapse(&mut self, terms: &Terms, now: Duration) {
        if now <= self.came_at + terms.life {
            return;
        }
        // The first token that still lives may be used at the earliest a life ago.
        let over = (now + terms.credit).saturating_sub(terms.life + terms.interval + self.next);
        let lapsed = over.as_nanos().div_ceil(terms.interval.as_nanos().max(1));
        let lapsed = u32::try_from(lapsed).unwrap_or(u32::MAX).min(self.left);
        self.next += terms.stretch(lapsed);
        self.left -= lapsed;
        self.has_lapsed |= lapsed > 0;
    }

    /// How many tokens to ask for.
    fn want(&mut self, terms: &Terms, now: Duration) -> u32 {
        let since = now.saturating_sub(self.reckoned_at);
        self.usual = self.usual * (-since.as_secs_f64() / MEMORY).exp() + f64::from(self.used);
        (self.used, self.reckoned_at) = (0, now);
        let in_a_second = (self.usual / MEMORY) as u32;
        let wanted = if self.granted == 0 {
            terms.most.div_ceil(4)
        } else if now < self.came_at + AT_ONCE && !self.has_lapsed {
            in_a_second.max(self.granted.saturating_mul(2))
        } else {
            in_a_second
        };
        wanted.clamp(1, terms.most)
    }

    /// A request was answered.
    pub fn answered(
        &mut self,
        request: &LeaseRequest,
        answer: &LeaseAnswer,
        now: Timestamp,
        chance: f64,
    ) {
        match *answer {
            LeaseAnswer::Granted { before, from } => {
                self.learn_share(&request.terms, before, from);
                let account = from + request.terms.stretch(request.count);
                *self = Self {
                    next: from,
                    left: request.count,
                    came_at: since_epoch(now),
                    granted: request.count,
                    has_lapsed: false,
                    account,
                    left_at: account,
                    ..*self
                };
            }
            LeaseAnswer::Refused { account } => {
                self.account = account;
                // Many workers want what there is too little of: none asks for it all the time.
                let gap = if request.patience < LONGEST_PATIENCE { SHORT_GAP } else { GAP };
                self.ask_at = since_epoch(now) + gap.mul_f64(0.5 + 0.5 * chance);
            }
        }
    }

    /// What all workers have taken since the last lease tells this one's share.
    fn learn_share(&mut self, terms: &Terms, before: Duration, from: Duration) {
        let others = before.saturating_sub(self.left_at).as_secs_f64();
        // If the account rested meanwhile, who took what of it is not known.
        if self.granted == 0 || (others > 0.0 && from > before) {
            return;
        }
        let own = terms.stretch(self.granted).as_secs_f64();
        self.own = self.own * LASTING + own;
        self.all = self.all * LASTING + own + others;
    }

    /// This worker's part of what all workers take, if it is known.
    fn share(&self) -> Option<f64> {
        (self.all > 0.0).then(|| (self.own / self.all).clamp(SMALLEST, 1.0))
    }

    /// The account could not be reached. For some seconds this worker keeps to the share that it had;
    /// one that has none yet waits.
    pub fn failed(&mut self, now: Timestamp) {
        self.alone_until = since_epoch(now) + ALONE;
        self.left = 0;
    }

    fn take_alone(
        &mut self,
        rate: &Rate,
        now: Timestamp,
        patience: Duration,
    ) -> Result<Timestamp, Missing> {
        let Some(share) = self.share() else {
            return Err(Missing::Until(timestamp(self.alone_until)));
        };
        self.alone.take(&rate.part(share), now, patience).map_err(Missing::Until)
    }

    /// Gives back a token that was not used. If its life is over, it lapses.
    pub fn give_back(&mut self, rate: &Rate) {
        match self.share().filter(|_| self.is_alone) {
            Some(share) => self.alone.give_back(&rate.part(share)),
            None if self.used > 0 => {
                self.next = self.next.saturating_sub(rate.interval());
                (self.left, self.used) = (self.left + 1, self.used - 1);
            }
            None => {}
        }
    }

    /// The time from one token of this worker to the next, for those who are told when to come back.
    pub fn pace(&self, rate: &Rate) -> Duration {
        rate.interval().div_f64((self.share().unwrap_or(1.0) * EAGER).min(1.0))
    }

    /// Drops what is left: it was leased on other terms.
    pub fn forget(&mut self) {
        (self.left, self.granted, self.used) = (0, 0, 0);
    }
}

#[cfg(test)]
#[path = "leased_tests.rs"]
mod tests;
