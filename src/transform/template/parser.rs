//! From words to the parts of a template.

use std::sync::Arc;

use super::lexer::{Kind, Token};
use super::{Loop, Part, Problem, at_line};

/// Deepest nesting of tags and expressions, as it is written.
const MAX_DEPTH: usize = 50;

/// Reads a whole template.
pub fn parse(tokens: Vec<Token>) -> Result<Vec<Part>, Problem> {
    let mut parser = Parser { tokens, at: 0, depth: 0, height: 0 };
    let (parts, end) = parser.parts(&[])?;
    debug_assert!(end.is_empty());
    Ok(parts)
}

/// Reads words.
pub struct Parser {
    tokens: Vec<Token>,
    pub(super) at: usize,
    /// How deep what is being read is nested.
    pub(super) depth: usize,
    /// How deep the deepest tree that was read since the innermost expression began is nested.
    pub(super) height: usize,
}

impl Parser {
    // The last word is always `End`, which nothing takes.
    pub(super) fn token(&self) -> &Token {
        &self.tokens[self.at.min(self.tokens.len() - 1)]
    }

    fn line(&self) -> u32 {
        self.token().line
    }

    pub(super) fn wrong(&self, problem: impl Into<String>) -> Problem {
        at_line(self.line(), &Problem::from(problem.into()))
    }

    pub(super) fn is_sign(&self, sign: &str) -> bool {
        matches!(&self.token().kind, Kind::Sign(own) if *own == sign)
    }

    pub(super) fn sign(&mut self, sign: &str) -> bool {
        let found = self.is_sign(sign);
        self.at += usize::from(found);
        found
    }

    pub(super) fn word(&mut self, word: &str) -> bool {
        let found = matches!(&self.token().kind, Kind::Name(own) if **own == *word);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, sign: &str) -> Result<(), Problem> {
        if self.sign(sign) { Ok(()) } else { Err(self.wrong(format!("expected '{sign}'"))) }
    }

    fn expect_word(&mut self, word: &str) -> Result<(), Problem> {
        if self.word(word) { Ok(()) } else { Err(self.wrong(format!("expected {word}"))) }
    }

    fn kind(&mut self, kind: &Kind, what: &str) -> Result<(), Problem> {
        let found = self.token().kind == *kind;
        self.at += usize::from(found);
        if found { Ok(()) } else { Err(self.wrong(format!("expected '{what}'"))) }
    }

    pub(super) fn name(&mut self) -> Result<Arc<str>, Problem> {
        let Kind::Name(name) = &self.token().kind else {
            return Err(self.wrong("expected a name"));
        };
        let name = Arc::clone(name);
        self.at += 1;
        Ok(name)
    }

    fn new_name(&mut self) -> Result<Arc<str>, Problem> {
        let name = self.name()?;
        if ["true", "false", "none", "null", "loop", "not", "in", "is", "if", "else", "and", "or"]
            .contains(&&*name)
        {
            return Err(self.wrong(format!("{name} cannot be set")));
        }
        Ok(name)
    }

    pub(super) fn deepen(&mut self) -> Result<(), Problem> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.wrong(format!("nests deeper than {MAX_DEPTH} levels")));
        }
        Ok(())
    }

    /// Parts up to a tag that is one of `ends`, whose word is taken, or to the end.
    fn parts(&mut self, ends: &[&'static str]) -> Result<(Vec<Part>, &'static str), Problem> {
        self.deepen()?;
        let mut parts = Vec::new();
        loop {
            let line = self.line();
            let kind = self.token().kind.clone();
            self.at += 1;
            match kind {
                Kind::Text(text) => parts.push(Part::Text(text)),
                Kind::BeginEmit => {
                    parts.push(Part::Emit(self.expression()?, line));
                    self.kind(&Kind::EndEmit, "}}")?;
                }
                Kind::BeginTag => {
                    if let Some(end) = ends.iter().find(|end| self.word(end)) {
                        self.depth -= 1;
                        return Ok((parts, end));
                    }
                    parts.push(self.tag(line)?);
                }
                Kind::End if ends.is_empty() => return Ok((parts, "")),
                _ => {
                    self.at -= 1;
                    let ends = ends.join(" or ");
                    return Err(self.wrong(format!("expected {{% {ends} %}}")));
                }
            }
        }
    }

    fn tag(&mut self, line: u32) -> Result<Part, Problem> {
        let word = self.name()?;
        match &*word {
            "if" => self.condition(),
            "for" => self.for_loop(line),
            "set" => {
                let name = self.new_name()?;
                self.expect("=")?;
                let value = self.expression()?;
                self.end_tag()?;
                Ok(Part::Set(name, value, line))
            }
            "with" => {
                let mut names = Vec::new();
                loop {
                    let name = self.new_name()?;
                    self.expect("=")?;
                    names.push((name, self.expression()?));
                    if !self.sign(",") {
                        break;
                    }
                }
                self.end_tag()?;
                let (body, _) = self.parts(&["endwith"])?;
                self.end_tag()?;
                Ok(Part::With(names, line, body))
            }
            other => Err(self.wrong(format!(
                "there is no tag {other:.32}: the tags are if, for, set, with and raw"
            ))),
        }
    }

    fn end_tag(&mut self) -> Result<(), Problem> {
        self.kind(&Kind::EndTag, "%}")
    }

    fn condition(&mut self) -> Result<Part, Problem> {
        let mut cases = Vec::new();
        loop {
            let line = self.line();
            let condition = self.expression()?;
            self.end_tag()?;
            let (body, end) = self.parts(&["elif", "else", "endif"])?;
            cases.push((condition, line, body));
            match end {
                "elif" => {}
                "else" => {
                    self.end_tag()?;
                    let (otherwise, _) = self.parts(&["endif"])?;
                    self.end_tag()?;
                    return Ok(Part::If(cases, otherwise));
                }
                _ => {
                    self.end_tag()?;
                    return Ok(Part::If(cases, Vec::new()));
                }
            }
        }
    }

    fn for_loop(&mut self, line: u32) -> Result<Part, Problem> {
        let mut names = vec![self.new_name()?];
        while self.sign(",") {
            names.push(self.new_name()?);
        }
        self.expect_word("in")?;
        let items = self.or()?;
        let condition = if self.word("if") { Some(self.expression()?) } else { None };
        if self.word("recursive") {
            return Err(self.wrong("loops are not recursive"));
        }
        self.end_tag()?;
        let (body, end) = self.parts(&["else", "endfor"])?;
        self.end_tag()?;
        let mut otherwise = Vec::new();
        if end == "else" {
            (otherwise, _) = self.parts(&["endfor"])?;
            self.end_tag()?;
        }
        Ok(Part::For(Box::new(Loop { names, items, condition, body, otherwise }), line))
    }
}
