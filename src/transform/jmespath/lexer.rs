//! The words of an expression.

use std::sync::Arc;

use super::{Comparison, Json, Problem};

/// One word, with the byte it begins at.
#[derive(Debug, Clone)]
pub struct Token {
    pub kind: Kind,
    pub at: usize,
}

/// What a word is.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A name, and whether it stood in quotes.
    Name(Arc<str>, bool),
    Number(i64),
    Literal(Json),
    Compare(Comparison),
    Dot,
    Star,
    Comma,
    Colon,
    Current,
    Reference,
    Pipe,
    Or,
    And,
    Not,
    LeftBracket,
    RightBracket,
    Flatten,
    Filter,
    LeftBrace,
    RightBrace,
    LeftParen,
    RightParen,
    End,
}

/// Takes an expression apart.
pub fn tokens(source: &str) -> Result<Vec<Token>, Problem> {
    let mut lexer = Lexer { source, at: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_space();
        let at = lexer.at;
        let kind = lexer.next()?;
        let is_end = matches!(kind, Kind::End);
        tokens.push(Token { kind, at });
        if is_end {
            return Ok(tokens);
        }
    }
}

/// A complaint about what stands at a byte of the expression.
pub fn wrong(at: usize, problem: &str) -> Problem {
    format!("not JMESPath at byte {at}: {problem}").into()
}

struct Lexer<'s> {
    source: &'s str,
    at: usize,
}

impl Lexer<'_> {
    fn peek(&self) -> Option<u8> {
        self.source.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    /// Takes a byte, if it is the next.
    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn take_while(&mut self, accepts: impl Fn(u8) -> bool) {
        while self.peek().is_some_and(&accepts) {
            self.at += 1;
        }
    }

    fn next(&mut self) -> Result<Kind, Problem> {
        let start = self.at;
        let Some(byte) = self.peek() else { return Ok(Kind::End) };
        self.at += 1;
        let either = |found: bool, yes: Kind, no: Kind| if found { yes } else { no };
        Ok(match byte {
            b'.' => Kind::Dot,
            b'*' => Kind::Star,
            b',' => Kind::Comma,
            b':' => Kind::Colon,
            b'@' => Kind::Current,
            b']' => Kind::RightBracket,
            b'{' => Kind::LeftBrace,
            b'}' => Kind::RightBrace,
            b'(' => Kind::LeftParen,
            b')' => Kind::RightParen,
            b'[' if self.take(b'?') => Kind::Filter,
            b'[' => either(self.take(b']'), Kind::Flatten, Kind::LeftBracket),
            b'|' => either(self.take(b'|'), Kind::Or, Kind::Pipe),
            b'&' => either(self.take(b'&'), Kind::And, Kind::Reference),
            b'!' if self.take(b'=') => Kind::Compare(Comparison::NotEqual),
            b'!' => Kind::Not,
            b'=' if self.take(b'=') => Kind::Compare(Comparison::Equal),
            b'<' if self.take(b'=') => Kind::Compare(Comparison::LessOrEqual),
            b'<' => Kind::Compare(Comparison::Less),
            b'>' if self.take(b'=') => Kind::Compare(Comparison::GreaterOrEqual),
            b'>' => Kind::Compare(Comparison::Greater),
            b'\'' => Kind::Literal(self.raw_string(start)?),
            b'`' => Kind::Literal(self.literal(start)?),
            b'"' => Kind::Name(self.quoted(start)?, true),
            b'-' | b'0'..=b'9' => {
                self.take_while(|b| b.is_ascii_digit());
                let number = self.source[start..self.at].parse();
                Kind::Number(number.map_err(|_| wrong(start, "expected an integer"))?)
            }
            b'A'..=b'Z' | b'a'..=b'z' | b'_' => {
                self.take_while(|b| b.is_ascii_alphanumeric() || b == b'_');
                Kind::Name(self.source[start..self.at].into(), false)
            }
            _ => return Err(wrong(start, "this character has no meaning here")),
        })
    }

    /// The text up to a closing quote, which is not escaped by a backslash.
    fn until(&mut self, quote: u8, start: usize) -> Result<&str, Problem> {
        let from = self.at;
        loop {
            match self.peek() {
                Some(b'\\') => self.at += 2,
                Some(byte) if byte == quote => break,
                Some(_) => self.at += 1,
                None => return Err(wrong(start, "the quote is not closed")),
            }
        }
        self.at += 1;
        Ok(&self.source[from..self.at - 1])
    }

    /// `'text'`, where `\'` stands for a quote, and a backslash before anything else for itself.
    fn raw_string(&mut self, start: usize) -> Result<Json, Problem> {
        let text = self.until(b'\'', start)?;
        let mut read = String::with_capacity(text.len());
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let escaped = chars.next_if(|next| c == '\\' && *next == '\'');
            read.push(escaped.unwrap_or(c));
        }
        Ok(Json::string(read))
    }

    /// `` `JSON` ``, where `` \` `` stands for a backtick.
    fn literal(&mut self, start: usize) -> Result<Json, Problem> {
        let text = self.until(b'`', start)?.replace("\\`", "`");
        Json::parse(text.trim())
            .map_err(|problem| wrong(start, &format!("a literal is {}", problem.0)))
    }

    fn quoted(&mut self, start: usize) -> Result<Arc<str>, Problem> {
        self.until(b'"', start)?;
        let name: Result<String, _> = serde_json::from_str(&self.source[start..self.at]);
        Ok(name.map_err(|_| wrong(start, "expected a string of JSON"))?.into())
    }
}
