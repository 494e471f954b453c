//! How many polls are made at once.
//!
//! A queue without messages costs one long poll at a time. While polls come back full there is more
//! to be had, and their number doubles, up to the messages asked for; when they come back half
//! empty it falls. After a failure comes a pause that grows with every further one.

use std::time::Duration;

use tokio::time::Instant;

/// Most messages of one ReceiveMessage call (Amazon SQS API Reference, "ReceiveMessage").
pub const FULL: usize = 10;
/// After a poll that was not full: messages gather in this time, so that the next poll brings
/// several and not one. It also bounds what a queue costs that does not let polls wait.
const GATHER: Duration = Duration::from_millis(20);
/// How long a nearly busy worker waits for room for a full poll. It is short beside a call that
/// keeps a worker busy.
const SCARCE: Duration = Duration::from_millis(200);
/// The pause after the first failure; doubles with every further one.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    /// Begin a poll for so many messages.
    Poll(usize),
    /// Ask again then.
    WaitUntil(Instant),
    /// Wait for a poll in progress to end.
    Wait,
    /// There is room for few messages: come back in a moment with more.
    Scarce,
}

/// How a poll ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Brought {
    /// So many messages.
    Messages(usize),
    /// A failure. `chance` is a random number in `0.0..1.0`, for the jitter.
    Failure {
        /// Jitter.
        chance: f64,
    },
}

/// What is known of the queue and of the worker's room.
#[derive(Debug)]
pub struct Appetite {
    /// Polls wanted at once.
    width: usize,
    /// Polls in progress.
    polls: usize,
    /// Messages that they may bring.
    asked: usize,
    /// The most room there ever was.
    widest: usize,
    failures: u32,
    not_before: Option<Instant>,
    scarce_since: Option<Instant>,
}

impl Default for Appetite {
    fn default() -> Self {
        Self {
            width: 1,
            polls: 0,
            asked: 0,
            widest: 0,
            failures: 0,
            not_before: None,
            scarce_since: None,
        }
    }
}

impl Appetite {
    /// What to do while the worker has room for `room` messages beyond those that have arrived.
    pub fn course(&mut self, room: usize, now: Instant) -> Course {
        self.widest = self.widest.max(room);
        let free = room.saturating_sub(self.asked);
        if free == 0 || self.polls >= self.width {
            return Course::Wait;
        }
        if let Some(until) = self.not_before.filter(|until| *until > now) {
            return Course::WaitUntil(until);
        }
        // A poll costs the same for one message as for ten.
        if free < FULL.min(self.widest.div_ceil(2)) {
            let since = *self.scarce_since.get_or_insert(now);
            if self.polls > 0 {
                return Course::Wait;
            }
            if now < since + SCARCE {
                return Course::Scarce;
            }
        }
        self.scarce_since = None;
        let ask = free.min(FULL);
        self.polls += 1;
        self.asked += ask;
        Course::Poll(ask)
    }

    /// A poll for `ask` messages has ended.
    pub fn ended(&mut self, ask: usize, brought: Brought, now: Instant) {
        self.polls -= 1;
        self.asked -= ask;
        match brought {
            Brought::Messages(count) => self.learn(ask, count, now),
            Brought::Failure { chance } => self.pause(chance, now),
        }
    }

    fn learn(&mut self, ask: usize, count: usize, now: Instant) {
        self.failures = 0;
        if count >= ask {
            // One more for each full poll: twice as many with every round of polls.
            self.width = (self.width + 1).min(self.widest.div_ceil(FULL));
            self.not_before = None;
            return;
        }
        if count == 0 {
            self.width = 1;
        } else if count * 2 < ask {
            self.width = (self.width - 1).max(1);
        }
        self.not_before = Some(now + GATHER);
    }

    /// Polls that fail together count as one failure.
    fn pause(&mut self, chance: f64, now: Instant) {
        self.width = 1;
        if self.failures > 0 && self.not_before.is_some_and(|until| until > now) {
            return;
        }
        let ceiling = FIRST_PAUSE.saturating_mul(1 << self.failures.min(16)).min(LONGEST_PAUSE);
        self.failures += 1;
        // Half fixed, half chance: never a busy loop, never in step with the other workers.
        self.not_before = Some(now + ceiling.mul_f64(0.5 + chance / 2.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Begins all polls that are wanted; returns what each asks for.
    fn begin(appetite: &mut Appetite, room: usize, now: Instant) -> Vec<usize> {
        let mut begun = Vec::new();
        while let Course::Poll(ask) = appetite.course(room, now) {
            begun.push(ask);
        }
        begun
    }

    #[test]
    fn an_idle_queue_costs_one_poll_at_a_time() {
        let (mut appetite, mut now) = (Appetite::default(), Instant::now());
        for _ in 0..5 {
            assert_eq!(begin(&mut appetite, 256, now), [10]);
            now += Duration::from_secs(20);
            appetite.ended(10, Brought::Messages(0), now);
            now += GATHER;
        }
    }

    #[test]
    fn full_polls_double_until_the_room_is_asked_for() {
        let (mut appetite, now) = (Appetite::default(), Instant::now());
        let mut widths = Vec::new();
        for _ in 0..7 {
            let begun = begin(&mut appetite, 256, now);
            assert!(begun.iter().sum::<usize>() <= 256);
            widths.push(begun.len());
            begun.iter().for_each(|ask| appetite.ended(*ask, Brought::Messages(*ask), now));
        }
        assert_eq!(widths[..5], [1, 2, 4, 8, 16]);
        assert_eq!(widths[6], 25, "no poll for the six that are left");
    }

    #[test]
    fn a_queue_that_runs_dry_is_back_at_one_poll() {
        let (mut appetite, now) = (Appetite::default(), Instant::now());
        for _ in 0..4 {
            let begun = begin(&mut appetite, 256, now);
            begun.iter().for_each(|ask| appetite.ended(*ask, Brought::Messages(*ask), now));
        }
        let begun = begin(&mut appetite, 256, now);
        assert!(begun.len() > 4);
        begun.iter().for_each(|ask| appetite.ended(*ask, Brought::Messages(0), now));
        assert_eq!(begin(&mut appetite, 256, now + GATHER), [10]);
    }

    #[test]
    fn after_a_poll_that_was_not_full_messages_gather() {
        let (mut appetite, now) = (Appetite::default(), Instant::now());
        begin(&mut appetite, 256, now);
        for count in [1, 0] {
            appetite.ended(10, Brought::Messages(count), now);
            assert_eq!(appetite.course(256, now), Course::WaitUntil(now + GATHER), "{count}");
            assert_eq!(appetite.course(256, now + GATHER), Course::Poll(10));
        }
    }

    #[test]
    fn a_nearly_busy_worker_waits_for_room_but_not_for_long() {
        let (mut appetite, now) = (Appetite::default(), Instant::now());
        assert_eq!(appetite.course(256, now), Course::Poll(10));
        appetite.ended(10, Brought::Messages(10), now);
        assert_eq!(appetite.course(1, now), Course::Scarce);
        assert_eq!(appetite.course(2, now + SCARCE / 2), Course::Scarce);
        assert_eq!(appetite.course(10, now + SCARCE / 2), Course::Poll(10), "room for a full poll");
        appetite.ended(10, Brought::Messages(10), now);
        assert_eq!(appetite.course(3, now), Course::Scarce);
        assert_eq!(appetite.course(3, now + SCARCE), Course::Poll(3));
    }

    #[test]
    fn a_worker_with_little_room_at_all_does_not_wait_for_more() {
        let (mut appetite, now) = (Appetite::default(), Instant::now());
        assert_eq!(appetite.course(1, now), Course::Poll(1));
    }

    #[test]
    fn failures_pause_longer_each_time_and_those_that_come_together_count_once() {
        let (mut appetite, mut now) = (Appetite::default(), Instant::now());
        let mut pauses = Vec::new();
        for _ in 0..9 {
            assert_eq!(appetite.course(20, now), Course::Poll(10));
            appetite.ended(10, Brought::Failure { chance: 1.0 }, now);
            let Course::WaitUntil(until) = appetite.course(20, now) else { panic!("no pause") };
            pauses.push((until - now).as_millis());
            now = until;
        }
        assert_eq!(pauses[..4], [250, 500, 1000, 2000]);
        assert_eq!(pauses[8], 30_000);
        appetite.course(20, now);
        appetite.ended(10, Brought::Messages(10), now);
        assert_eq!(appetite.course(20, now), Course::Poll(10), "recovers at once");
        assert_eq!(appetite.course(20, now), Course::Poll(10));
        for _ in 0..2 {
            appetite.ended(10, Brought::Failure { chance: 1.0 }, now);
        }
        assert_eq!(appetite.course(20, now), Course::WaitUntil(now + FIRST_PAUSE));
    }
}
