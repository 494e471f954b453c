//! Values in the text of a JSON document, read and put there without writing the rest anew: numbers
//! keep their digits, objects their order, and white space stays.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A place in a JSON document (RFC 6901).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer(Vec<String>);

impl Pointer {
    /// Reads `/a/0/b`.
    ///
    /// # Errors
    /// If it does not begin with `/`: the whole document is no place.
    pub fn parse(text: &str) -> Result<Self, String> {
        let steps = text.strip_prefix('/').ok_or_else(|| {
            format!(
                "{text:?} is not a place in JSON: expected a pointer such as /data/id (RFC 6901)"
            )
        })?;
        let unescape = |step: &str| step.replace("~1", "/").replace("~0", "~");
        Ok(Self(steps.split('/').map(unescape).collect()))
    }

    /// The plain value at this place as text: a string without quotes, a number as it is spelled, and
    /// nothing for `null` and for no value.
    ///
    /// # Errors
    /// If the document is not JSON, names something twice, or has no plain value here.
    pub fn text(&self, document: &str) -> Result<String, String> {
        let mut at = raw(document)?;
        for step in &self.0 {
            match Children::of(at)?.get(step)? {
                Some(child) => at = child.get(),
                None => return Ok(String::new()),
            }
        }
        match at.as_bytes().first() {
            Some(b'"') => serde_json::from_str(at).map_err(|e| e.to_string()),
            Some(b'{' | b'[') | None => Err(format!("{self} is not a plain value")),
            Some(_) if at == "null" => Ok(String::new()),
            Some(_) => Ok(at.to_owned()),
        }
    }

    /// Checks that no list on the way has several items: what stands here would speak for one of them,
    /// and a receiver may read the others too.
    ///
    /// # Errors
    /// If one has, or the document is not JSON.
    pub fn check_single(&self, document: &str) -> Result<(), String> {
        let mut at = raw(document)?;
        for step in &self.0 {
            let children = Children::of(at)?;
            if matches!(&children, Children::Array(items) if items.len() > 1) {
                return Err(format!("a list on the way to {self} has more than one item"));
            }
            match children.get(step)? {
                Some(child) => at = child.get(),
                None => return Ok(()),
            }
        }
        Ok(())
    }

    /// The document with `value` put at this place, in objects that are made where they are missing.
    ///
    /// # Errors
    /// If the document is not JSON, has something else or a list of several in the way, or a value at
    /// this place.
    pub fn put(&self, document: &str, value: &str) -> Result<String, String> {
        let mut at = raw(document)?;
        for (index, step) in self.0.iter().enumerate() {
            let children = Children::of(at)?;
            if matches!(&children, Children::Array(items) if items.len() > 1) {
                return Err(format!("a list on the way to {self} has more than one item"));
            }
            let Some(child) = children.get(step)? else {
                // What is missing is made as objects; a number would name an item of a list.
                let is_index = |step: &String| step.bytes().all(|b| b.is_ascii_digit());
                let members = match children {
                    Children::Object(members) if !self.0[index..].iter().any(is_index) => members,
                    Children::Object(_) | Children::Array(_) | Children::None => {
                        return Err(format!("there is nothing on the way to {self}"));
                    }
                };
                let comma = if members.is_empty() { "" } else { "," };
                let member = format!("{}{comma}", nested(&self.0[index..], value));
                // Borrowed from the document: after the brace that opens this object.
                let position = at.as_ptr() as usize - document.as_ptr() as usize + 1;
                return Ok(format!("{}{member}{}", &document[..position], &document[position..]));
            };
            at = child.get();
        }
        Err(format!("there is a value at {self} already"))
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|s| write!(f, "/{}", s.replace('~', "~0").replace('/', "~1")))
    }
}

/// `"a":{"b":"value"}`, for steps `a` and `b`.
fn nested(steps: &[String], value: &str) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    match steps {
        [] => quoted(value),
        [last] => format!("{}:{}", quoted(last), quoted(value)),
        [first, rest @ ..] => format!("{}:{{{}}}", quoted(first), nested(rest, value)),
    }
}

fn raw(document: &str) -> Result<&str, String> {
    let raw: &RawValue =
        serde_json::from_str(document).map_err(|e| format!("the body is not JSON: {e}"))?;
    Ok(raw.get())
}

enum Children<'d> {
    Object(Vec<(String, &'d RawValue)>),
    Array(Vec<&'d RawValue>),
    None,
}

impl<'d> Children<'d> {
    fn of(text: &'d str) -> Result<Self, String> {
        let children = match text.as_bytes().first() {
            Some(b'{') => serde_json::from_str(text).map(|Members(m)| Self::Object(m)),
            Some(b'[') => serde_json::from_str(text).map(Self::Array),
            Some(_) | None => Ok(Self::None),
        };
        children.map_err(|e| e.to_string())
    }

    /// A name that stands twice means one value to one reader and another to the next.
    fn get(&self, step: &str) -> Result<Option<&'d RawValue>, String> {
        match self {
            Self::Object(members) => {
                let mut named = members.iter().filter(|(name, _)| name == step);
                match (named.next(), named.next()) {
                    (_, Some(_)) => Err(format!("the body names {step:?} twice in one object")),
                    (first, None) => Ok(first.map(|(_, value)| *value)),
                }
            }
            Self::Array(items) => {
                Ok(step.parse::<usize>().ok().and_then(|index| items.get(index).copied()))
            }
            Self::None => Err(format!("the body has no object or list around {step:?}")),
        }
    }
}

struct Members<'d>(Vec<(String, &'d RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_put_without_touching_the_rest() {
        let put = |at: &str, document: &str| Pointer::parse(at).unwrap().put(document, "v\"");
        assert_eq!(put("/a", " {} ").unwrap(), r#" {"a":"v\""} "#);
        assert_eq!(
            put("/l/0/a/b", r#"{"l" :[{"n": 1.10e5 }]}"#).unwrap(),
            r#"{"l" :[{"a":{"b":"v\""},"n": 1.10e5 }]}"#
        );
        for (at, document) in [
            ("/a", "[]"),
            ("/a", "1"),
            ("/a", "{"),
            ("/a", r#"{"a":1}"#),
            ("/l/0/a", r#"{"l":[]}"#),
            ("/l/0/a", r#"{"l":[{},{}]}"#),
            ("/l/0/a", "{}"),
            ("/a/b", r#"{"a":{},"a":{}}"#),
        ] {
            assert!(put(at, document).is_err(), "{at} {document}");
        }
    }

    #[test]
    fn a_plain_value_is_read_as_it_is_spelled() {
        let text = |at: &str, document: &str| Pointer::parse(at).unwrap().text(document);
        assert_eq!(text("/a/b", r#"{"a":{"b":1.50}}"#).unwrap(), "1.50");
        assert_eq!(text("/a", r#"{"a":"\u00e9"}"#).unwrap(), "é");
        assert_eq!(text("/a~1b/1", r#"{"a/b":[0,true]}"#).unwrap(), "true");
        assert_eq!(text("/a", r#"{"a":null}"#).unwrap(), "");
        assert_eq!(text("/x/y", r#"{"a":null}"#).unwrap(), "");
        assert!(text("/a", r#"{"a":[]}"#).is_err());
        assert!(text("/a", r#"{"a":1,"a":2}"#).is_err());
        assert!(Pointer::parse("a").is_err());
    }
}
