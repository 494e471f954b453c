//! Items: reading and writing attributes.

use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::ports::{Error, Result};

/// Attributes by name.
pub type Item = HashMap<String, AttributeValue>;

/// A string.
pub fn s(text: impl Display) -> AttributeValue {
    AttributeValue::S(text.to_string())
}

/// A number.
pub fn n(number: impl Display) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// Bytes.
pub fn b(bytes: &[u8]) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
}

/// `#name` for each name: many words are reserved in expressions, so none stands there plain.
pub fn names(names: &[&str]) -> Option<HashMap<String, String>> {
    Some(names.iter().map(|name| (format!("#{name}"), (*name).to_owned())).collect())
}

/// Values by placeholder, as in `:version`.
pub fn values<const N: usize>(pairs: [(&str, AttributeValue); N]) -> Option<Item> {
    Some(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// A key of two strings.
pub fn key(partition: (&str, impl Display), sort: (&str, impl Display)) -> Option<Item> {
    values([(partition.0, s(partition.1)), (sort.0, s(sort.1))])
}

/// Attributes of an item, with an error that names the one that is not as it should be.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    /// What is being done.
    pub operation: &'static str,
    /// The item.
    pub item: &'a Item,
}

impl<'a> Reader<'a> {
    /// An attribute, unless it is missing or null.
    pub fn get(self, name: &str) -> Option<&'a AttributeValue> {
        self.item.get(name).filter(|value| !value.is_null())
    }

    /// The text of an attribute that may be missing.
    pub fn optional_text(self, name: &str) -> Result<Option<&'a str>> {
        let text = |value: &'a AttributeValue| {
            value.as_s().map(String::as_str).map_err(|_| self.unlike(name, "a string"))
        };
        self.get(name).map(text).transpose()
    }

    /// The text of an attribute.
    pub fn text(self, name: &str) -> Result<&'a str> {
        self.optional_text(name)?.ok_or_else(|| self.unlike(name, "a string"))
    }

    /// An attribute's text as what it means.
    pub fn parsed<T: FromStr>(self, name: &str) -> Result<T> {
        self.text(name)?.parse().map_err(|_| self.unlike(name, "of its form"))
    }

    /// A number that may be missing.
    pub fn optional_number<T: FromStr>(self, name: &str) -> Result<Option<T>> {
        let number = |value: &AttributeValue| {
            let text = value.as_n().ok().and_then(|text| text.parse().ok());
            text.ok_or_else(|| self.unlike(name, "a number"))
        };
        self.get(name).map(number).transpose()
    }

    /// A number.
    pub fn number<T: FromStr>(self, name: &str) -> Result<T> {
        self.optional_number(name)?.ok_or_else(|| self.unlike(name, "a number"))
    }

    /// The failure to read an attribute. Says nothing of its value.
    pub fn unlike(self, name: &str, expected: &str) -> Error {
        Error::unreadable(self.operation, format!("a stored item's `{name}` is not {expected}"))
    }
}
