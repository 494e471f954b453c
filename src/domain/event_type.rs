//! Which types of events an endpoint wants.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::domain::field::FieldError;

/// Longest pattern, in bytes.
const MAX_PATTERN: usize = 256;

/// A type, or the beginning of one with a star behind it: `order.created`, `order.*`, `*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct EventTypePattern(String);

impl EventTypePattern {
    /// Whether a job of this type is meant. One without a type is meant by `*` alone.
    pub fn matches(&self, event_type: Option<&str>) -> bool {
        match (self.0.strip_suffix('*'), event_type) {
            (Some(beginning), Some(event_type)) => event_type.starts_with(beginning),
            (Some(beginning), None) => beginning.is_empty(),
            (None, event_type) => event_type == Some(self.0.as_str()),
        }
    }
}

impl FromStr for EventTypePattern {
    type Err = FieldError;
    fn from_str(text: &str) -> Result<Self, FieldError> {
        let beginning = text.strip_suffix('*').unwrap_or(text);
        if text.is_empty() || text.len() > MAX_PATTERN || beginning.contains('*') {
            let expected = "expected a type, or the beginning of one with `*` at its end";
            return Err(FieldError::new("", format!("{text:?}: {expected}")));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for EventTypePattern {
    type Error = FieldError;
    fn try_from(text: String) -> Result<Self, FieldError> {
        text.parse()
    }
}

impl From<EventTypePattern> for String {
    fn from(pattern: EventTypePattern) -> Self {
        pattern.0
    }
}

impl fmt::Display for EventTypePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_type_or_its_beginning() {
        let matches = |pattern: &str, event_type: Option<&str>| {
            pattern.parse::<EventTypePattern>().unwrap().matches(event_type)
        };
        for (pattern, event_type, meant) in [
            ("order.created", Some("order.created"), true),
            ("order.created", Some("order.created.v2"), false),
            ("order.*", Some("order.created"), true),
            ("order.*", Some("order"), false),
            ("order.*", Some("orders.created"), false),
            ("order*", Some("orders.created"), true),
            ("order.*", None, false),
            ("*", Some(""), true),
            ("*", None, true),
        ] {
            assert_eq!(matches(pattern, event_type), meant, "{pattern} {event_type:?}");
        }
        for bad in ["", "*.created", "a*b", "**", &"a".repeat(257)] {
            assert!(bad.parse::<EventTypePattern>().is_err(), "{bad:?}");
        }
    }
}
