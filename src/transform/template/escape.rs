//! How a value is written, by what the template makes.

use super::super::output::Output;
use super::{Json, Problem};
use crate::domain::body::{essence, is_json};

/// What a template makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// JSON: a value is written as JSON; inside a string of the template, as a part of it.
    Json,
    /// XML or HTML: what would be markup is written as text.
    Xml,
    /// `application/x-www-form-urlencoded`: a value cannot begin another field.
    Form,
    /// Any other text: values stand as they are.
    Text,
}

impl Flavour {
    /// What a template with this content type makes.
    pub fn of(content_type: &str) -> Self {
        let essence = essence(content_type);
        if is_json(&essence) {
            Self::Json
        } else if essence.ends_with("/xml") || essence.ends_with("+xml") || essence == "text/html" {
            Self::Xml
        } else if essence == "application/x-www-form-urlencoded" {
            Self::Form
        } else {
            Self::Text
        }
    }
}

/// What a template has made so far.
pub struct Writer {
    flavour: Flavour,
    output: Output,
    /// Whether what follows stands inside a string of JSON, and after a backslash there.
    in_string: bool,
    after_backslash: bool,
}

impl Writer {
    pub fn new(flavour: Flavour) -> Self {
        Self { flavour, output: Output::default(), in_string: false, after_backslash: false }
    }

    pub fn into_text(self) -> String {
        self.output.into_text()
    }

    /// Whether a value is written as JSON, because it stands outside of all strings of JSON.
    pub fn takes_json(&self) -> bool {
        self.flavour == Flavour::Json && !self.in_string
    }

    /// Writes text of the template.
    pub fn text(&mut self, text: &str) -> Result<(), Problem> {
        if self.flavour == Flavour::Json {
            for byte in text.bytes() {
                match byte {
                    _ if self.after_backslash => self.after_backslash = false,
                    b'\\' if self.in_string => self.after_backslash = true,
                    b'"' => self.in_string = !self.in_string,
                    _ => {}
                }
            }
        }
        self.output.push(text)
    }

    /// Writes a value, so that it cannot be anything but a value.
    pub fn value(&mut self, value: &Json) -> Result<(), Problem> {
        match self.flavour {
            Flavour::Json if self.after_backslash => Err("a value stands after a backslash".into()),
            Flavour::Json if self.in_string => self.output.string_content(&value.to_text()?),
            Flavour::Json => self.output.json(value),
            Flavour::Xml => xml(&value.to_text()?, &mut self.output),
            Flavour::Form => form_field(&value.to_text()?, &mut self.output),
            Flavour::Text => self.output.push(&value.to_text()?),
        }
    }
}

/// Text of XML 1.0: section 2.2 names the characters that no document may hold.
fn xml(text: &str, output: &mut Output) -> Result<(), Problem> {
    let mut written = 0;
    for (at, c) in text.char_indices() {
        let escape = match c {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            '"' => "&quot;",
            '\'' => "&#39;",
            // A reader would make a line feed of it.
            '\r' => "&#13;",
            '\t' | '\n' => continue,
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {
                let code = u32::from(c);
                return Err(format!("XML cannot hold the character U+{code:04X}").into());
            }
            _ => continue,
        };
        output.push(&text[written..at])?;
        output.push(escape)?;
        written = at + c.len_utf8();
    }
    output.push(&text[written..])
}

/// Writes a name or a value of a form, with `%20` for a space.
pub fn form_field(text: &str, output: &mut Output) -> Result<(), Problem> {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                output.push(char::from(byte).encode_utf8(&mut [0; 4]))?;
            }
            _ => output.push(&format!("%{byte:02X}"))?,
        }
    }
    Ok(())
}
