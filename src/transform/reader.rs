//! Reads JSON (RFC 8259) into a tree.

use std::sync::Arc;

use super::budget::Problem;
use super::json::{Json, MAX_DEPTH, MAX_VALUES};
use super::number;

/// Reads a document.
pub fn read(text: &str) -> Result<Json, Problem> {
    let mut reader = Reader { text, at: 0, values: 0 };
    let value = reader.value(0)?;
    reader.skip_space();
    if reader.at < text.len() { Err(reader.wrong("nothing more")) } else { Ok(value) }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    values: usize,
}

impl Reader<'_> {
    fn wrong(&self, expected: &str) -> Problem {
        let problem = if self.at < self.text.len() { "" } else { "it ends too early: " };
        format!("not JSON at byte {}: {problem}expected {expected}", self.at).into()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    /// Takes a byte, where it is the next after white space.
    fn take(&mut self, byte: u8) -> bool {
        self.skip_space();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: u16) -> Result<Json, Problem> {
        self.skip_space();
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(format!("holds more than {MAX_VALUES} values").into());
        }
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => Ok(Json::String(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'n') => self.word("null", Json::Null),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(_) | None => Err(self.wrong("a value")),
        }
    }

    fn word(&mut self, word: &str, value: Json) -> Result<Json, Problem> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.wrong(word));
        }
        self.at += word.len();
        Ok(value)
    }

    fn number(&mut self) -> Result<Json, Problem> {
        let rest = &self.text[self.at..];
        let length = number::length(rest.as_bytes()).ok_or_else(|| self.wrong("a number"))?;
        if length > number::MAX_LENGTH {
            return Err(
                format!("holds a number longer than {} characters", number::MAX_LENGTH).into()
            );
        }
        self.at += length;
        Ok(Json::Number(rest[..length].into()))
    }

    fn string(&mut self) -> Result<Arc<str>, Problem> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut end = start + 1;
        let mut escaped = false;
        loop {
            match bytes.get(end) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    end += 2;
                }
                Some(0..=0x1f) | None => {
                    self.at = end.min(bytes.len());
                    return Err(self.wrong("the end of a string"));
                }
                Some(_) => end += 1,
            }
        }
        self.at = end + 1;
        if !escaped {
            return Ok(self.text[start + 1..end].into());
        }
        let read: Result<String, _> = serde_json::from_str(&self.text[start..=end]);
        read.map(Arc::from).map_err(|_| {
            self.at = start;
            self.wrong("a string with whole escapes and no lone surrogates")
        })
    }

    fn enter(&mut self, depth: u16) -> Result<u16, Problem> {
        self.at += 1;
        if depth == MAX_DEPTH {
            return Err(format!("nests deeper than {MAX_DEPTH} levels").into());
        }
        Ok(depth + 1)
    }

    fn array(&mut self, depth: u16) -> Result<Json, Problem> {
        let depth = self.enter(depth)?;
        let mut items = Vec::new();
        if self.take(b']') {
            return Json::array(items);
        }
        loop {
            items.push(self.value(depth)?);
            if self.take(b']') {
                return Json::array(items);
            }
            if !self.take(b',') {
                return Err(self.wrong("a comma or the end of the array"));
            }
        }
    }

    fn object(&mut self, depth: u16) -> Result<Json, Problem> {
        let depth = self.enter(depth)?;
        let mut members = Vec::new();
        if self.take(b'}') {
            return Json::object(members);
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return Err(self.wrong("a name in quotes"));
            }
            let name = self.string()?;
            if !self.take(b':') {
                return Err(self.wrong("a colon"));
            }
            members.push((name, self.value(depth)?));
            if self.take(b'}') {
                return Json::object(members);
            }
            if !self.take(b',') {
                return Err(self.wrong("a comma or the end of the object"));
            }
        }
    }
}
