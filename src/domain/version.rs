//! The version of what travels: jobs, and the states of their deliveries. What a newer program wrote
//! is left to a program that knows it.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

/// The newest version that this program knows. Raised when a program that does not know the change
/// would do something wrong; a new optional member needs no new version.
pub const KNOWN: u64 = 1;

/// A version that is known: the only one that there is so far, which need not be written down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Known;

impl<'de> Deserialize<'de> for Known {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        match u64::deserialize(reader)? {
            KNOWN => Ok(Self),
            other => Err(serde::de::Error::custom(format!(
                "version {other} is not known to this program, which knows {KNOWN}"
            ))),
        }
    }
}

impl JsonSchema for Known {
    fn schema_name() -> Cow<'static, str> {
        "Version".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "const": KNOWN })
    }
}

/// The version of a JSON object that this program is too old for, if it is.
pub fn newer(json: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u64,
    }
    let found: Versioned = serde_json::from_slice(json).ok()?;
    (found.version > KNOWN).then_some(found.version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_number_above_the_known_one_is_newer() {
        assert_eq!(newer(br#"{"version":2,"unheard":{"of":[1]}}"#), Some(2));
        for old in [r#"{"version":1}"#, r#"{"version":0}"#, r#"{"version":"2"}"#, "{}", "2", "{"] {
            assert_eq!(newer(old.as_bytes()), None, "{old}");
        }
    }
}
