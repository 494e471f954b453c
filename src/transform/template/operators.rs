//! Operators of expressions.

use std::cmp::Ordering;

use super::{Budget, Json, Problem};
use crate::transform::{compare, number};

/// An operator between two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Add,
    Subtract,
    Join,
    Multiply,
    Divide,
    DivideWhole,
    Remainder,
}

/// What counts as true: all but null, false, 0, and empty strings, lists and maps.
pub fn is_true(value: &Json) -> bool {
    match value {
        Json::Null => false,
        Json::Bool(value) => *value,
        Json::Number(text) => !number::is_zero(text),
        Json::String(text) => !text.is_empty(),
        Json::Array(_) | Json::Object(_) => value.count() > 0,
    }
}

/// Applies an operator to two values; `or` and `and` are evaluated where only one value is needed.
pub fn apply(
    operator: Operator,
    left: &Json,
    right: &Json,
    budget: &mut Budget,
) -> Result<Json, Problem> {
    let mut ordered = |accepts: fn(Ordering) -> bool| match compare::order(left, right, budget)? {
        Some(order) => Ok(Json::Bool(accepts(order))),
        None => Err(unfit("compare", left, right)),
    };
    match operator {
        Operator::Or | Operator::And => Err("expected values".into()),
        Operator::Equal => Ok(Json::Bool(compare::equal(left, right, budget)?)),
        Operator::NotEqual => Ok(Json::Bool(!compare::equal(left, right, budget)?)),
        Operator::Less => ordered(Ordering::is_lt),
        Operator::LessOrEqual => ordered(Ordering::is_le),
        Operator::Greater => ordered(Ordering::is_gt),
        Operator::GreaterOrEqual => ordered(Ordering::is_ge),
        Operator::In => contains(right, left, budget).map(Json::Bool),
        Operator::Join => {
            let (left, right) = (left.to_text()?, right.to_text()?);
            budget.bytes(left.len() + right.len())?;
            Ok(Json::string(format!("{left}{right}")))
        }
        Operator::Add => match (left, right) {
            (Json::String(left), Json::String(right)) => {
                budget.bytes(left.len() + right.len())?;
                Ok(Json::string(format!("{left}{right}")))
            }
            (Json::Array(left), Json::Array(right)) => {
                let (left, right) = (left.items(), right.items());
                budget.items(left.len() + right.len())?;
                Json::array([left, right].concat())
            }
            _ => reckon(operator, left, right, budget),
        },
        Operator::Subtract
        | Operator::Multiply
        | Operator::Divide
        | Operator::DivideWhole
        | Operator::Remainder => reckon(operator, left, right, budget),
    }
}

fn unfit(verb: &str, left: &Json, right: &Json) -> Problem {
    format!("cannot {verb} {} and {}", left.kind(), right.kind()).into()
}

/// Whether a string, list or map holds a value.
pub fn contains(whole: &Json, part: &Json, budget: &mut Budget) -> Result<bool, Problem> {
    match (whole, part) {
        (Json::String(text), Json::String(part)) => {
            budget.look(text)?;
            budget.look(part)?;
            Ok(text.contains(&**part))
        }
        (Json::Object(object), Json::String(name)) => {
            budget.lookup(name, object.members().len())?;
            Ok(object.get(name).is_some())
        }
        (Json::Array(array), part) => {
            for item in array.items() {
                if compare::equal(item, part, budget)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        (whole, part) => Err(format!("cannot look for {} in {}", part.kind(), whole.kind()).into()),
    }
}

/// Plain integers exactly, where the result is one; all else as doubles.
fn reckon(
    operator: Operator,
    left: &Json,
    right: &Json,
    budget: &mut Budget,
) -> Result<Json, Problem> {
    let (Json::Number(a), Json::Number(b)) = (left, right) else {
        return Err(unfit("reckon with", left, right));
    };
    budget.number(a)?;
    budget.number(b)?;
    if let (Some(a), Some(b)) = (number::integer(a), number::integer(b)) {
        let exact = match operator {
            Operator::Add => a.checked_add(b),
            Operator::Subtract => a.checked_sub(b),
            Operator::Multiply => a.checked_mul(b),
            Operator::DivideWhole => a.checked_div_euclid(b),
            Operator::Remainder => a.checked_rem_euclid(b),
            _ => None,
        };
        if let Some(exact) = exact {
            return Ok(Json::integer(exact));
        }
    }
    let (a, b) = (number::float(a), number::float(b));
    from_float(match operator {
        Operator::Add => a + b,
        Operator::Subtract => a - b,
        Operator::Multiply => a * b,
        Operator::DivideWhole => a.div_euclid(b),
        Operator::Remainder => a.rem_euclid(b),
        _ => a / b,
    })
}

/// The number that a double is.
pub fn from_float(value: f64) -> Result<Json, Problem> {
    let text = number::from_float(value);
    text.map(Json::Number).ok_or_else(|| "reckons with too large a number, or divides by 0".into())
}
