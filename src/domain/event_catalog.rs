//! The types of events that the operator sends: what endpoints can subscribe to.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::event_type::EventTypePattern;
use crate::domain::field::FieldError;
use crate::domain::ids::EventTypeName;
use crate::domain::timestamp::Timestamp;

/// Largest example, and largest description, in bytes of JSON.
pub const MAX_EXAMPLE: usize = 64 * 1024;
/// Longest description, in bytes.
pub const MAX_DESCRIPTION: usize = 1024;

/// A type of events, as the operator registers it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventType {
    /// Its name: the `type` of jobs.
    pub name: EventTypeName,
    /// What it says, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What its data looks like: sent by tests of this type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<Value>,
    /// Whether it is sent no more: endpoints should not subscribe to it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub archived: bool,
    /// When it was registered in this form.
    pub updated_at: Timestamp,
}

/// What becomes of an endpoint that subscribes to a type that is not registered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownTypes {
    /// It is registered like any other.
    #[default]
    Accept,
    /// It is registered, and whoever registers it is told.
    Warn,
    /// It is refused.
    Refuse,
}

impl EventType {
    /// Checks what can be too large.
    ///
    /// # Errors
    /// With the path of what is.
    pub fn check(&self) -> Result<(), FieldError> {
        if self.description.len() > MAX_DESCRIPTION {
            let problem = format!("expected at most {MAX_DESCRIPTION} bytes");
            return Err(FieldError::new("description", problem));
        }
        let size = self.example.as_ref().map_or(0, |example| example.to_string().len());
        if size > MAX_EXAMPLE {
            return Err(FieldError::new(
                "example",
                format!("expected at most {MAX_EXAMPLE} bytes"),
            ));
        }
        Ok(())
    }
}

/// The patterns that mean no type that is registered and not archived, each with the path of it. `*` always
/// means something: jobs without a type, too.
pub fn unknown(patterns: &[EventTypePattern], known: &[EventType]) -> Vec<FieldError> {
    let is_known = |pattern: &EventTypePattern| {
        let mut current = known.iter().filter(|known| !known.archived);
        pattern.matches(None) || current.any(|known| pattern.matches(Some(known.name.as_str())))
    };
    let unknown = patterns.iter().enumerate().filter(|(_, pattern)| !is_known(pattern));
    let problem = |(index, pattern): (usize, &EventTypePattern)| {
        let is_archived = known.iter().any(|known| pattern.matches(Some(known.name.as_str())));
        let what = if is_archived { "is archived" } else { "is not registered" };
        FieldError::new(format!("eventTypes[{index}]"), format!("the event type {pattern} {what}"))
    };
    unknown.map(problem).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_known_if_it_means_a_type_that_is_still_sent() {
        let event_type = |name: &str, archived| EventType {
            name: name.parse().unwrap(),
            description: String::new(),
            example: None,
            archived,
            updated_at: Timestamp::from_millis(0),
        };
        let known = [event_type("order.created", false), event_type("invoice.paid", true)];
        let patterns = ["*", "order.created", "order.*", "order.deleted", "invoice.*", "x.*"];
        let patterns = patterns.map(|text| text.parse().unwrap());
        let unknown: Vec<String> =
            unknown(&patterns, &known).iter().map(ToString::to_string).collect();
        assert_eq!(unknown.len(), 3, "{unknown:?}");
        assert!(unknown[0].contains("eventTypes[3]") && unknown[0].contains("not registered"));
        assert!(unknown[1].contains("eventTypes[4]") && unknown[1].contains("archived"));
        assert!(unknown[2].contains("eventTypes[5]"));
    }
}
