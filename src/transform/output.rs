//! Text that is being made, up to the largest body.

use super::budget::{MAX_OUTPUT, Problem};
use super::json::Json;

/// Text up to [`MAX_OUTPUT`] bytes.
#[derive(Debug, Default)]
pub struct Output {
    text: String,
}

impl Output {
    /// The text that was written.
    pub fn into_text(self) -> String {
        self.text
    }

    /// What was written so far.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Writes text as it is.
    pub fn push(&mut self, text: &str) -> Result<(), Problem> {
        if text.len() > MAX_OUTPUT - self.text.len() {
            return Err(format!("the body becomes larger than {MAX_OUTPUT} bytes").into());
        }
        self.text.push_str(text);
        Ok(())
    }

    /// Writes a string of JSON, with its quotes.
    pub fn string(&mut self, text: &str) -> Result<(), Problem> {
        self.push("\"")?;
        self.string_content(text)?;
        self.push("\"")
    }

    /// Writes what stands between the quotes of a string of JSON (RFC 8259 section 7).
    pub fn string_content(&mut self, text: &str) -> Result<(), Problem> {
        let mut written = 0;
        for (at, byte) in text.bytes().enumerate() {
            let escape = match byte {
                b'"' => "\\\"",
                b'\\' => "\\\\",
                b'\n' => "\\n",
                b'\r' => "\\r",
                b'\t' => "\\t",
                0..=0x1f => "",
                _ => continue,
            };
            self.push(&text[written..at])?;
            if escape.is_empty() {
                self.push(&format!("\\u{byte:04x}"))?;
            } else {
                self.push(escape)?;
            }
            written = at + 1;
        }
        self.push(&text[written..])
    }

    /// Writes a value as JSON without white space, numbers as they were written.
    pub fn json(&mut self, value: &Json) -> Result<(), Problem> {
        match value {
            Json::Null => self.push("null"),
            Json::Bool(true) => self.push("true"),
            Json::Bool(false) => self.push("false"),
            Json::Number(text) => self.push(text),
            Json::String(text) => self.string(text),
            Json::Array(array) => {
                self.push("[")?;
                for (n, item) in array.items().iter().enumerate() {
                    self.push(if n == 0 { "" } else { "," })?;
                    self.json(item)?;
                }
                self.push("]")
            }
            Json::Object(object) => {
                self.push("{")?;
                for (n, (name, value)) in object.members().iter().enumerate() {
                    self.push(if n == 0 { "" } else { "," })?;
                    self.string(name)?;
                    self.push(":")?;
                    self.json(value)?;
                }
                self.push("}")
            }
        }
    }
}
