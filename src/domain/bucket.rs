//! A token bucket, as the one time at which it will be full again (the generic cell rate algorithm).

use std::time::Duration;

use crate::domain::limits::Rate;
use crate::domain::timestamp::Timestamp;

/// The longest time that anyone may be patient.
pub const LONGEST_PATIENCE: Duration = Duration::from_secs(1);

/// The tokens of one endpoint.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bucket {
    /// When it will be full, counted from 1970. In the past, it is full.
    full_at: Duration,
}

impl Bucket {
    /// Takes a token that is there within `patience`, at most [`LONGEST_PATIENCE`]; the time at which
    /// it may be used. If there is none, nothing is taken, and the error is the time at which one
    /// will be there.
    pub fn take(
        &mut self,
        rate: &Rate,
        now: Timestamp,
        patience: Duration,
    ) -> Result<Timestamp, Timestamp> {
        let patience = patience.min(LONGEST_PATIENCE);
        let (interval, now) = (rate.interval(), since_epoch(now));
        let burst = interval.saturating_mul(rate.burst.max(1));
        // Fuller than it can ever be: the clock was set back, or the rate was another.
        self.full_at = self.full_at.min(now + burst + LONGEST_PATIENCE);
        let full_at = self.full_at.max(now);
        let at = (full_at + interval).saturating_sub(burst).max(now);
        if at > now + patience {
            return Err(timestamp(at));
        }
        self.full_at = full_at + interval;
        Ok(timestamp(at))
    }

    /// Gives back a token that was not used.
    pub fn give_back(&mut self, rate: &Rate) {
        self.full_at = self.full_at.saturating_sub(rate.interval());
    }
}

/// The time since 1970, finer than a timestamp.
pub fn since_epoch(at: Timestamp) -> Duration {
    Duration::from_millis(u64::try_from(at.as_millis()).unwrap_or(0))
}

/// The first millisecond that is not before `at`.
pub fn timestamp(at: Duration) -> Timestamp {
    let millis = at.as_nanos().div_ceil(1_000_000);
    Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn after(millis: u64) -> Timestamp {
        START.plus(Duration::from_millis(millis))
    }

    #[test]
    fn a_burst_goes_at_once_and_then_one_an_interval() {
        let rate = Rate::new(10, Duration::from_secs(1), Some(3));
        let mut bucket = Bucket::default();
        let mut take = |millis| bucket.take(&rate, after(millis), Duration::ZERO);
        assert_eq!([take(0), take(0), take(0)], [Ok(START); 3]);
        assert_eq!(take(0), Err(after(100)));
        assert_eq!(take(99), Err(after(100)));
        assert_eq!(take(100), Ok(after(100)));
        assert_eq!(take(101), Err(after(200)));
        assert_eq!([take(9000), take(9000), take(9000)], [Ok(after(9000)); 3]);
        assert_eq!(take(9000), Err(after(9100)));
    }

    #[test]
    fn the_patient_are_given_the_next_tokens_in_turn() {
        let rate = Rate::new(10, Duration::from_secs(1), Some(1));
        let mut bucket = Bucket::default();
        let mut take = || bucket.take(&rate, START, Duration::from_millis(250));
        assert_eq!([take(), take(), take()], [Ok(START), Ok(after(100)), Ok(after(200))]);
        assert_eq!(take(), Err(after(300)));
    }

    #[test]
    fn a_token_given_back_can_be_taken_again() {
        let rate = Rate::new(1, Duration::from_secs(60), Some(1));
        let mut bucket = Bucket::default();
        assert_eq!(bucket.take(&rate, START, Duration::ZERO), Ok(START));
        bucket.give_back(&rate);
        assert_eq!(bucket.take(&rate, START, Duration::ZERO), Ok(START));
        assert!(bucket.take(&rate, START, Duration::ZERO).is_err());
    }

    #[test]
    fn a_clock_that_is_set_back_stops_nothing_for_longer_than_patience_and_a_burst() {
        let rate = Rate::new(10, Duration::from_secs(1), Some(5));
        let mut bucket = Bucket::default();
        bucket.take(&rate, after(3_600_000), Duration::ZERO).unwrap();
        assert_eq!(bucket.take(&rate, START, Duration::ZERO), Err(after(1100)));
        assert_eq!(bucket.take(&rate, after(1100), Duration::ZERO), Ok(after(1100)));
    }

    proptest! {
        /// In no span of time t are more than rate × t + burst granted, whoever asks when.
        #[test]
        fn no_more_is_granted_than_the_rate_and_a_burst(
            count in 1u32..5000, per in 1u64..100, burst in 1u32..50,
            steps in prop::collection::vec((0u64..400, 0u64..1000, any::<bool>()), 1..300),
        ) {
            let rate = Rate::new(count, Duration::from_secs(per), Some(burst));
            let (mut bucket, mut now) = (Bucket::default(), START);
            let mut granted: Vec<Timestamp> = Vec::new();
            for (step, patience, give_back) in steps {
                now = now.plus(Duration::from_millis(step));
                match bucket.take(&rate, now, Duration::from_millis(patience)) {
                    Ok(_) if give_back => bucket.give_back(&rate),
                    Ok(at) => {
                        prop_assert!(at >= now && at.since(now) <= Duration::from_millis(patience));
                        granted.push(at);
                    }
                    Err(at) => prop_assert!(at.since(now) > Duration::from_millis(patience)),
                }
            }
            granted.sort();
            for (first, from) in granted.iter().enumerate() {
                for (last, to) in granted.iter().enumerate().skip(first) {
                    // A timestamp is a millisecond coarse.
                    let span = to.since(*from) + Duration::from_millis(1);
                    let most = span.as_secs_f64() * f64::from(count) / per as f64;
                    prop_assert!((last - first + 1) as f64 <= most + f64::from(burst) + 1e-6);
                }
            }
        }

        /// Whoever comes at the time he was told gets a token, if nobody else was there before.
        #[test]
        fn the_time_that_is_told_is_right(count in 1u32..5000, per in 1u64..100, takes in 1usize..50) {
            let rate = Rate::new(count, Duration::from_secs(per), None);
            let (mut bucket, mut now) = (Bucket::default(), START);
            for _ in 0..takes {
                if let Err(at) = bucket.take(&rate, now, Duration::ZERO) {
                    prop_assert!(at > now);
                    now = at;
                    prop_assert_eq!(bucket.take(&rate, now, Duration::ZERO), Ok(now));
                }
            }
        }
    }
}
