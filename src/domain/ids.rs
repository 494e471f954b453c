//! Identifiers. Each is checked once, when it is made, and cannot be confused with another.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize};

/// Longest customer, endpoint and secret id, in bytes.
pub const MAX_NAME: usize = 128;
/// Longest job id, in bytes: it is sent as a header value on every attempt.
pub const MAX_JOB_ID: usize = 256;

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not a {kind}: expected {expected}")]
pub struct InvalidId {
    kind: &'static str,
    found: String,
    expected: &'static str,
}

fn check_name(kind: &'static str, text: &str) -> Result<(), InvalidId> {
    let well_formed = !text.is_empty()
        && text.len() <= MAX_NAME
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:@".contains(&b));
    if well_formed {
        return Ok(());
    }
    Err(invalid(kind, text, "1 to 128 ASCII letters, digits, '-', '_', '.', ':' or '@'"))
}

fn check_job_id(kind: &'static str, text: &str) -> Result<(), InvalidId> {
    let well_formed =
        !text.is_empty() && text.len() <= MAX_JOB_ID && text.bytes().all(|b| b.is_ascii_graphic());
    if well_formed {
        return Ok(());
    }
    Err(invalid(kind, text, "1 to 256 visible ASCII characters without spaces"))
}

fn invalid(kind: &'static str, text: &str, expected: &'static str) -> InvalidId {
    InvalidId { kind, found: text.chars().take(64).collect(), expected }
}

/// Reads an identifier without copying its text before.
struct Text<T>(PhantomData<T>);

impl<T: FromStr<Err = InvalidId>> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $check:path, $pattern:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                $check($kind, text)?;
                Ok(Self(text.into()))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
                reader.deserialize_str(Text(PhantomData))
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "pattern": $pattern})
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

identifier!(
    /// The tenant whose endpoint is called.
    CustomerId, "customer id", check_name, "^[A-Za-z0-9_.:@-]{1,128}$"
);
identifier!(
    /// One endpoint of a customer.
    EndpointId, "endpoint id", check_name, "^[A-Za-z0-9_.:@-]{1,128}$"
);
identifier!(
    /// One secret of a customer.
    SecretId, "secret id", check_name, "^[A-Za-z0-9_.:@-]{1,128}$"
);
identifier!(
    /// A type of events that the operator has registered.
    EventTypeName, "name of an event type", check_name, "^[A-Za-z0-9_.:@-]{1,128}$"
);
identifier!(
    /// The idempotency key of a job: the same on every attempt and in every round.
    JobId, "job id", check_job_id, "^[!-~]{1,256}$"
);
identifier!(
    /// The jobs of a customer that name the same one are delivered in the order of their enqueueing.
    OrderingGroup, "ordering group", check_job_id, "^[!-~]{1,256}$"
);

/// What the ids begin with that no customer's secret has.
const RESERVED: &str = "sealpost:";
const TENANT_KEY: &str = "sealpost:tenant-key";

impl SecretId {
    /// The id under which a customer's tenant key is stored.
    pub fn tenant_key() -> Self {
        Self(TENANT_KEY.into())
    }

    /// Whether the store keeps something of the program's own under this id.
    pub fn is_reserved(&self) -> bool {
        self.as_str().starts_with(RESERVED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_break_a_path_or_a_header_are_refused() {
        for bad in ["", "a/b", "a b", "a\r\nb", "é", &"a".repeat(129)] {
            assert!(bad.parse::<CustomerId>().is_err(), "{bad:?}");
        }
        assert!("customer-123".parse::<CustomerId>().is_ok());
    }

    #[test]
    fn job_ids_are_visible_ascii_because_they_become_a_header() {
        for bad in ["", "a b", "a\nb", "évt", &"a".repeat(257)] {
            assert!(bad.parse::<JobId>().is_err(), "{bad:?}");
        }
        assert!("urn:uuid:6f9c/1".parse::<JobId>().is_ok());
    }

    #[test]
    fn the_tenant_key_has_an_id_of_the_usual_form_that_no_customer_s_secret_has() {
        let id: SecretId = TENANT_KEY.parse().unwrap();
        assert!(id == SecretId::tenant_key() && id.is_reserved());
        assert!(!"sealpost".parse::<SecretId>().unwrap().is_reserved());
    }
}
