//! The words of a template.

use std::sync::Arc;

use super::{Problem, at_line};
use crate::transform::number;

/// One word, with its line.
#[derive(Debug, Clone)]
pub struct Token {
    pub kind: Kind,
    pub line: u32,
}

/// What a word is.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Text outside of all tags.
    Text(String),
    /// `{{`
    BeginEmit,
    /// `}}`
    EndEmit,
    /// `{%`
    BeginTag,
    /// `%}`
    EndTag,
    Name(Arc<str>),
    String(Arc<str>),
    Number(Arc<str>),
    /// A sign such as `+` or `==`.
    Sign(&'static str),
    End,
}

const SIGNS: [&str; 27] = [
    "==", "!=", "<=", ">=", "//", "**", "(", ")", "[", "]", "{", "}", "<", ">", "=", "|", ".", ",",
    ":", "~", "+", "-", "*", "/", "%", "!", ";",
];

/// Takes a template apart.
pub fn tokens(source: &str) -> Result<Vec<Token>, Problem> {
    // As Jinja does, so that a template in a file ends where its text ends.
    let source = source.strip_suffix('\n').map_or(source, |s| s.strip_suffix('\r').unwrap_or(s));
    let mut lexer = Lexer { source, at: 0, line: 1, tokens: Vec::new(), trim: false };
    lexer.run()?;
    lexer.push(Kind::End);
    Ok(lexer.tokens)
}

struct Lexer<'s> {
    source: &'s str,
    at: usize,
    line: u32,
    tokens: Vec<Token>,
    /// Whether the last tag ended with a hyphen, which takes the white space after it.
    trim: bool,
}

impl<'s> Lexer<'s> {
    fn push(&mut self, kind: Kind) {
        self.tokens.push(Token { kind, line: self.line });
    }

    fn rest(&self) -> &'s str {
        &self.source[self.at..]
    }

    fn wrong(&self, problem: &str) -> Problem {
        at_line(self.line, &Problem::from(problem.to_owned()))
    }

    /// Goes on by some bytes, counting lines.
    fn skip(&mut self, length: usize) {
        let lines = self.rest()[..length].bytes().filter(|b| *b == b'\n').count();
        self.line += u32::try_from(lines).unwrap_or(u32::MAX);
        self.at += length;
    }

    fn take(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        self.at += if found { text.len() } else { 0 };
        found
    }

    fn run(&mut self) -> Result<(), Problem> {
        while !self.rest().is_empty() {
            let rest = self.rest();
            let is_tag = |pair: &[u8]| pair[0] == b'{' && matches!(pair[1], b'{' | b'%' | b'#');
            let opening = rest.as_bytes().windows(2).position(is_tag);
            let text = &rest[..opening.unwrap_or(rest.len())];
            let trims_before = opening.is_some_and(|at| rest[at + 2..].starts_with('-'));
            self.text(text, trims_before);
            if opening.is_some() {
                self.tag()?;
            }
        }
        Ok(())
    }

    fn text(&mut self, text: &str, trims_before: bool) {
        let kept = if self.trim { text.trim_start() } else { text };
        let kept = if trims_before { kept.trim_end() } else { kept };
        self.trim = false;
        if !kept.is_empty() {
            self.push(Kind::Text(kept.to_owned()));
        }
        self.skip(text.len());
    }

    fn tag(&mut self) -> Result<(), Problem> {
        let kind = &self.rest()[..2];
        self.at += 2;
        if !self.take("-") {
            self.take("+");
        }
        match kind {
            "{#" => {
                let end = self.rest().find("#}").ok_or_else(|| self.wrong("expected '#}'"))?;
                self.trim = self.rest()[..end].ends_with('-');
                self.skip(end + 2);
                Ok(())
            }
            "{%" => match self.raw()? {
                true => Ok(()),
                false => self.inside(Kind::BeginTag, "%}", Kind::EndTag),
            },
            _ => self.inside(Kind::BeginEmit, "}}", Kind::EndEmit),
        }
    }

    /// `{% raw %}…{% endraw %}`, whose text is left as it stands.
    fn raw(&mut self) -> Result<bool, Problem> {
        let Some(after) = self.rest().trim_start().strip_prefix("raw") else { return Ok(false) };
        let after = after.trim_start();
        let (trims, after) = after.strip_prefix('-').map_or((false, after), |rest| (true, rest));
        let Some(content) = after.strip_prefix("%}") else { return Ok(false) };
        let mut from = 0;
        while let Some(found) = content[from..].find("{%") {
            let end = from + found;
            let inner = &content[end + 2..];
            let (trims_before, inner) =
                inner.strip_prefix('-').map_or((false, inner), |rest| (true, rest));
            if let Some(close) = inner.trim_start().strip_prefix("endraw") {
                let close = close.trim_start();
                let trims_after = close.starts_with('-');
                if let Some(rest) = close.trim_start_matches('-').strip_prefix("%}") {
                    let start = self.rest().len() - content.len();
                    self.skip(start);
                    self.trim = trims;
                    self.text(&content[..end], trims_before);
                    self.skip(self.rest().len() - rest.len());
                    self.trim = trims_after;
                    return Ok(true);
                }
            }
            from = end + 2;
        }
        Err(self.wrong("expected {% endraw %}"))
    }

    fn inside(&mut self, begin: Kind, close: &str, end: Kind) -> Result<(), Problem> {
        self.push(begin);
        let mut braces = 0_u32;
        loop {
            let rest = self.rest();
            self.skip(rest.len() - rest.trim_start().len());
            let sign = self.rest().strip_prefix(['-', '+']);
            let signed = sign.is_some_and(|rest| rest.starts_with(close));
            if braces == 0 && (signed || self.rest().starts_with(close)) {
                self.trim = signed && self.rest().starts_with('-');
                self.push(end);
                self.at += close.len() + usize::from(signed);
                return Ok(());
            }
            let kind = self.word(close)?;
            match kind {
                Kind::Sign("{") => braces += 1,
                Kind::Sign("}") => braces = braces.saturating_sub(1),
                _ => {}
            }
            self.push(kind);
        }
    }

    fn word(&mut self, close: &str) -> Result<Kind, Problem> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return Err(self.wrong(&format!("expected '{close}'")));
        };
        if first.is_ascii_alphabetic() || first == '_' {
            let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            self.at += length;
            return Ok(Kind::Name(rest[..length].into()));
        }
        if first.is_ascii_digit() && self.tokens.last().is_some_and(|t| t.kind == Kind::Sign(".")) {
            // The place of an item, as in `list.0.name`.
            let length = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            self.at += length;
            return Ok(Kind::Number(rest[..length].into()));
        }
        if first.is_ascii_digit() {
            let length = number::length(rest.as_bytes()).unwrap_or(0);
            let follows = rest[length..].chars().next();
            if length == 0 || follows.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_') {
                return Err(self.wrong("expected a number as JSON has them"));
            }
            self.at += length;
            return Ok(Kind::Number(rest[..length].into()));
        }
        if first == '"' || first == '\'' {
            return self.string(first);
        }
        match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            Some(sign) => {
                self.at += sign.len();
                Ok(Kind::Sign(sign))
            }
            None => Err(self.wrong("a character has no meaning here")),
        }
    }

    fn string(&mut self, quote: char) -> Result<Kind, Problem> {
        let rest = self.rest();
        let mut read = String::new();
        let mut chars = rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            if c == quote {
                self.skip(at + 1);
                return Ok(Kind::String(read.into()));
            }
            if c != '\\' {
                read.push(c);
                continue;
            }
            read.push(match chars.next() {
                Some((_, 'n')) => '\n',
                Some((_, 'r')) => '\r',
                Some((_, 't')) => '\t',
                Some((_, c @ ('\\' | '/' | '"' | '\''))) => c,
                Some((at, 'u')) => {
                    let digits = rest.get(at + 1..at + 5).unwrap_or_default();
                    let code = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32);
                    chars.nth(3);
                    code.ok_or_else(|| self.wrong("expected four digits of a character after \\u"))?
                }
                Some(_) | None => return Err(self.wrong("this escape is not known")),
            });
        }
        Err(self.wrong("a string is not closed"))
    }
}
