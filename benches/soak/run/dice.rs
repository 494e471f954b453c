//! Random choices that can be repeated.

/// A generator of random numbers (xorshift64*), the same from the same seed.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// One of `0..count`.
    pub fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap() % count
    }

    /// Whether something happens that does so in `percent` of 100 cases.
    pub fn in_percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// Another generator, for somebody else.
    pub fn split(&mut self) -> Self {
        Self::new(self.next())
    }
}
