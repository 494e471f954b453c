//! JSON as a tree whose numbers keep their text and whose members keep their order.
//!
//! Numbers are never read as doubles on the way: 10.50 stays 10.50, 9007199254740993 stays what it
//! is. Trees share their parts, so that a value can be put into many places at no cost.

use std::collections::HashMap;
use std::sync::Arc;

use super::budget::Problem;
use super::output::Output;
use super::reader;

/// Deepest nesting that is read.
pub const MAX_DEPTH: u16 = 128;
/// Deepest nesting that is made: what was read, and what is put around it.
const MAX_MADE_DEPTH: u16 = 2 * MAX_DEPTH;
/// Most values in one document: each takes a few dozen bytes.
pub const MAX_VALUES: usize = 250_000;
/// Objects with more members are searched through an index while they are read.
const FEW: usize = 16;

/// Any JSON value.
#[derive(Debug, Clone)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as it was written.
    Number(Arc<str>),
    /// A string, without quotes and escapes.
    String(Arc<str>),
    /// An array.
    Array(Arc<Array>),
    /// An object.
    Object(Arc<Object>),
}

/// The items of an array.
#[derive(Debug)]
pub struct Array {
    depth: u16,
    items: Vec<Json>,
}

/// The members of an object, each name once, in their order.
#[derive(Debug)]
pub struct Object {
    depth: u16,
    members: Vec<(Arc<str>, Json)>,
}

impl Array {
    /// The items.
    pub fn items(&self) -> &[Json] {
        &self.items
    }
}

impl Object {
    /// The members.
    pub fn members(&self) -> &[(Arc<str>, Json)] {
        &self.members
    }

    /// The member of that name.
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.members.iter().find(|(own, _)| **own == *name).map(|(_, value)| value)
    }
}

impl Json {
    /// Reads a document. A name that stands twice in an object keeps its place and its last value.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        reader::read(text)
    }

    /// A string.
    pub fn string(text: impl Into<Arc<str>>) -> Self {
        Self::String(text.into())
    }

    /// An integer.
    pub fn integer(value: i128) -> Self {
        Self::Number(value.to_string().into())
    }

    /// An array of values.
    pub fn array(items: Vec<Self>) -> Result<Self, Problem> {
        let depth = deeper(items.iter().map(Self::depth).max())?;
        Ok(Self::Array(Arc::new(Array { depth, items })))
    }

    /// An object; a name that stands twice keeps its place and its last value.
    pub fn object(members: Vec<(Arc<str>, Self)>) -> Result<Self, Problem> {
        let depth = deeper(members.iter().map(|(_, value)| value.depth()).max())?;
        Ok(Self::Object(Arc::new(Object { depth, members: last_of_each(members) })))
    }

    fn depth(&self) -> u16 {
        match self {
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) => 0,
            Self::Array(array) => array.depth,
            Self::Object(object) => object.depth,
        }
    }

    /// The member of that name, of an object.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(object) => object.get(name),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) | Self::Array(_) => None,
        }
    }

    /// The item at a place, of an array; negative places count from its end.
    pub fn item(&self, place: i64) -> Option<&Self> {
        let Self::Array(array) = self else { return None };
        let place = if place < 0 { i64::try_from(array.items.len()).ok()? + place } else { place };
        array.items.get(usize::try_from(place).ok()?)
    }

    /// The items, of an array.
    pub fn items(&self) -> &[Self] {
        match self {
            Self::Array(array) => array.items(),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) | Self::Object(_) => &[],
        }
    }

    /// The content of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Array(_) | Self::Object(_) => None,
        }
    }

    /// How many items, or members, it has.
    pub fn count(&self) -> usize {
        match self {
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) => 0,
            Self::Array(array) => array.items.len(),
            Self::Object(object) => object.members.len(),
        }
    }

    /// What kind of value it is, as JMESPath names them.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Number(_) => "number",
            Self::String(_) => "string",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        }
    }

    /// The document without white space.
    pub fn to_json(&self) -> Result<String, Problem> {
        let mut output = Output::default();
        output.json(self)?;
        Ok(output.into_text())
    }

    /// The content of a string; of any other value its JSON.
    pub fn to_text(&self) -> Result<Arc<str>, Problem> {
        match self {
            Self::String(text) | Self::Number(text) => Ok(text.clone()),
            Self::Null | Self::Bool(_) | Self::Array(_) | Self::Object(_) => {
                Ok(self.to_json()?.into())
            }
        }
    }
}

fn deeper(inner: Option<u16>) -> Result<u16, Problem> {
    let depth = inner.unwrap_or(0) + 1;
    if depth > MAX_MADE_DEPTH {
        return Err(format!("nests deeper than {MAX_MADE_DEPTH} levels").into());
    }
    Ok(depth)
}

fn last_of_each(members: Vec<(Arc<str>, Json)>) -> Vec<(Arc<str>, Json)> {
    let mut kept: Vec<(Arc<str>, Json)> = Vec::with_capacity(members.len());
    if members.len() <= FEW {
        for (name, value) in members {
            match kept.iter_mut().find(|(own, _)| *own == name) {
                Some((_, old)) => *old = value,
                None => kept.push((name, value)),
            }
        }
        return kept;
    }
    let mut places = HashMap::with_capacity(members.len());
    for (name, value) in members {
        match places.get(&name) {
            Some(&place) => {
                let (_, old): &mut (_, Json) = &mut kept[place];
                *old = value;
            }
            None => {
                places.insert(name.clone(), kept.len());
                kept.push((name, value));
            }
        }
    }
    kept
}
