//! When a job that is over a limit comes back.
//!
//! Two rules together. A [`Line`] gives each job a time of its own, at the pace at which they can be
//! served, so that a backlog does not come back all at once. And a job that is put back again waits
//! longer every time, so that no backlog, however long, costs more than [`most_parks`] for each job.

use std::time::Duration;

use crate::domain::bucket::{since_epoch, timestamp};
use crate::domain::timestamp::Timestamp;

/// The longest wait that grows: what SQS can delay at once, so that it costs no more than a hop.
pub const LONGEST_PARK: Duration = Duration::from_secs(15 * 60);
/// The shortest share of a wait, the rest is random.
const LEAST: f64 = 0.75;

/// How long a job waits that was put back `waits` times in a row before: twice as long every time.
/// `chance` in `0.0..1.0` takes off up to a quarter.
pub fn growing(first: Duration, waits: u32, chance: f64) -> Duration {
    let wait = first.saturating_mul(1 << waits.min(30)).min(LONGEST_PARK);
    wait.mul_f64(LEAST + (1.0 - LEAST) * chance.clamp(0.0, 1.0))
}

/// The most times that growing waits put a job back in `age`.
pub fn most_parks(first: Duration, age: Duration) -> u32 {
    let (mut parks, mut waited) = (0, Duration::ZERO);
    loop {
        let wait = growing(first, parks, 0.0);
        if wait >= LONGEST_PARK.mul_f64(LEAST) {
            let left = age.saturating_sub(waited).as_secs_f64() / wait.as_secs_f64();
            return parks + left.floor() as u32 + 1;
        }
        if waited + wait > age {
            return parks + 1;
        }
        waited += wait;
        parks += 1;
    }
}

/// Those who wait for their turn, as the time of the last of them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Line {
    end: Duration,
}

impl Line {
    /// Whether somebody's turn is still to come.
    pub fn is_waiting(&self, now: Timestamp) -> bool {
        self.end > since_epoch(now)
    }

    /// A turn `pace` after the last, and not before `earliest`. One that is after `latest` is of no
    /// use to the job: it is told and not taken, so that those behind do not wait for it.
    pub fn join(&mut self, pace: Duration, earliest: Timestamp, latest: Timestamp) -> Timestamp {
        let turn = self.end.saturating_add(pace).max(since_epoch(earliest));
        if turn <= since_epoch(latest) {
            self.end = turn;
        }
        timestamp(turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn after(millis: u64) -> Timestamp {
        NOW.plus(Duration::from_millis(millis))
    }

    #[test]
    fn each_job_in_a_line_has_a_turn_of_its_own() {
        let mut line = Line::default();
        let latest = after(60_000);
        let turns = [0; 4].map(|_| line.join(Duration::from_micros(2500), after(10), latest));
        assert_eq!(turns, [after(10), after(13), after(15), after(18)]);
        assert!(line.is_waiting(after(17)) && !line.is_waiting(after(18)));
    }

    #[test]
    fn a_turn_that_comes_too_late_is_not_taken() {
        let mut line = Line::default();
        let second = Duration::from_secs(1);
        assert_eq!(line.join(second, after(5000), after(5000)), after(5000));
        for _ in 0..3 {
            assert_eq!(line.join(second, NOW, after(5500)), after(6000));
        }
        assert_eq!(line.join(second, NOW, after(6000)), after(6000));
    }

    #[test]
    fn waits_double_up_to_a_quarter_of_an_hour() {
        let seconds = |waits| growing(Duration::from_secs(15), waits, 1.0).as_secs();
        assert_eq!([0, 1, 2, 5, 6, 7, 4_000_000].map(seconds), [15, 30, 60, 480, 900, 900, 900]);
        assert_eq!(growing(Duration::from_secs(100), 0, 0.0), Duration::from_secs(75));
    }

    #[test]
    fn a_job_of_three_days_is_put_back_a_few_hundred_times_at_most() {
        let days = Duration::from_secs(3 * 24 * 3600);
        assert_eq!(most_parks(Duration::from_secs(15), days), 389);
        assert_eq!(most_parks(Duration::from_millis(50), days), 398);
        assert_eq!(most_parks(Duration::from_secs(15), Duration::from_secs(11)), 1);
    }

    proptest! {
        #[test]
        fn no_job_is_put_back_more_often_than_the_formula_says(
            first in 1u64..100_000, age in 1u64..400_000_000, chances in prop::collection::vec(0.0f64..1.0, 500),
        ) {
            let (first, age) = (Duration::from_millis(first), Duration::from_millis(age));
            let (mut parks, mut waited) = (0u32, Duration::ZERO);
            while waited <= age {
                waited += growing(first, parks, chances[parks as usize % 500]);
                parks += 1;
            }
            prop_assert!(parks <= most_parks(first, age), "{parks}");
        }
    }
}
