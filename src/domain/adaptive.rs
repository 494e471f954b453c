//! How many calls at once an endpoint bears: additive increase, multiplicative decrease (as TCP's
//! congestion avoidance, RFC 5681).

use crate::domain::timestamp::Timestamp;

/// The calls at once to an endpoint of which nothing is known yet: should it hang, so many are out.
const FIRST: f64 = 32.0;

/// The number of calls at once that an endpoint seems to bear, between 1 and its limit.
#[derive(Debug, Clone, Copy)]
pub struct Adaptive {
    bearable: f64,
    /// Doubles with every round of calls, until the first sign of too much.
    starting: bool,
    decreased_at: Option<Timestamp>,
}

impl Default for Adaptive {
    /// Of an endpoint of which nothing is known yet.
    fn default() -> Self {
        Self { bearable: FIRST, starting: true, decreased_at: None }
    }
}

impl Adaptive {
    /// As many as the limit allows.
    pub fn unbounded() -> Self {
        Self { bearable: f64::INFINITY, starting: false, decreased_at: None }
    }

    /// One call at once, and more with every call that goes well.
    pub fn gently() -> Self {
        Self { bearable: 1.0, starting: true, decreased_at: None }
    }

    /// How many calls may be made at once, `most` at most.
    pub fn allowed(&self, most: u32) -> u32 {
        // Between 1 and `most`, so it fits.
        self.bearable.clamp(1.0, f64::from(most.max(1))) as u32
    }

    /// A call went well and took no longer than usual: one more for each round of calls.
    pub fn went_well(&mut self, most: u32) {
        let step = if self.starting { 1.0 } else { 1.0 / self.bearable.max(1.0) };
        self.bearable = (self.bearable + step).min(f64::from(most.max(1)));
    }

    /// A call that began at `begun` showed now that the endpoint has too much to do: half as many.
    /// Calls that began before the last decrease say nothing new.
    pub fn was_too_much(&mut self, most: u32, begun: Timestamp, now: Timestamp) {
        if self.decreased_at.is_some_and(|at| begun < at && at <= now) {
            return;
        }
        self.bearable = (self.bearable.min(f64::from(most.max(1))) / 2.0).max(1.0);
        (self.starting, self.decreased_at) = (false, Some(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000 + millis)
    }

    #[test]
    fn it_is_halved_once_for_a_round_of_calls_and_grows_by_one_in_a_round() {
        let mut adaptive = Adaptive::unbounded();
        assert_eq!(adaptive.allowed(64), 64);
        for _ in 0..64 {
            adaptive.was_too_much(64, at(0), at(1000));
        }
        assert_eq!(adaptive.allowed(64), 32);
        adaptive.was_too_much(64, at(1000), at(2000));
        assert_eq!(adaptive.allowed(64), 16);
        (0..17).for_each(|_| adaptive.went_well(64));
        assert_eq!(adaptive.allowed(64), 17);
    }

    #[test]
    fn a_gentle_start_doubles_with_every_round_until_there_is_too_much() {
        let mut adaptive = Adaptive::gently();
        for expected in [1, 2, 4, 8, 16] {
            assert_eq!(adaptive.allowed(64), expected);
            (0..expected).for_each(|_| adaptive.went_well(64));
        }
        adaptive.was_too_much(64, at(0), at(0));
        assert_eq!(adaptive.allowed(64), 16);
        adaptive.went_well(64);
        assert_eq!(adaptive.allowed(64), 16);
    }

    #[test]
    fn an_unknown_endpoint_is_given_32_calls_at_once_and_twice_as_many_with_every_round() {
        let mut adaptive = Adaptive::default();
        assert_eq!((adaptive.allowed(10), adaptive.allowed(256)), (10, 32));
        (0..32).for_each(|_| adaptive.went_well(256));
        assert_eq!(adaptive.allowed(256), 64);
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_keep_it_from_falling() {
        let mut adaptive = Adaptive::unbounded();
        adaptive.was_too_much(64, at(5000), at(5000));
        adaptive.was_too_much(64, at(0), at(10));
        assert_eq!(adaptive.allowed(64), 16);
    }

    proptest! {
        #[test]
        fn it_stays_between_one_and_the_limit_and_comes_back_to_the_limit(
            most in 1u32..300, steps in prop::collection::vec((any::<bool>(), 0i64..5000), 0..500),
        ) {
            let (mut adaptive, mut now) = (Adaptive::default(), 0);
            for (well, step) in steps {
                now += step;
                if well { adaptive.went_well(most) } else { adaptive.was_too_much(most, at(now), at(now)) }
                prop_assert!((1..=most).contains(&adaptive.allowed(most)));
            }
            (0..most * most).for_each(|_| adaptive.went_well(most));
            prop_assert_eq!(adaptive.allowed(most), most);
        }
    }
}
