//! Whether values are equal, and which comes first, within a budget: trees share their parts, so
//! that one as small as its source may be exponentially large to walk.

use std::cmp::Ordering;

use super::budget::{Budget, Problem};
use super::json::Json;
use super::number;

/// Whether two values are the same. Numbers by value, objects whatever their order.
pub fn equal(left: &Json, right: &Json, budget: &mut Budget) -> Result<bool, Problem> {
    budget.steps(1)?;
    match (left, right) {
        (Json::Null, Json::Null) => Ok(true),
        (Json::Bool(left), Json::Bool(right)) => Ok(left == right),
        (Json::Number(left), Json::Number(right)) => {
            budget.number(left)?;
            budget.number(right)?;
            Ok(number::compare(left, right).is_eq())
        }
        (Json::String(left), Json::String(right)) => {
            budget.look(left)?;
            Ok(left == right)
        }
        (Json::Array(left), Json::Array(right)) => {
            if left.items().len() != right.items().len() {
                return Ok(false);
            }
            for (left, right) in left.items().iter().zip(right.items()) {
                if !equal(left, right, budget)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Json::Object(left), Json::Object(right)) => {
            if left.members().len() != right.members().len() {
                return Ok(false);
            }
            for (name, value) in left.members() {
                budget.lookup(name, right.members().len())?;
                let Some(other) = right.get(name) else { return Ok(false) };
                if !equal(value, other, budget)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (
            Json::Null
            | Json::Bool(_)
            | Json::Number(_)
            | Json::String(_)
            | Json::Array(_)
            | Json::Object(_),
            _,
        ) => Ok(false),
    }
}

/// Which of two numbers, or of two strings, comes first; `None` for anything else.
pub fn order(left: &Json, right: &Json, budget: &mut Budget) -> Result<Option<Ordering>, Problem> {
    for value in [left, right] {
        match value {
            Json::Number(text) => budget.number(text)?,
            Json::String(text) => budget.look(text)?,
            Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => {}
        }
    }
    Ok(ordering(left, right))
}

fn ordering(left: &Json, right: &Json) -> Option<Ordering> {
    match (left, right) {
        (Json::Number(left), Json::Number(right)) => Some(number::compare(left, right)),
        (Json::String(left), Json::String(right)) => Some(left.cmp(right)),
        (
            Json::Null
            | Json::Bool(_)
            | Json::Number(_)
            | Json::String(_)
            | Json::Array(_)
            | Json::Object(_),
            _,
        ) => None,
    }
}

/// Sorts by keys that are all numbers or all strings, keeping the order of what is equal; `None`
/// where they are not.
pub fn sort<T>(
    mut keyed: Vec<(Json, T)>,
    budget: &mut Budget,
) -> Result<Option<Vec<(Json, T)>>, Problem> {
    let Some((first, _)) = keyed.first() else { return Ok(Some(keyed)) };
    let mut cost = 0;
    for (key, _) in &keyed {
        if ordering(first, key).is_none() {
            return Ok(None);
        }
        match key {
            Json::Number(text) => cost = cost.max(text.len() / 4),
            Json::String(text) => cost = cost.max(text.len() / 64),
            Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => {}
        }
    }
    // Each is compared about as often as its count has binary digits.
    let digits = keyed.len().checked_ilog2().unwrap_or(0) as usize + 1;
    budget.steps(keyed.len().saturating_mul(digits).saturating_mul(1 + cost) / 4)?;
    keyed.sort_by(|(left, _), (right, _)| ordering(left, right).unwrap_or(Ordering::Equal));
    Ok(Some(keyed))
}
