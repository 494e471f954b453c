//! Time and chance, as parameters.

use crate::domain::timestamp::Timestamp;

/// The wall clock.
pub trait Clock: Send + Sync {
    /// The time now. May step back or forth; nothing may depend on it being monotonic.
    fn now(&self) -> Timestamp;
}

/// A source of random numbers, for jitter and for names.
pub trait Chance: Send + Sync {
    /// A number in `0.0..1.0`.
    fn fraction(&self) -> f64;
    /// Fills `bytes` with random bytes fit for cryptography.
    fn fill(&self, bytes: &mut [u8]);
    /// A name that nobody else will come up with: 128 random bits in hex.
    fn token(&self) -> String;
    /// So many names.
    fn tokens(&self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.token()).collect()
    }
}
