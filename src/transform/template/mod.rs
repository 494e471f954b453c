//! Templates, in a part of the language of Jinja and MiniJinja.
//!
//! The language is small on purpose: nothing loops but over data, nothing reads but the job, and
//! all that makes strings or lists pays for them from the budget (decision 10).

mod checks;
mod escape;
mod eval;
mod expressions;
mod filters;
mod lexer;
mod operators;
mod parser;

use std::sync::Arc;

pub use escape::{Flavour, form_field};

use super::budget::{Budget, Problem};
use super::json::Json;

/// A compiled template.
#[derive(Debug)]
pub struct Template {
    parts: Vec<Part>,
    flavour: Flavour,
}

impl Template {
    /// Compiles a template: unknown words, filters and tests are refused here.
    pub fn compile(source: &str, flavour: Flavour) -> Result<Self, Problem> {
        let tokens = lexer::tokens(source)?;
        Ok(Self { parts: parser::parse(tokens)?, flavour })
    }

    /// The text it makes of the variables.
    pub fn render(
        &self,
        variables: &[(&str, Json)],
        budget: &mut Budget,
    ) -> Result<String, Problem> {
        eval::render(&self.parts, self.flavour, variables, budget)
    }
}

/// A part of a template.
#[derive(Debug)]
enum Part {
    /// Text as it stands.
    Text(String),
    /// `{{ a }}`, and its line.
    Emit(Expr, u32),
    /// `{% if a %}…{% elif b %}…{% else %}…`: conditions with their parts, and what is left.
    If(Vec<(Expr, u32, Vec<Part>)>, Vec<Part>),
    /// `{% for a in b %}`
    For(Box<Loop>, u32),
    /// `{% set a = b %}`
    Set(Arc<str>, Expr, u32),
    /// `{% with a = b %}`
    With(Vec<(Arc<str>, Expr)>, u32, Vec<Part>),
}

/// `{% for name in items if condition %}…{% else %}…{% endfor %}`
#[derive(Debug)]
struct Loop {
    names: Vec<Arc<str>>,
    items: Expr,
    condition: Option<Expr>,
    body: Vec<Part>,
    otherwise: Vec<Part>,
}

/// An expression.
#[derive(Debug)]
enum Expr {
    Constant(Json),
    Variable(Arc<str>),
    /// `a.name`
    Attribute(Box<Expr>, Arc<str>),
    /// `a[b]`
    Item(Box<Expr>, Box<Expr>),
    /// `a[1:3]`
    Slice(Box<Expr>, Option<Box<Expr>>, Option<Box<Expr>>),
    Not(Box<Expr>),
    Negative(Box<Expr>),
    Binary(operators::Operator, Box<Expr>, Box<Expr>),
    /// `a if b else c`
    If(Box<Expr>, Box<Expr>, Option<Box<Expr>>),
    Filter(filters::Filter, Box<Expr>, Vec<Expr>),
    /// `a is test`, and whether it is `is not`.
    Test(checks::Test, bool, Box<Expr>, Vec<Expr>),
    List(Vec<Expr>),
    Map(Vec<(Expr, Expr)>),
}

/// What an expression gives.
#[derive(Debug, Clone)]
enum Value {
    /// Nothing: the data has no such member. It may be tested and given a default, not used.
    Undefined,
    /// `loop`: the place of an item, and how many there are.
    Loop(usize, usize),
    Json(Json),
}

/// A complaint about a line.
fn at_line(line: u32, problem: &Problem) -> Problem {
    format!("line {line}: {}", problem.0).into()
}
