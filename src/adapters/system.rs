//! The machine's clock and random numbers: the one place that asks for them.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand;

use crate::domain::timestamp::Timestamp;
use crate::ports::{Chance, Clock};

/// The machine's wall clock.
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the clock that everybody else is handed")]
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }
}

/// The operating system's random numbers, through aws-lc's generator.
pub struct SystemChance;

/// `N` random bytes.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemChance.fill(&mut bytes);
    bytes
}

impl Chance for SystemChance {
    fn fraction(&self) -> f64 {
        // The 53 bits that a double can hold.
        let bits = u64::from_le_bytes(random_bytes()) >> 11;
        bits as f64 / (1u64 << 53) as f64
    }

    #[allow(clippy::expect_used, reason = "aws-lc aborts rather than returns without randomness")]
    fn fill(&self, bytes: &mut [u8]) {
        rand::fill(bytes).expect("the generator was seeded when the process started");
    }

    fn token(&self) -> String {
        random_bytes::<16>().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
