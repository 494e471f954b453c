//! Structured fields (RFC 9651): dictionaries and what stands in them, read and written strictly.

use base64::engine::{DecodePaddingMode, Engine as _, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::BASE64_STANDARD;

/// Receivers are to accept base64 without padding and with bits left over (section 4.2.7).
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A bare item (section 3.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bare {
    /// Between -999,999,999,999,999 and 999,999,999,999,999.
    Integer(i64),
    /// In thousandths.
    Decimal(i64),
    /// Printable ASCII.
    String(String),
    /// A word.
    Token(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Yes or no.
    Boolean(bool),
    /// Seconds since the Unix epoch.
    Date(i64),
}

/// Parameters in order, each key once.
pub type Parameters = Vec<(String, Bare)>;

/// A bare item with its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The item.
    pub value: Bare,
    /// Its parameters.
    pub parameters: Parameters,
}

/// A list in parentheses with its parameters (section 3.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InnerList {
    /// The items.
    pub items: Vec<Item>,
    /// The list's own parameters.
    pub parameters: Parameters,
}

/// What stands under a key of a dictionary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Member {
    /// One item.
    Item(Item),
    /// A list.
    List(InnerList),
}

/// A dictionary in order, each key once (section 3.2).
pub type Dictionary = Vec<(String, Member)>;

/// A parameter's value.
pub fn parameter<'p>(parameters: &'p Parameters, key: &str) -> Option<&'p Bare> {
    parameters.iter().find(|(known, _)| known == key).map(|(_, value)| value)
}

/// A dictionary's member.
pub fn member<'d>(dictionary: &'d Dictionary, key: &str) -> Option<&'d Member> {
    dictionary.iter().find(|(known, _)| known == key).map(|(_, member)| member)
}

/// Whether a text is a key (section 3.1.2).
pub fn is_key(text: &str) -> bool {
    let follows = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-.*".contains(&b);
    text.starts_with(|c: char| c.is_ascii_lowercase() || c == '*') && text.bytes().all(follows)
}

/// Whether a text can be a string: printable ASCII (section 3.3.3).
pub fn is_string(text: &str) -> bool {
    text.bytes().all(|b| (b' '..=b'~').contains(&b))
}

/// Writes an item (section 4.1.3). A string has to be printable ASCII: see [`is_string`].
pub fn push_item(to: &mut String, item: &Item) {
    push_bare(to, &item.value);
    push_parameters(to, &item.parameters);
}

/// Writes a list (section 4.1.1.1).
pub fn push_list(to: &mut String, list: &InnerList) {
    to.push('(');
    for (index, item) in list.items.iter().enumerate() {
        if index > 0 {
            to.push(' ');
        }
        push_item(to, item);
    }
    to.push(')');
    push_parameters(to, &list.parameters);
}

/// Writes a dictionary's member as it stands after `key=`; a mere flag is `?1` (RFC 9421 section
/// 2.1.2).
pub fn push_member(to: &mut String, member: &Member) {
    match member {
        Member::Item(item) => push_item(to, item),
        Member::List(list) => push_list(to, list),
    }
}

/// Writes parameters (section 4.1.1.2).
pub fn push_parameters(to: &mut String, parameters: &Parameters) {
    for (key, value) in parameters {
        to.push(';');
        to.push_str(key);
        if *value != Bare::Boolean(true) {
            to.push('=');
            push_bare(to, value);
        }
    }
}

fn push_bare(to: &mut String, value: &Bare) {
    match value {
        Bare::Integer(number) => to.push_str(&number.to_string()),
        Bare::Decimal(thousandths) => push_decimal(to, *thousandths),
        Bare::String(text) => {
            to.push('"');
            for c in text.chars() {
                if matches!(c, '"' | '\\') {
                    to.push('\\');
                }
                to.push(c);
            }
            to.push('"');
        }
        Bare::Token(word) => to.push_str(word),
        Bare::Bytes(bytes) => {
            to.push(':');
            BASE64_STANDARD.encode_string(bytes, to);
            to.push(':');
        }
        Bare::Boolean(yes) => to.push_str(if *yes { "?1" } else { "?0" }),
        Bare::Date(seconds) => to.push_str(&format!("@{seconds}")),
    }
}

fn push_decimal(to: &mut String, thousandths: i64) {
    let sign = if thousandths < 0 { "-" } else { "" };
    let (whole, part) = (thousandths.unsigned_abs() / 1000, thousandths.unsigned_abs() % 1000);
    let digits = format!("{part:03}");
    let digits = digits.trim_end_matches('0');
    to.push_str(&format!("{sign}{whole}.{}", if digits.is_empty() { "0" } else { digits }));
}

/// Reads a dictionary (section 4.2.2). Of a key that comes twice, the last counts.
pub fn read_dictionary(text: &str) -> Option<Dictionary> {
    let mut reader = Reader(text.trim_matches(' '));
    let mut dictionary = Dictionary::new();
    while !reader.0.is_empty() {
        let key = reader.key()?;
        let member = if reader.eat('=') {
            if reader.0.starts_with('(') {
                Member::List(reader.list()?)
            } else {
                Member::Item(reader.item()?)
            }
        } else {
            let parameters = reader.parameters()?;
            Member::Item(Item { value: Bare::Boolean(true), parameters })
        };
        put(&mut dictionary, key, member);
        reader.0 = reader.0.trim_start_matches([' ', '\t']);
        if reader.0.is_empty() {
            break;
        }
        if !reader.eat(',') {
            return None;
        }
        reader.0 = reader.0.trim_start_matches([' ', '\t']);
        if reader.0.is_empty() {
            return None;
        }
    }
    Some(dictionary)
}

/// Reads an item and nothing else (section 4.2.3).
pub fn read_item(text: &str) -> Option<Item> {
    let mut reader = Reader(text);
    reader.item().filter(|_| reader.0.is_empty())
}

/// Reads parameters and nothing else (section 4.2.3.2).
pub fn read_parameters(text: &str) -> Option<Parameters> {
    let mut reader = Reader(text);
    reader.parameters().filter(|_| reader.0.is_empty())
}

fn put<V>(to: &mut Vec<(String, V)>, key: String, value: V) {
    match to.iter_mut().find(|(known, _)| *known == key) {
        Some((_, old)) => *old = value,
        None => to.push((key, value)),
    }
}

/// What is left to read.
struct Reader<'t>(&'t str);

impl<'t> Reader<'t> {
    fn eat(&mut self, c: char) -> bool {
        let rest = self.0.strip_prefix(c);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn take_while(&mut self, is_part: impl Fn(u8) -> bool) -> &'t str {
        let end = self.0.bytes().position(|b| !is_part(b)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        taken
    }

    fn key(&mut self) -> Option<String> {
        let part = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-.*".contains(&b);
        let key = self.take_while(part);
        is_key(key).then(|| key.to_owned())
    }

    fn parameters(&mut self) -> Option<Parameters> {
        let mut parameters = Parameters::new();
        while self.eat(';') {
            self.0 = self.0.trim_start_matches(' ');
            let key = self.key()?;
            let value = if self.eat('=') { self.bare()? } else { Bare::Boolean(true) };
            put(&mut parameters, key, value);
        }
        Some(parameters)
    }

    fn item(&mut self) -> Option<Item> {
        Some(Item { value: self.bare()?, parameters: self.parameters()? })
    }

    fn list(&mut self) -> Option<InnerList> {
        let mut items = Vec::new();
        self.eat('(').then_some(())?;
        loop {
            self.0 = self.0.trim_start_matches(' ');
            if self.eat(')') {
                return Some(InnerList { items, parameters: self.parameters()? });
            }
            items.push(self.item()?);
            if !self.0.starts_with([' ', ')']) {
                return None;
            }
        }
    }

    fn bare(&mut self) -> Option<Bare> {
        match self.0.bytes().next()? {
            b'"' => self.string().map(Bare::String),
            b':' => {
                let (encoded, rest) = self.0[1..].split_once(':')?;
                self.0 = rest;
                LENIENT.decode(encoded).ok().map(Bare::Bytes)
            }
            b'?' => {
                let value = match self.0.get(..2)? {
                    "?1" => true,
                    "?0" => false,
                    _ => return None,
                };
                self.0 = &self.0[2..];
                Some(Bare::Boolean(value))
            }
            b'@' => {
                self.0 = &self.0[1..];
                match self.number()? {
                    Bare::Integer(seconds) => Some(Bare::Date(seconds)),
                    _ => None,
                }
            }
            b'-' | b'0'..=b'9' => self.number(),
            b if b.is_ascii_alphabetic() || b == b'*' => {
                let part = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&b);
                Some(Bare::Token(self.take_while(part).to_owned()))
            }
            _ => None,
        }
    }

    fn string(&mut self) -> Option<String> {
        let mut text = String::new();
        let mut bytes = self.0.bytes().enumerate().skip(1);
        loop {
            match bytes.next()? {
                (_, b'\\') => match bytes.next()?.1 {
                    escaped @ (b'"' | b'\\') => text.push(char::from(escaped)),
                    _ => return None,
                },
                (end, b'"') => {
                    self.0 = &self.0[end + 1..];
                    return Some(text);
                }
                (_, b @ b' '..=b'~') => text.push(char::from(b)),
                _ => return None,
            }
        }
    }

    /// At most 15 digits, or 12 before and 3 after the point (section 4.2.4).
    fn number(&mut self) -> Option<Bare> {
        let sign = if self.eat('-') { -1 } else { 1 };
        let whole = self.take_while(|b| b.is_ascii_digit());
        if !self.eat('.') {
            let fits = (1..=15).contains(&whole.len());
            return whole.parse().ok().filter(|_| fits).map(|n: i64| Bare::Integer(sign * n));
        }
        let part = self.take_while(|b| b.is_ascii_digit());
        if !(1..=12).contains(&whole.len()) || !(1..=3).contains(&part.len()) {
            return None;
        }
        let thousandths: i64 = format!("{whole}{part:0<3}").parse().ok()?;
        Some(Bare::Decimal(sign * thousandths))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(dictionary: &Dictionary) -> String {
        let mut text = String::new();
        for (key, member) in dictionary {
            text.push_str(if text.is_empty() { "" } else { ", " });
            text.push_str(key);
            text.push('=');
            push_member(&mut text, member);
        }
        text
    }

    #[test]
    fn a_dictionary_is_written_as_it_was_read() {
        for text in [
            r#"sig1=("@method" "a";key="b");created=1;keyid="k \"\\";x, b=:AAEC:, c=?0"#,
            "a=1.5, b=-0.25, c=10.0, d=-999999999999999, e=tok/en:x, f=@-5, g=()",
        ] {
            assert_eq!(written(&read_dictionary(text).unwrap()), text);
        }
        assert_eq!(written(&read_dictionary("  a;x ,\tb=1,a=2 ").unwrap()), "a=2, b=1");
        assert_eq!(read_dictionary(""), Some(Vec::new()));
    }

    #[test]
    fn what_is_no_dictionary_is_not_read() {
        for bad in [
            "a=1,",
            ",",
            "A=1",
            "a=",
            "a=(",
            "a=(1",
            "a=(1\t2)",
            "a=(1\"x\")",
            "a=\"x",
            "a=\"é\"",
            "a=\"\\x\"",
            "a=:a",
            "a=:%%:",
            "a=1.",
            "a=1.2345",
            "a=1234567890123.1",
            "a=1234567890123456",
            "a=?2",
            "a=-",
            "a=1 b=2",
            "a=@1.5",
            "a;B",
            "a=é",
        ] {
            assert_eq!(read_dictionary(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_string_reads_back_as_it_was_written(text in "[ -~]{0,40}", bytes: Vec<u8>) {
            let values = vec![Bare::String(text), Bare::Bytes(bytes)];
            for value in values {
                let member = Member::Item(Item { value, parameters: Vec::new() });
                let dictionary = vec![("a".to_owned(), member)];
                prop_assert_eq!(read_dictionary(&written(&dictionary)), Some(dictionary));
            }
        }

        #[test]
        fn no_text_makes_the_reader_panic(text: String) {
            read_dictionary(&text);
            read_dictionary(&format!("a=({text}"));
        }
    }
}
