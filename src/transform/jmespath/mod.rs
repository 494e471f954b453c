//! JMESPath (jmespath.org, the specification and its standard functions), over numbers that keep
//! their text, within a budget.

mod eval;
mod functions;
mod lexer;
mod parser;

use std::sync::Arc;

use super::budget::{Budget, Problem};
use super::json::Json;
use functions::Function;

/// A compiled expression.
#[derive(Debug)]
pub struct Expression {
    node: Node,
}

impl Expression {
    /// Compiles an expression: what can be seen to be wrong without data is refused here.
    pub fn compile(source: &str) -> Result<Self, Problem> {
        let tokens = lexer::tokens(source)?;
        Ok(Self { node: parser::parse(&tokens)? })
    }

    /// What the expression makes of the data.
    pub fn search(&self, data: &Json, budget: &mut Budget) -> Result<Json, Problem> {
        eval::eval(&self.node, data, budget)
    }
}

/// A part of an expression.
#[derive(Debug)]
enum Node {
    /// `@`
    Current,
    /// `name`
    Field(Arc<str>),
    /// `[0]`
    Index(i64),
    /// `[0:2:1]`
    Slice(Slice),
    /// `` `1` `` or `'text'`
    Literal(Json),
    /// `a.b`, `a | b`: the second over what the first gives.
    Then(Box<Node>, Box<Node>),
    /// `a[*].b`, `a[0:2].b`: over each item, nulls left out.
    Project(Box<Node>, Box<Node>),
    /// `a.*.b`: over the value of each member.
    ProjectValues(Box<Node>, Box<Node>),
    /// `a[?c].b`: over each item that the condition holds for.
    Filter(Box<Node>, Box<Node>, Box<Node>),
    /// `a[]`: items that are lists give their items.
    Flatten(Box<Node>),
    /// `a || b`
    Or(Box<Node>, Box<Node>),
    /// `a && b`
    And(Box<Node>, Box<Node>),
    /// `!a`
    Not(Box<Node>),
    /// `a == b`
    Compare(Comparison, Box<Node>, Box<Node>),
    /// `[a, b]`
    List(Vec<Node>),
    /// `{a: b}`
    Hash(Vec<(Arc<str>, Node)>),
    /// `length(a)`
    Call(Function, Vec<Node>),
    /// `&a`, an argument that is applied to items.
    Reference(Box<Node>),
}

/// The ends and the step of a slice.
#[derive(Debug, Clone, Copy)]
struct Slice {
    start: Option<i64>,
    stop: Option<i64>,
    step: i64,
}

/// How two values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}
