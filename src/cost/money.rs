//! US dollars, exactly: whole numbers of 10⁻¹⁸ dollars, rounded only where they are shown in cents.

use std::fmt;
use std::iter::Sum;
use std::ops::Add;

use serde::de::{Deserializer, Error as _, Visitor};
use serde::{Deserialize, Serialize, Serializer};

const DECIMALS: usize = 18;
const DOLLAR: u128 = 1_000_000_000_000_000_000;

/// The highest price that a price file may state.
const HIGHEST: u64 = 1_000;

/// An amount of dollars. Amounts are sums of quantities at prices that are both bounded
/// (`Usage::check`, [`Dollars`]), so that no sum comes near the type's end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Money(u128);

impl Money {
    /// What `quantity` costs at `dollars` for every `per`.
    pub(super) fn of(quantity: u128, dollars: Dollars, per: Per) -> Self {
        // `per` is a power of ten up to 10⁹, so nothing is lost.
        Self(quantity * u128::from(dollars.nanos) * u128::from(1_000_000_000 / per.0))
    }

    /// In words, rounded to cents, halves up: `$20,005.00`.
    pub fn in_cents(self) -> String {
        let cents = (self.0 + DOLLAR / 200) / (DOLLAR / 100);
        format!("${}.{:02}", grouped(cents / 100), cents % 100)
    }
}

impl Add for Money {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::default(), Self::add)
    }
}

/// Exactly, with at least two decimals: `14.0125`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&decimal(self.0, DECIMALS))
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A price in dollars, as it is written: at most nine decimals and at most 1,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dollars {
    nanos: u64,
}

impl Dollars {
    fn parse(text: &str) -> Result<Self, String> {
        let expected = format!(
            "expected dollars between 0 and {HIGHEST} with at most nine decimals, in quotes: \"0.40\""
        );
        if text.starts_with('-') {
            return Err(format!("{text} is negative; {expected}"));
        }
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !is_number(whole) || !is_number(fraction) || fraction.len() > 9 || whole.len() > 4 {
            return Err(format!("{text:?} is no price; {expected}"));
        }
        let parsed: Result<u64, _> = format!("{whole}{fraction:0<9}").parse();
        match parsed {
            Ok(nanos) if nanos <= HIGHEST * 1_000_000_000 => Ok(Self { nanos }),
            Ok(_) | Err(_) => Err(format!("{text:?} is too high; {expected}")),
        }
    }
}

/// At least two decimals: `0.40`.
impl fmt::Display for Dollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&decimal(u128::from(self.nanos), 9))
    }
}

impl<'de> Deserialize<'de> for Dollars {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Price;
        impl Visitor<'_> for Price {
            type Value = Dollars;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("dollars in quotes, as in \"0.40\"")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Dollars, E> {
                Dollars::parse(text).map_err(E::custom)
            }

            fn visit_i64<E: serde::de::Error>(self, whole: i64) -> Result<Dollars, E> {
                self.visit_str(&whole.to_string())
            }
        }
        deserializer.deserialize_any(Price)
    }
}

/// How many a price is for: a power of ten up to 10⁹.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Per(u64);

impl Per {
    /// The number.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Per {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u64::deserialize(deserializer)?;
        if (0..=9).map(|power| 10_u64.pow(power)).any(|power| power == number) {
            return Ok(Self(number));
        }
        let problem = format!("{number} is not a power of ten between 1 and 1000000000");
        Err(D::Error::custom(problem))
    }
}

/// A whole number of 10^-`decimals`, with at least two decimals.
fn decimal(number: u128, decimals: usize) -> String {
    let digits = format!("{number:0>width$}", width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    let fraction = fraction.trim_end_matches('0');
    format!("{whole}.{fraction:0<2}")
}

/// A number with a comma after each three digits.
pub fn grouped(number: u128) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
