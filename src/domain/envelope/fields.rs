//! The fields of a message, each as the text that stands there: numbers keep theirs, and no depth
//! of nesting does harm.

use std::collections::HashMap;

use serde_json::value::RawValue;

use super::invalid;
use super::pointer::Pointer;
use crate::domain::ids::{CustomerId, EndpointId, JobId};
use crate::domain::job::Undecodable;

/// The fields of a JSON object.
pub struct Fields<'a>(HashMap<String, &'a RawValue>);

impl<'a> Fields<'a> {
    /// The fields; `None` if `text` is no JSON object.
    pub fn of(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok().map(Self)
    }

    /// A field, unless it is missing or null.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).map(|raw| raw.get()).filter(|text| *text != "null")
    }

    /// The text of a field that has to be there and not empty.
    pub fn text(&self, name: &str) -> Result<String, Undecodable> {
        let text = self.get(name).and_then(|raw| serde_json::from_str::<String>(raw).ok());
        text.filter(|text| !text.is_empty())
            .ok_or_else(|| invalid(name, "expected a string that is not empty"))
    }

    /// A job's id that stands in a field.
    pub fn job_id(&self, name: &str) -> Result<JobId, Undecodable> {
        self.text(name)?.parse().map_err(|e| invalid(name, format!("{e}")))
    }

    /// The field that a pointer leads to, unless it is missing or null.
    fn at(&self, pointer: &Pointer) -> Option<&'a str> {
        let mut steps = pointer.steps();
        let mut found = self.get(&steps.next()?)?;
        for step in steps {
            found = match Self::of(found) {
                Some(object) => object.get(&step)?,
                None => {
                    let list: Vec<&RawValue> = serde_json::from_str(found).ok()?;
                    list.get(step.parse::<usize>().ok()?)?.get()
                }
            };
        }
        Some(found).filter(|text| *text != "null")
    }

    /// The text or the whole number that a pointer leads to; `Err` if it is something else.
    pub fn named(&self, pointer: &Pointer, setting: &str) -> Result<Option<String>, Undecodable> {
        let Some(raw) = self.at(pointer) else { return Ok(None) };
        let is_whole = raw.bytes().all(|b| b.is_ascii_digit());
        match serde_json::from_str::<String>(raw) {
            Ok(text) => Ok(Some(text)),
            Err(_) if is_whole => Ok(Some(raw.to_owned())),
            Err(_) => Err(misplaced(pointer, setting, "expected a string or a whole number")),
        }
    }

    /// The customer, who has to be named.
    pub fn customer(&self, pointer: &Pointer, setting: &str) -> Result<CustomerId, Undecodable> {
        let found = self.named(pointer, setting)?;
        let named =
            found.ok_or_else(|| misplaced(pointer, setting, "the customer's id is missing"))?;
        named.parse().map_err(|e| misplaced(pointer, setting, &format!("{e}")))
    }

    /// The endpoint, if one is named.
    pub fn endpoint(
        &self,
        pointer: &Pointer,
        setting: &str,
    ) -> Result<Option<EndpointId>, Undecodable> {
        let parse =
            |text: String| text.parse().map_err(|e| misplaced(pointer, setting, &format!("{e}")));
        self.named(pointer, setting)?.map(parse).transpose()
    }
}

/// A complaint about what stands where a setting says.
fn misplaced(pointer: &Pointer, setting: &str, problem: &str) -> Undecodable {
    let problem = format!("{problem}; the setting envelopes.{setting} says where it stands");
    invalid(pointer.to_string(), problem)
}
