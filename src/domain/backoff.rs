//! How long to wait before the next attempt: exponential with full jitter, or as listed.
//!
//! Full jitter ("Exponential Backoff And Jitter", AWS Architecture Blog) spreads the callers of an
//! endpoint that has just recovered over the whole interval. A listed wait is spread by a tenth.

use std::time::Duration;

use crate::domain::retry_policy::{RetryPolicy, Waits};

/// The wait after attempt `attempt` (from 1) failed. `chance` is a random number in `0.0..1.0`.
pub fn delay(policy: &RetryPolicy, attempt: u32, chance: f64) -> Duration {
    let (past, chance) = (attempt.saturating_sub(1), chance.clamp(0.0, 1.0));
    match &policy.waits {
        Waits::Doubling { base, most } => {
            base.saturating_mul(1 << past.min(31)).min(*most).mul_f64(chance)
        }
        Waits::Listed(waits) => {
            let past = usize::try_from(past).unwrap_or(usize::MAX);
            let wait = waits.get(past).or(waits.last()).copied().unwrap_or(policy.max_delay);
            wait.mul_f64(0.9 + chance / 10.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_ceiling_doubles_until_the_longest_delay() {
        let policy = RetryPolicy::default();
        let ceilings: Vec<u64> = (1..=5).map(|n| delay(&policy, n, 1.0).as_secs()).collect();
        assert_eq!(ceilings, [5, 10, 20, 40, 80]);
        assert_eq!(delay(&policy, 900, 1.0), policy.max_delay);
        assert_eq!(delay(&policy, 1, 0.0), Duration::ZERO);
    }

    #[test]
    fn listed_waits_come_in_order_and_the_last_again() {
        let waits = vec![Duration::from_secs(10), Duration::from_secs(100)];
        let policy = RetryPolicy { waits: Waits::Listed(waits), ..RetryPolicy::default() };
        let waits: Vec<u64> = (1..=3).map(|n| delay(&policy, n, 1.0).as_secs()).collect();
        assert_eq!(waits, [10, 100, 100]);
        assert_eq!(delay(&policy, 1, 0.0), Duration::from_secs(9));
    }

    proptest! {
        #[test]
        fn no_wait_is_longer_than_the_longest_delay(attempt in 0u32.., chance in -1.0f64..2.0) {
            let policy = RetryPolicy::default();
            prop_assert!(delay(&policy, attempt, chance) <= policy.max_delay);
        }
    }
}
