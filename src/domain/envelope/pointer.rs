//! Where an envelope holds the ids that a job needs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::domain::field::FieldError;

/// A JSON pointer (RFC 6901) to a field of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Pointer(String);

impl Pointer {
    /// The names on the way, unescaped.
    pub fn steps(&self) -> impl Iterator<Item = String> + '_ {
        self.0.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~"))
    }

    /// One of those below, whose form is known.
    fn known(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl FromStr for Pointer {
    type Err = FieldError;
    fn from_str(text: &str) -> Result<Self, FieldError> {
        let escapes = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        if text.starts_with('/') && escapes {
            return Ok(Self(text.to_owned()));
        }
        let expected = "expected a JSON pointer (RFC 6901), as /detail/customerId";
        Err(FieldError::new("", format!("{text:?}: {expected}")))
    }
}

impl TryFrom<String> for Pointer {
    type Error = FieldError;
    fn try_from(text: String) -> Result<Self, FieldError> {
        text.parse()
    }
}

impl From<Pointer> for String {
    fn from(pointer: Pointer) -> Self {
        pointer.0
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where each kind of envelope holds what; the names are those of the settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pointers {
    /// The customer's id in an event of Amazon EventBridge.
    pub eventbridge_customer: Pointer,
    /// The endpoint's id in it.
    pub eventbridge_endpoint: Pointer,
    /// The customer's id in a CloudEvent.
    pub cloudevents_customer: Pointer,
    /// The endpoint's id in it.
    pub cloudevents_endpoint: Pointer,
    /// The customer's id in a notification of Amazon SNS.
    pub sns_customer: Pointer,
    /// The endpoint's id in it.
    pub sns_endpoint: Pointer,
    /// The event's type in it.
    pub sns_type: Pointer,
}

impl Default for Pointers {
    fn default() -> Self {
        Self {
            eventbridge_customer: Pointer::known("/detail/customerId"),
            eventbridge_endpoint: Pointer::known("/detail/endpointId"),
            // Names of extensions are of lower-case letters and digits.
            cloudevents_customer: Pointer::known("/customerid"),
            cloudevents_endpoint: Pointer::known("/endpointid"),
            sns_customer: Pointer::known("/MessageAttributes/customerId/Value"),
            sns_endpoint: Pointer::known("/MessageAttributes/endpointId/Value"),
            sns_type: Pointer::known("/MessageAttributes/eventType/Value"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_is_that_of_rfc_6901() {
        let steps = |text: &str| text.parse::<Pointer>().unwrap().steps().collect::<Vec<_>>();
        assert_eq!(steps("/a~1b/~01/0"), ["a/b", "~1", "0"]);
        for bad in ["", "detail", "detail/x", "/a~", "/a~2"] {
            assert!(bad.parse::<Pointer>().is_err(), "{bad:?}");
        }
    }
}
