//! What an expression makes of data.

use std::cmp::Ordering;

use super::functions;
use super::{Budget, Comparison, Json, Node, Problem, Slice};
use crate::transform::compare;

/// Evaluates a part over data; every part and every item costs a step.
pub fn eval(node: &Node, data: &Json, budget: &mut Budget) -> Result<Json, Problem> {
    budget.steps(1)?;
    match node {
        Node::Current => Ok(data.clone()),
        Node::Field(name) => {
            budget.lookup(name, data.count())?;
            Ok(data.get(name).cloned().unwrap_or(Json::Null))
        }
        Node::Index(index) => Ok(data.item(*index).cloned().unwrap_or(Json::Null)),
        Node::Slice(slice) => sliced(data, *slice, budget),
        Node::Literal(value) => Ok(value.clone()),
        Node::Then(left, right) => {
            let left = eval(left, data, budget)?;
            eval(right, &left, budget)
        }
        Node::Project(left, right) => match eval(left, data, budget)? {
            Json::Array(array) => projected(array.items().iter(), right, budget),
            _ => Ok(Json::Null),
        },
        Node::ProjectValues(left, right) => match eval(left, data, budget)? {
            Json::Object(object) => {
                projected(object.members().iter().map(|(_, value)| value), right, budget)
            }
            _ => Ok(Json::Null),
        },
        Node::Filter(left, condition, right) => {
            let Json::Array(array) = eval(left, data, budget)? else { return Ok(Json::Null) };
            let mut kept = Vec::new();
            for item in array.items() {
                if is_true(&eval(condition, item, budget)?) {
                    kept.push(item);
                }
            }
            projected(kept.into_iter(), right, budget)
        }
        Node::Flatten(inner) => flattened(&eval(inner, data, budget)?, budget),
        Node::Or(left, right) => match eval(left, data, budget)? {
            value if is_true(&value) => Ok(value),
            _ => eval(right, data, budget),
        },
        Node::And(left, right) => match eval(left, data, budget)? {
            value if is_true(&value) => eval(right, data, budget),
            value => Ok(value),
        },
        Node::Not(inner) => Ok(Json::Bool(!is_true(&eval(inner, data, budget)?))),
        Node::Compare(comparison, left, right) => {
            let (left, right) = (eval(left, data, budget)?, eval(right, data, budget)?);
            compared(*comparison, &left, &right, budget)
        }
        Node::List(_) | Node::Hash(_) if matches!(data, Json::Null) => Ok(Json::Null),
        Node::List(nodes) => {
            budget.items(nodes.len())?;
            let items: Result<_, _> = nodes.iter().map(|node| eval(node, data, budget)).collect();
            Json::array(items?)
        }
        Node::Hash(nodes) => {
            budget.items(2 * nodes.len())?;
            let member = |(name, node): &(_, _)| {
                Ok((std::sync::Arc::clone(name), eval(node, data, budget)?))
            };
            let members: Result<_, Problem> = nodes.iter().map(member).collect();
            Json::object(members?)
        }
        Node::Call(function, arguments) => functions::call(*function, arguments, data, budget),
        // Functions evaluate their references themselves; nothing else may hold one.
        Node::Reference(_) => Err("an &expression stands only as a function's argument".into()),
    }
}

/// What counts as true: all but null, false, and empty strings, arrays and objects.
pub fn is_true(value: &Json) -> bool {
    match value {
        Json::Null => false,
        Json::Bool(value) => *value,
        Json::Number(_) => true,
        Json::String(text) => !text.is_empty(),
        Json::Array(_) | Json::Object(_) => value.count() > 0,
    }
}

fn projected<'j>(
    items: impl Iterator<Item = &'j Json>,
    right: &Node,
    budget: &mut Budget,
) -> Result<Json, Problem> {
    let mut results = Vec::new();
    for item in items {
        let result = eval(right, item, budget)?;
        if !matches!(result, Json::Null) {
            budget.items(1)?;
            results.push(result);
        }
    }
    Json::array(results)
}

fn flattened(value: &Json, budget: &mut Budget) -> Result<Json, Problem> {
    let Json::Array(array) = value else { return Ok(Json::Null) };
    let mut items = Vec::new();
    for item in array.items() {
        let parts = match item {
            Json::Array(inner) => inner.items(),
            _ => std::slice::from_ref(item),
        };
        budget.steps(1)?;
        budget.items(parts.len())?;
        items.extend_from_slice(parts);
    }
    Json::array(items)
}

fn compared(
    comparison: Comparison,
    left: &Json,
    right: &Json,
    budget: &mut Budget,
) -> Result<Json, Problem> {
    let order = match (left, right) {
        (Json::Number(_), Json::Number(_)) => compare::order(left, right, budget)?,
        _ => None,
    };
    let ordered = |accepts: fn(Ordering) -> bool| {
        order.map_or(Json::Null, |order| Json::Bool(accepts(order)))
    };
    Ok(match comparison {
        Comparison::Equal => Json::Bool(compare::equal(left, right, budget)?),
        Comparison::NotEqual => Json::Bool(!compare::equal(left, right, budget)?),
        Comparison::Less => ordered(Ordering::is_lt),
        Comparison::LessOrEqual => ordered(Ordering::is_le),
        Comparison::Greater => ordered(Ordering::is_gt),
        Comparison::GreaterOrEqual => ordered(Ordering::is_ge),
    })
}

fn sliced(value: &Json, slice: Slice, budget: &mut Budget) -> Result<Json, Problem> {
    let Json::Array(array) = value else { return Ok(Json::Null) };
    let items = array.items();
    let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
    let clamped = |place: i64, low: i64, high: i64| {
        let place = if place < 0 { place.saturating_add(length) } else { place };
        place.clamp(low, high)
    };
    let mut taken = Vec::new();
    let mut take = |at: i64| {
        budget.items(1)?;
        taken.extend(usize::try_from(at).ok().and_then(|at| items.get(at)).cloned());
        Ok::<_, Problem>(())
    };
    if slice.step > 0 {
        let mut at = slice.start.map_or(0, |place| clamped(place, 0, length));
        let stop = slice.stop.map_or(length, |place| clamped(place, 0, length));
        while at < stop {
            take(at)?;
            at = at.saturating_add(slice.step);
        }
    } else {
        let mut at = slice.start.map_or(length - 1, |place| clamped(place, -1, length - 1));
        let stop = slice.stop.map_or(-1, |place| clamped(place, -1, length - 1));
        while at > stop {
            take(at)?;
            at = at.saturating_add(slice.step);
        }
    }
    Json::array(taken)
}
