//! How many of the worker's places one customer may hold.
//!
//! A customer whose calls are quick frees his places as fast as anybody else needs them, and is held
//! to no share. One whose calls are slow leaves an eighth of the places to find out who else waits in
//! the queue behind his jobs, and half of them while others are about.

use std::time::Duration;

use crate::domain::gate::Gate;
use crate::domain::timestamp::Timestamp;

/// Calls that take less than this are quick.
const QUICK: Duration = Duration::from_millis(100);

/// How many of `most` places a customer may hold now.
pub fn places(most: u32, gate: &Gate, others: bool, now: Timestamp) -> u32 {
    let is_quick = gate.average().is_some_and(|average| average < QUICK);
    if is_quick && !gate.is_quiet(now, QUICK) {
        return most;
    }
    let kept_free = if others { most.div_ceil(2) } else { most.div_ceil(8) };
    most.saturating_sub(kept_free).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn gate(took: Option<u64>) -> Gate {
        let mut gate = Gate::default();
        if let Some(took) = took {
            gate.came_back(NOW, Duration::from_millis(took));
        }
        gate.enter(NOW);
        gate
    }

    #[test]
    fn a_customer_whose_calls_are_slow_or_unknown_holds_no_more_than_his_share() {
        for took in [Some(100), Some(5000), None] {
            let gate = gate(took);
            assert_eq!(places(256, &gate, false, NOW), 224);
            assert_eq!(places(256, &gate, true, NOW), 128);
            for most in 1..5 {
                assert!((1..=most).contains(&places(most, &gate, true, NOW)));
            }
        }
    }

    #[test]
    fn a_customer_whose_calls_are_quick_may_hold_all_until_nothing_comes_back_any_more() {
        let gate = gate(Some(99));
        assert_eq!(places(256, &gate, true, NOW), 256);
        let later = NOW.plus(Duration::from_millis(4 * 99 + 1));
        assert_eq!(places(256, &gate, false, later), 224);
    }
}
