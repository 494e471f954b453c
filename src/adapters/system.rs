//! The machine's clock and random numbers: the one place that asks for them.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
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
        (jitter() >> 11) as f64 / (1u64 << 53) as f64
    }

    #[allow(clippy::expect_used, reason = "aws-lc aborts rather than returns without randomness")]
    fn fill(&self, bytes: &mut [u8]) {
        rand::fill(bytes).expect("the generator was seeded when the process started");
    }

    fn token(&self) -> String {
        hex(&random_bytes::<TOKEN>())
    }

    fn tokens(&self, count: usize) -> Vec<String> {
        // The generator is asked once: that costs as much as a good hundred bytes.
        let mut bytes = vec![0; count * TOKEN];
        self.fill(&mut bytes);
        bytes.chunks(TOKEN).map(hex).collect()
    }
}

/// Bytes of a token.
const TOKEN: usize = 16;

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble & 15)]);
    let mut text = String::with_capacity(2 * bytes.len());
    text.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]));
    text
}

/// The next number for jitter: it spreads waits, and nobody has to be unable to guess it. A delivery
/// draws several, so they come from a generator that costs nothing (SplitMix64: Steele, Lea and Flood,
/// "Fast splittable pseudorandom number generators", 2014), begun at random in each process.
fn jitter() -> u64 {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    static STATE: LazyLock<AtomicU64> =
        LazyLock::new(|| AtomicU64::new(u64::from_le_bytes(random_bytes())));
    let mut mixed = STATE.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_fill_the_unit_evenly() {
        let mut tenths = [0; 10];
        for _ in 0..100_000 {
            let fraction = SystemChance.fraction();
            assert!((0.0..1.0).contains(&fraction));
            tenths[(fraction * 10.0) as usize] += 1;
        }
        // Ten standard deviations: once in more runs than there will be.
        assert!(tenths.iter().all(|count| (9_050..10_950).contains(count)), "{tenths:?}");
    }

    #[test]
    fn a_token_is_128_bits_in_hex_and_no_two_are_the_same() {
        let tokens: std::collections::BTreeSet<String> =
            (0..500).map(|_| SystemChance.token()).chain(SystemChance.tokens(500)).collect();
        assert_eq!(tokens.len(), 1000);
        let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        assert!(tokens.iter().all(|token| token.len() == 32 && token.chars().all(is_hex)));
    }
}
