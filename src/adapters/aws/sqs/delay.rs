//! How long a message is kept back: at most 15 minutes at once, and by hops for longer.
//!
//! A hop is a message that arrives before its not-before and is sent again with the next delay. It
//! waits delayed and not leased, so that it takes nothing from the quota of messages in flight.

use std::time::Duration;

use crate::domain::timestamp::Timestamp;

/// The longest delay of a message (Amazon SQS Developer Guide, "Amazon SQS message timers").
pub const LONGEST: Duration = Duration::from_secs(15 * 60);

/// How a message is to be sent so that it is not received before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delay {
    /// `DelaySeconds`.
    pub seconds: i32,
    /// The time that one delay does not reach: to be looked at on arrival.
    pub not_before: Option<Timestamp>,
}

impl Delay {
    /// Until `not_before`, seen from `now`.
    pub fn until(not_before: Option<Timestamp>, now: Timestamp) -> Self {
        let wait = not_before.map_or(Duration::ZERO, |at| at.since(now));
        let not_before = not_before.filter(|_| wait > LONGEST);
        Self { seconds: whole_seconds(wait.min(LONGEST)), not_before }
    }
}

/// `wait` in seconds, rounded up: a retry is never early.
pub fn whole_seconds(wait: Duration) -> i32 {
    i32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delay_of(wait: Duration) -> Delay {
        let now = Timestamp::from_millis(1_800_000_000_000);
        Delay::until(Some(now.plus(wait)), now)
    }

    #[test]
    fn up_to_15_minutes_are_one_delay_rounded_up_to_whole_seconds() {
        for (wait, seconds) in [(0, 0), (1, 1), (1000, 1), (1001, 2), (900_000, 900)] {
            let delay = delay_of(Duration::from_millis(wait));
            assert_eq!(delay, Delay { seconds, not_before: None }, "{wait} ms");
        }
    }

    #[test]
    fn a_longer_wait_is_15_minutes_and_the_time_to_look_at_on_arrival() {
        let now = Timestamp::from_millis(1_800_000_000_000);
        let at = now.plus(LONGEST + Duration::from_millis(1));
        assert_eq!(Delay::until(Some(at), now), Delay { seconds: 900, not_before: Some(at) });
    }

    #[test]
    fn what_is_due_or_was_due_is_sent_at_once() {
        let now = Timestamp::from_millis(1_800_000_000_000);
        let at_once = Delay { seconds: 0, not_before: None };
        assert_eq!(Delay::until(None, now), at_once);
        assert_eq!(Delay::until(Some(Timestamp::from_millis(0)), now), at_once);
    }
}
