//! How much may be asked of an endpoint: one set of limits per endpoint.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::field::FieldError;

/// Most calls that a rate or its burst may name.
const MOST_CALLS: u32 = 1_000_000;
/// Most calls at once.
const MOST_AT_ONCE: u32 = 10_000;
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// How much may be asked of an endpoint: its rate by all workers together, the rest by each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// Most calls in a time; no limit if absent.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "rate")]
    pub rate: Option<Rate>,
    /// Most calls at once; 1 to 10,000.
    pub concurrency: u32,
    /// Whether fewer calls are made at once while the endpoint shows that it has too much to do.
    pub adaptive: bool,
    /// When an endpoint that fails is left alone; `false` for never.
    #[serde(serialize_with = "write_breaker", deserialize_with = "breaker")]
    pub breaker: Option<BreakerPolicy>,
}

impl Default for Limits {
    fn default() -> Self {
        let breaker = Some(BreakerPolicy::default());
        Self { rate: None, concurrency: 256, adaptive: true, breaker }
    }
}

impl Limits {
    /// Whether these are the limits of an endpoint that names none.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Checks the ranges that the fields document.
    pub fn check(&self) -> Result<(), FieldError> {
        if let Some(rate) = &self.rate {
            rate.check().map_err(|e| e.under("rate"))?;
        }
        if !(1..=MOST_AT_ONCE).contains(&self.concurrency) {
            return Err(FieldError::new("concurrency", "expected 1 to 10000"));
        }
        self.breaker.as_ref().map_or(Ok(()), |b| b.check().map_err(|e| e.under("breaker")))
    }
}

/// Most calls in a time: `"100/s"`, or an object with more to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Rate {
    /// So many calls; 1 to 1,000,000.
    pub count: u32,
    /// In so long a time; 1 second to 1 day.
    #[serde(with = "humantime_serde")]
    pub per: Duration,
    /// So many of them at once after a rest; by default what one second allows, and at least 1.
    pub burst: u32,
}

/// A rate as it is written in full.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FullRate {
    count: u32,
    #[serde(default = "second", with = "humantime_serde")]
    per: Duration,
    burst: Option<u32>,
}

fn second() -> Duration {
    SECOND
}

impl Rate {
    /// `count` calls in `per`; `burst` of them at once, or what one second allows.
    pub fn new(count: u32, per: Duration, burst: Option<u32>) -> Self {
        let in_a_second = f64::from(count) / per.as_secs_f64().max(1.0);
        // Rounded down, and no more than `count`, so it fits.
        let burst = burst.unwrap_or((in_a_second as u32).max(1));
        Self { count, per, burst }
    }

    /// The time from one call to the next at this rate, rounded up: never faster than the rate.
    pub fn interval(&self) -> Duration {
        let nanos = self.per.as_nanos().div_ceil(u128::from(self.count.max(1)));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// A part of this rate; `share` in `0.0..=1.0`, without 0.
    #[must_use]
    pub fn part(&self, share: f64) -> Self {
        let burst = ((f64::from(self.burst) * share) as u32).max(1);
        Self { per: self.per.div_f64(share), burst, ..*self }
    }

    fn check(&self) -> Result<(), FieldError> {
        if !(1..=MOST_CALLS).contains(&self.count) {
            return Err(FieldError::new("count", "expected 1 to 1000000"));
        }
        if !(SECOND..=DAY).contains(&self.per) {
            return Err(FieldError::new("per", "expected 1s to 1day"));
        }
        if !(1..=MOST_CALLS).contains(&self.burst) {
            return Err(FieldError::new("burst", "expected 1 to 1000000"));
        }
        Ok(())
    }
}

impl FromStr for Rate {
    type Err = FieldError;
    fn from_str(text: &str) -> Result<Self, FieldError> {
        let parts = text.split_once('/').and_then(|(count, unit)| {
            let per = match unit {
                "s" => SECOND,
                "m" => Duration::from_secs(60),
                "h" => HOUR,
                "d" => DAY,
                _ => return None,
            };
            count.bytes().all(|b| b.is_ascii_digit()).then_some(())?;
            Some((count.parse().ok()?, per))
        });
        let (count, per) = parts.ok_or_else(|| {
            let expected = "expected a number of calls in a second, minute, hour or day, as \
                            \"100/s\", \"100/m\", \"100/h\" or \"100/d\"";
            FieldError::new("", format!("{text:?} is not a rate: {expected}"))
        })?;
        Ok(Self::new(count, per, None))
    }
}

/// When an endpoint that fails is left alone, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BreakerPolicy {
    /// After so many failures in a row; 1 to 1000.
    pub failures: u32,
    /// Or after this share of the last `calls` failed; 1 to 100.
    pub percent: u32,
    /// The calls of which `percent` is reckoned; 1 to 64.
    pub calls: u32,
    /// How long until the first probe; it doubles with every probe that fails. 1 second to 1 hour.
    #[serde(with = "humantime_serde")]
    pub wait: Duration,
    /// The longest wait for a probe; at most 1 hour.
    #[serde(with = "humantime_serde")]
    pub max_wait: Duration,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            failures: 20,
            percent: 90,
            calls: 50,
            wait: Duration::from_secs(15),
            max_wait: Duration::from_secs(5 * 60),
        }
    }
}

impl BreakerPolicy {
    fn check(&self) -> Result<(), FieldError> {
        if !(1..=1000).contains(&self.failures) {
            return Err(FieldError::new("failures", "expected 1 to 1000"));
        }
        if !(1..=100).contains(&self.percent) {
            return Err(FieldError::new("percent", "expected 1 to 100"));
        }
        if !(1..=64).contains(&self.calls) {
            return Err(FieldError::new("calls", "expected 1 to 64"));
        }
        if !(SECOND..=HOUR).contains(&self.wait) {
            return Err(FieldError::new("wait", "expected 1s to 1h"));
        }
        if !(self.wait..=HOUR).contains(&self.max_wait) {
            return Err(FieldError::new("maxWait", "expected at least wait and at most 1h"));
        }
        Ok(())
    }
}

/// Reads a text or an object as a rate, and keeps the path to what is wrong inside.
fn rate<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Rate>, D::Error> {
    struct Written;
    impl<'de> Visitor<'de> for Written {
        type Value = Option<Rate>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a rate as \"100/s\" or {\"count\": 100, \"per\": \"1s\", \"burst\": 20}")
        }
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
            text.parse().map(Some).map_err(E::custom)
        }
        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            let full = FullRate::deserialize(MapAccessDeserializer::new(map))?;
            if full.per.is_zero() {
                return Err(A::Error::custom("per: expected 1s to 1day"));
            }
            Ok(Some(Rate::new(full.count, full.per, full.burst)))
        }
    }
    input.deserialize_any(Written)
}

/// Reads `true`, `false` or an object as a breaker, and keeps the path to what is wrong inside.
fn breaker<'de, D: Deserializer<'de>>(input: D) -> Result<Option<BreakerPolicy>, D::Error> {
    struct Written;
    impl<'de> Visitor<'de> for Written {
        type Value = Option<BreakerPolicy>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("true, false or an object of breaker settings")
        }
        fn visit_bool<E>(self, on: bool) -> Result<Self::Value, E> {
            Ok(on.then(BreakerPolicy::default))
        }
        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            BreakerPolicy::deserialize(MapAccessDeserializer::new(map)).map(Some)
        }
    }
    input.deserialize_any(Written)
}

fn write_breaker<S: Serializer>(
    breaker: &Option<BreakerPolicy>,
    output: S,
) -> Result<S::Ok, S::Error> {
    match breaker {
        Some(policy) => policy.serialize(output),
        None => output.serialize_bool(false),
    }
}

#[cfg(test)]
#[path = "limits_tests.rs"]
mod tests;
