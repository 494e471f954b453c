//! Expressions of templates. Precedence as in MiniJinja, from the loosest: `if`, `or`, `and`, `not`,
//! comparisons and `in`, `+ -`, `~`, `* / // %`, filters and tests, `-`, and `. []`.

use super::checks::Test;
use super::filters::Filter;
use super::lexer::Kind;
use super::operators::Operator;
use super::parser::Parser;
use super::{Expr, Json, Problem};

/// Deepest nesting of an expression's tree: each further word of a chain, as in `a.b.c`, nests it.
const MAX_HEIGHT: usize = 150;

fn boxed(expr: Expr) -> Box<Expr> {
    Box::new(expr)
}

impl Parser {
    /// Reads a tree of its own: afterwards, the height is that of the deepest, of it and those before.
    fn tree(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Expr, Problem>,
    ) -> Result<Expr, Problem> {
        let before = std::mem::take(&mut self.height);
        let expr = read(self)?;
        self.height = self.height.max(before);
        Ok(expr)
    }

    /// Something is put around the trees that were read.
    fn raise(&mut self) -> Result<(), Problem> {
        self.height += 1;
        if self.height > MAX_HEIGHT {
            return Err(self.wrong(format!("an expression nests deeper than {MAX_HEIGHT} levels")));
        }
        Ok(())
    }

    pub(super) fn expression(&mut self) -> Result<Expr, Problem> {
        self.deepen()?;
        let expr = self.tree(|parser| {
            let mut value = parser.or()?;
            while parser.word("if") {
                let condition = parser.or()?;
                let otherwise =
                    if parser.word("else") { Some(boxed(parser.expression()?)) } else { None };
                parser.raise()?;
                value = Expr::If(boxed(value), boxed(condition), otherwise);
            }
            Ok(value)
        })?;
        self.depth -= 1;
        Ok(expr)
    }

    /// A chain of operators of one precedence, from the left.
    fn chain(
        &mut self,
        next: fn(&mut Self) -> Result<Expr, Problem>,
        operator: impl Fn(&mut Self) -> Option<Operator>,
    ) -> Result<Expr, Problem> {
        self.tree(|parser| {
            let mut left = next(parser)?;
            while let Some(operator) = operator(parser) {
                left = Expr::Binary(operator, boxed(left), boxed(next(parser)?));
                parser.raise()?;
            }
            Ok(left)
        })
    }

    pub(super) fn or(&mut self) -> Result<Expr, Problem> {
        self.chain(Self::and, |parser| parser.word("or").then_some(Operator::Or))
    }

    fn and(&mut self) -> Result<Expr, Problem> {
        self.chain(Self::not, |parser| parser.word("and").then_some(Operator::And))
    }

    fn not(&mut self) -> Result<Expr, Problem> {
        if !self.word("not") {
            return self.tree(Self::comparison);
        }
        self.deepen()?;
        let inner = self.tree(|parser| {
            let inner = parser.not()?;
            parser.raise()?;
            Ok(inner)
        })?;
        self.depth -= 1;
        Ok(Expr::Not(boxed(inner)))
    }

    fn comparison(&mut self) -> Result<Expr, Problem> {
        let left = self.sum()?;
        let Some((operator, negated)) = self.comparison_operator() else { return Ok(left) };
        let right = self.sum()?;
        if self.comparison_operator().is_some() {
            return Err(
                self.wrong("comparisons do not follow each other: write `and` between them")
            );
        }
        self.raise()?;
        self.raise()?;
        let compared = Expr::Binary(operator, boxed(left), boxed(right));
        Ok(if negated { Expr::Not(boxed(compared)) } else { compared })
    }

    fn comparison_operator(&mut self) -> Option<(Operator, bool)> {
        for (sign, operator) in [
            ("==", Operator::Equal),
            ("!=", Operator::NotEqual),
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("<", Operator::Less),
            (">", Operator::Greater),
        ] {
            if self.sign(sign) {
                return Some((operator, false));
            }
        }
        let start = self.at;
        let negated = self.word("not");
        if self.word("in") {
            return Some((Operator::In, negated));
        }
        self.at = start;
        None
    }

    fn sum(&mut self) -> Result<Expr, Problem> {
        self.chain(Self::joined, |parser| match () {
            () if parser.sign("+") => Some(Operator::Add),
            () if parser.sign("-") => Some(Operator::Subtract),
            () => None,
        })
    }

    fn joined(&mut self) -> Result<Expr, Problem> {
        self.chain(Self::product, |parser| parser.sign("~").then_some(Operator::Join))
    }

    fn product(&mut self) -> Result<Expr, Problem> {
        self.chain(Self::unary, |parser| match () {
            () if parser.sign("*") => Some(Operator::Multiply),
            () if parser.sign("//") => Some(Operator::DivideWhole),
            () if parser.sign("/") => Some(Operator::Divide),
            () if parser.sign("%") => Some(Operator::Remainder),
            () => None,
        })
    }

    /// A value with what follows it: a sign before it binds more than filters and tests do.
    fn unary(&mut self) -> Result<Expr, Problem> {
        self.tree(|parser| {
            let mut value = parser.negative()?;
            loop {
                let start = parser.at;
                if parser.sign("|") {
                    value = parser.filter(value)?;
                    parser.raise()?;
                } else if parser.word("is") {
                    value = parser.test(value)?;
                    parser.raise()?;
                } else {
                    value = parser.postfix(value)?;
                }
                if parser.at == start {
                    return Ok(value);
                }
            }
        })
    }

    fn negative(&mut self) -> Result<Expr, Problem> {
        if !self.sign("-") {
            let value = self.primary()?;
            return self.postfix(value);
        }
        self.deepen()?;
        let inner = self.negative()?;
        self.raise()?;
        self.depth -= 1;
        Ok(Expr::Negative(boxed(inner)))
    }

    /// `.name`, `.0` and `[…]`.
    fn postfix(&mut self, mut value: Expr) -> Result<Expr, Problem> {
        loop {
            if self.sign(".") {
                value = match &self.token().kind {
                    Kind::Number(place) => {
                        let place = Json::Number(place.clone());
                        self.at += 1;
                        Expr::Item(boxed(value), boxed(Expr::Constant(place)))
                    }
                    _ => Expr::Attribute(boxed(value), self.name()?),
                };
            } else if self.sign("[") {
                value = self.subscript(value)?;
            } else if self.is_sign("(") {
                return Err(self.wrong("there are no functions to call"));
            } else {
                return Ok(value);
            }
            self.raise()?;
        }
    }

    fn subscript(&mut self, value: Expr) -> Result<Expr, Problem> {
        let start = if self.is_sign(":") { None } else { Some(boxed(self.expression()?)) };
        if self.sign(":") {
            let stop = if self.is_sign("]") { None } else { Some(boxed(self.expression()?)) };
            self.expect("]")?;
            return Ok(Expr::Slice(boxed(value), start, stop));
        }
        self.expect("]")?;
        match start {
            Some(place) => Ok(Expr::Item(boxed(value), place)),
            None => Err(self.wrong("expected what to take")),
        }
    }

    fn filter(&mut self, value: Expr) -> Result<Expr, Problem> {
        let name = self.name()?;
        let filter = Filter::find(&name)
            .ok_or_else(|| self.wrong(format!("there is no filter {name:.32}")))?;
        let arguments = self.arguments()?;
        filter.check(arguments.len()).map_err(|problem| self.wrong(problem.0))?;
        Ok(Expr::Filter(filter, boxed(value), arguments))
    }

    fn test(&mut self, value: Expr) -> Result<Expr, Problem> {
        let negated = self.word("not");
        let name = self.name()?;
        let test =
            Test::find(&name).ok_or_else(|| self.wrong(format!("there is no test {name:.32}")))?;
        let arguments = if test.takes_argument() && !self.is_sign("(") {
            vec![self.unary()?]
        } else {
            self.arguments()?
        };
        if arguments.len() != usize::from(test.takes_argument()) {
            return Err(self.wrong(format!("{name} does not take {} arguments", arguments.len())));
        }
        Ok(Expr::Test(test, negated, boxed(value), arguments))
    }

    fn arguments(&mut self) -> Result<Vec<Expr>, Problem> {
        if self.sign("(") { self.list(")") } else { Ok(Vec::new()) }
    }

    /// Expressions with commas between, up to a sign; a last comma may stand.
    fn list(&mut self, end: &str) -> Result<Vec<Expr>, Problem> {
        let mut items = Vec::new();
        while !self.sign(end) {
            items.push(self.expression()?);
            if self.is_sign("=") {
                return Err(self.wrong("arguments have no names"));
            }
            if !self.sign(",") {
                self.expect(end)?;
                break;
            }
        }
        Ok(items)
    }

    fn primary(&mut self) -> Result<Expr, Problem> {
        let kind = self.token().kind.clone();
        self.at += 1;
        match kind {
            Kind::String(text) => Ok(Expr::Constant(Json::String(text))),
            Kind::Number(text) => Ok(Expr::Constant(Json::Number(text))),
            Kind::Name(name) => Ok(match &*name {
                "true" | "True" => Expr::Constant(Json::Bool(true)),
                "false" | "False" => Expr::Constant(Json::Bool(false)),
                "none" | "None" | "null" => Expr::Constant(Json::Null),
                _ => Expr::Variable(name),
            }),
            Kind::Sign("(") => {
                let inner = self.expression()?;
                self.expect(")")?;
                Ok(inner)
            }
            Kind::Sign("[") => {
                let items = self.list("]")?;
                self.raise()?;
                Ok(Expr::List(items))
            }
            Kind::Sign("{") => self.map(),
            _ => {
                self.at -= 1;
                Err(self.wrong("expected a value"))
            }
        }
    }

    fn map(&mut self) -> Result<Expr, Problem> {
        let mut members = Vec::new();
        while !self.sign("}") {
            let name = self.expression()?;
            self.expect(":")?;
            members.push((name, self.expression()?));
            if !self.sign(",") {
                self.expect("}")?;
                break;
            }
        }
        self.raise()?;
        Ok(Expr::Map(members))
    }
}
