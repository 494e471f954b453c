//! How long to wait before the next attempt: exponential with full jitter.
//!
//! Full jitter ("Exponential Backoff And Jitter", AWS Architecture Blog) spreads the callers of an
//! endpoint that has just recovered over the whole interval.

use std::time::Duration;

use crate::domain::retry_policy::RetryPolicy;

/// The wait after attempt `attempt` (from 1) failed. `chance` is a random number in `0.0..1.0`.
pub fn delay(policy: &RetryPolicy, attempt: u32, chance: f64) -> Duration {
    let doublings = attempt.saturating_sub(1).min(31);
    let ceiling = policy.base_delay.saturating_mul(1 << doublings).min(policy.max_delay);
    ceiling.mul_f64(chance.clamp(0.0, 1.0))
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

    proptest! {
        #[test]
        fn no_wait_is_longer_than_the_longest_delay(attempt in 0u32.., chance in -1.0f64..2.0) {
            let policy = RetryPolicy::default();
            prop_assert!(delay(&policy, attempt, chance) <= policy.max_delay);
        }
    }
}
