//! From words to a tree, by binding powers (a Pratt parser), as the specification's grammar has them.

use std::sync::Arc;

use super::functions::Function;
use super::lexer::{Kind, Token, wrong};
use super::{Node, Problem, Slice};

/// Deepest nesting of an expression, as it is written.
const MAX_DEPTH: usize = 50;
/// Deepest nesting of its tree: each further word of a chain, as in `a.b.c`, nests it.
const MAX_HEIGHT: usize = 200;
/// What binds less than this ends a projection.
const PROJECTION_STOP: u8 = 10;
const FLATTEN: u8 = 9;
const STAR: u8 = 20;
const FILTER: u8 = 21;
const DOT: u8 = 40;
const NOT: u8 = 45;

fn power(kind: &Kind) -> u8 {
    match kind {
        Kind::Pipe => 1,
        Kind::Or => 2,
        Kind::And => 3,
        Kind::Compare(_) => 5,
        Kind::Flatten => FLATTEN,
        Kind::Star => STAR,
        Kind::Filter => FILTER,
        Kind::Dot => DOT,
        Kind::Not => NOT,
        Kind::LeftBrace => 50,
        Kind::LeftBracket => 55,
        Kind::LeftParen => 60,
        Kind::Name(..)
        | Kind::Number(_)
        | Kind::Literal(_)
        | Kind::Comma
        | Kind::Colon
        | Kind::Current
        | Kind::Reference
        | Kind::RightBracket
        | Kind::RightBrace
        | Kind::RightParen
        | Kind::End => 0,
    }
}

/// Reads a whole expression.
pub fn parse(tokens: &[Token]) -> Result<Node, Problem> {
    let mut parser = Parser { tokens, at: 0, depth: 0, height: 0 };
    let node = parser.expression(0)?;
    match parser.peek() {
        Kind::End => Ok(node),
        _ => Err(parser.wrong("expected the end of the expression")),
    }
}

struct Parser<'t> {
    tokens: &'t [Token],
    at: usize,
    /// How deep what is being read is nested.
    depth: usize,
    /// How deep the deepest tree is nested, of those read since the innermost expression began.
    height: usize,
}

fn then(left: Node, right: Node) -> Node {
    match left {
        Node::Current => right,
        left => Node::Then(Box::new(left), Box::new(right)),
    }
}

fn project(left: Node, right: Node) -> Node {
    Node::Project(Box::new(left), Box::new(right))
}

impl<'t> Parser<'t> {
    // The last word is always `End`, which nothing takes.
    fn ahead(&self, by: usize) -> &'t Kind {
        &self.tokens[(self.at + by).min(self.tokens.len() - 1)].kind
    }

    fn peek(&self) -> &'t Kind {
        self.ahead(0)
    }

    fn wrong(&self, problem: &str) -> Problem {
        wrong(self.tokens[self.at.min(self.tokens.len() - 1)].at, problem)
    }

    fn take(&mut self, accepts: impl Fn(&Kind) -> bool) -> bool {
        let found = accepts(self.peek());
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, accepts: impl Fn(&Kind) -> bool, what: &str) -> Result<(), Problem> {
        if self.take(accepts) { Ok(()) } else { Err(self.wrong(&format!("expected {what}"))) }
    }

    /// Something is put around the trees that were read: two nodes at most.
    fn raise(&mut self) -> Result<(), Problem> {
        self.height += 2;
        if self.height > MAX_HEIGHT {
            return Err(self.wrong(&format!("nests deeper than {MAX_HEIGHT} levels")));
        }
        Ok(())
    }

    fn expression(&mut self, right_power: u8) -> Result<Node, Problem> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.wrong(&format!("nests deeper than {MAX_DEPTH} levels")));
        }
        let before = std::mem::take(&mut self.height);
        let mut left = self.prefix()?;
        self.raise()?;
        while right_power < power(self.peek()) {
            left = self.infix(left)?;
            self.raise()?;
        }
        self.height = self.height.max(before);
        self.depth -= 1;
        Ok(left)
    }

    fn prefix(&mut self) -> Result<Node, Problem> {
        let kind = self.peek();
        self.at += 1;
        match kind {
            Kind::Literal(value) => Ok(Node::Literal(value.clone())),
            Kind::Name(name, quoted) => {
                if *quoted && matches!(self.peek(), Kind::LeftParen) {
                    return Err(self.wrong("a function's name has no quotes"));
                }
                Ok(Node::Field(name.clone()))
            }
            Kind::Current => Ok(Node::Current),
            Kind::Star => {
                let right = match self.peek() {
                    Kind::RightBracket => Node::Current,
                    _ => self.projected(STAR)?,
                };
                Ok(Node::ProjectValues(Box::new(Node::Current), Box::new(right)))
            }
            Kind::Filter => self.filter(Node::Current),
            Kind::Flatten => {
                let right = self.projected(FLATTEN)?;
                Ok(project(Node::Flatten(Box::new(Node::Current)), right))
            }
            Kind::LeftBrace => self.hash(),
            Kind::LeftBracket => self.bracket(),
            Kind::LeftParen => {
                let inner = self.expression(0)?;
                self.expect(|k| matches!(k, Kind::RightParen), "')'")?;
                // What is in parentheses ends its projections, as a pipe would.
                Ok(Node::Then(Box::new(inner), Box::new(Node::Current)))
            }
            Kind::Not => Ok(Node::Not(Box::new(self.expression(NOT)?))),
            _ => {
                self.at -= 1;
                Err(self.wrong("expected an expression"))
            }
        }
    }

    fn infix(&mut self, left: Node) -> Result<Node, Problem> {
        let kind = self.peek();
        self.at += 1;
        let binary = |left, right| (Box::new(left), Box::new(right));
        match kind {
            Kind::Dot => {
                if self.take(|k| matches!(k, Kind::Star)) {
                    let right = self.projected(DOT)?;
                    return Ok(Node::ProjectValues(Box::new(left), Box::new(right)));
                }
                let right = self.after_dot(DOT)?;
                Ok(then(left, right))
            }
            Kind::Pipe => {
                let right = self.expression(power(kind))?;
                Ok(Node::Then(Box::new(left), Box::new(right)))
            }
            Kind::Or => {
                let (left, right) = binary(left, self.expression(power(kind))?);
                Ok(Node::Or(left, right))
            }
            Kind::And => {
                let (left, right) = binary(left, self.expression(power(kind))?);
                Ok(Node::And(left, right))
            }
            Kind::Compare(comparison) => {
                let (left, right) = binary(left, self.expression(power(kind))?);
                Ok(Node::Compare(*comparison, left, right))
            }
            Kind::LeftParen => self.call(&left),
            Kind::Filter => self.filter(left),
            Kind::Flatten => {
                let right = self.projected(FLATTEN)?;
                Ok(project(Node::Flatten(Box::new(left)), right))
            }
            Kind::LeftBracket => match self.peek() {
                Kind::Number(_) | Kind::Colon => self.index(left),
                _ => {
                    self.expect(|k| matches!(k, Kind::Star), "an index, a slice or '*'")?;
                    self.expect(|k| matches!(k, Kind::RightBracket), "']'")?;
                    let right = self.projected(STAR)?;
                    Ok(project(left, right))
                }
            },
            _ => {
                self.at -= 1;
                Err(self.wrong("expected the end of the expression"))
            }
        }
    }

    /// What follows a projection, over each of its items.
    fn projected(&mut self, right_power: u8) -> Result<Node, Problem> {
        match self.peek() {
            kind if power(kind) < PROJECTION_STOP => Ok(Node::Current),
            Kind::LeftBracket | Kind::Filter => self.expression(right_power),
            Kind::Dot => {
                self.at += 1;
                self.after_dot(right_power)
            }
            _ => Err(self.wrong("expected '.', '[' or the end of the expression")),
        }
    }

    fn after_dot(&mut self, right_power: u8) -> Result<Node, Problem> {
        match self.peek() {
            Kind::Name(..) | Kind::Star => self.expression(right_power),
            Kind::LeftBracket => {
                self.at += 1;
                self.list()
            }
            Kind::LeftBrace => {
                self.at += 1;
                self.hash()
            }
            _ => Err(self.wrong("expected a name, '*', '[' or '{'")),
        }
    }

    /// After `[` where nothing stands before it.
    fn bracket(&mut self) -> Result<Node, Problem> {
        match (self.peek(), self.ahead(1)) {
            (Kind::Number(_) | Kind::Colon, _) => self.index(Node::Current),
            (Kind::Star, Kind::RightBracket) => {
                self.at += 2;
                let right = self.projected(STAR)?;
                Ok(project(Node::Current, right))
            }
            _ => self.list(),
        }
    }

    /// `0]` or `0:2:1]`.
    fn index(&mut self, left: Node) -> Result<Node, Problem> {
        let mut parts = [None; 3];
        let mut colons = 0;
        loop {
            match self.peek() {
                Kind::Number(number) if parts[colons].is_none() => {
                    parts[colons] = Some(*number);
                    self.at += 1;
                }
                Kind::Colon if colons < 2 => {
                    colons += 1;
                    self.at += 1;
                }
                Kind::RightBracket => break,
                _ => return Err(self.wrong("expected an index as [0], or a slice as [0:2:1]")),
            }
        }
        self.at += 1;
        if let (0, Some(index)) = (colons, parts[0]) {
            return Ok(then(left, Node::Index(index)));
        }
        let step = parts[2].unwrap_or(1);
        if step == 0 {
            return Err(self.wrong("a slice's step is not 0"));
        }
        let slice = Node::Slice(Slice { start: parts[0], stop: parts[1], step });
        let right = self.projected(STAR)?;
        Ok(project(then(left, slice), right))
    }

    fn filter(&mut self, left: Node) -> Result<Node, Problem> {
        let condition = self.expression(0)?;
        self.expect(|k| matches!(k, Kind::RightBracket), "']'")?;
        let right = match self.peek() {
            Kind::Flatten => Node::Current,
            _ => self.projected(FILTER)?,
        };
        Ok(Node::Filter(Box::new(left), Box::new(condition), Box::new(right)))
    }

    /// `a, b]`
    fn list(&mut self) -> Result<Node, Problem> {
        let mut items = Vec::new();
        loop {
            items.push(self.expression(0)?);
            if self.take(|k| matches!(k, Kind::RightBracket)) {
                return Ok(Node::List(items));
            }
            self.expect(|k| matches!(k, Kind::Comma), "',' or ']'")?;
        }
    }

    /// `a: b, c: d}`
    fn hash(&mut self) -> Result<Node, Problem> {
        let mut members: Vec<(Arc<str>, Node)> = Vec::new();
        loop {
            let Kind::Name(name, _) = self.peek() else {
                return Err(self.wrong("expected a name"));
            };
            self.at += 1;
            self.expect(|k| matches!(k, Kind::Colon), "':'")?;
            members.push((name.clone(), self.expression(0)?));
            if self.take(|k| matches!(k, Kind::RightBrace)) {
                return Ok(Node::Hash(members));
            }
            self.expect(|k| matches!(k, Kind::Comma), "',' or '}'")?;
        }
    }

    fn call(&mut self, name: &Node) -> Result<Node, Problem> {
        let Node::Field(name) = name else {
            return Err(self.wrong("only a name can be called"));
        };
        let function = Function::find(name)
            .ok_or_else(|| self.wrong(&format!("there is no function {name:.32}")))?;
        let mut arguments = Vec::new();
        if !self.take(|k| matches!(k, Kind::RightParen)) {
            loop {
                arguments.push(self.argument()?);
                if self.take(|k| matches!(k, Kind::RightParen)) {
                    break;
                }
                self.expect(|k| matches!(k, Kind::Comma), "',' or ')'")?;
            }
        }
        function.check(&arguments).map_err(|problem| self.wrong(&problem.0))?;
        Ok(Node::Call(function, arguments))
    }

    fn argument(&mut self) -> Result<Node, Problem> {
        if self.take(|k| matches!(k, Kind::Reference)) {
            return Ok(Node::Reference(Box::new(self.expression(0)?)));
        }
        self.expression(0)
    }
}

impl Node {
    /// Whether it is `&expression`.
    pub(super) fn is_reference(&self) -> bool {
        matches!(self, Self::Reference(_))
    }
}
