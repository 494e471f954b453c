//! Reads structured fields, strictly (RFC 9651 section 4.2).

use base64::engine::{DecodePaddingMode, Engine as _, GeneralPurpose, GeneralPurposeConfig};

use super::{Bare, Dictionary, InnerList, Item, Member, Parameters, is_key};

/// Receivers are to accept base64 without padding and with bits left over (section 4.2.7).
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

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
