//! The standard functions of JMESPath.

use std::sync::Arc;

use super::eval::eval;
use super::{Budget, Json, Node, Problem};
use crate::transform::{compare, number};

macro_rules! functions {
    ($($variant:ident = $name:literal, $least:literal..=$most:expr, $reference:expr;)*) => {
        /// A standard function.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Function { $($variant,)* }

        impl Function {
            /// The function of that name.
            pub fn find(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }

            fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Fewest and most arguments, and which of them is an `&expression`.
            fn arguments(self) -> (usize, usize, Option<usize>) {
                match self { $(Self::$variant => ($least, $most, $reference),)* }
            }
        }
    };
}

functions! {
    Abs = "abs", 1..=1, None;
    Avg = "avg", 1..=1, None;
    Ceil = "ceil", 1..=1, None;
    Contains = "contains", 2..=2, None;
    EndsWith = "ends_with", 2..=2, None;
    Floor = "floor", 1..=1, None;
    Join = "join", 2..=2, None;
    Keys = "keys", 1..=1, None;
    Length = "length", 1..=1, None;
    Map = "map", 2..=2, Some(0);
    Max = "max", 1..=1, None;
    MaxBy = "max_by", 2..=2, Some(1);
    Merge = "merge", 1..=usize::MAX, None;
    Min = "min", 1..=1, None;
    MinBy = "min_by", 2..=2, Some(1);
    NotNull = "not_null", 1..=usize::MAX, None;
    Reverse = "reverse", 1..=1, None;
    Sort = "sort", 1..=1, None;
    SortBy = "sort_by", 2..=2, Some(1);
    StartsWith = "starts_with", 2..=2, None;
    Sum = "sum", 1..=1, None;
    ToArray = "to_array", 1..=1, None;
    ToNumber = "to_number", 1..=1, None;
    ToString = "to_string", 1..=1, None;
    Type = "type", 1..=1, None;
    Values = "values", 1..=1, None;
}

impl Function {
    /// Checks how many arguments there are, and which of them are `&expressions`.
    pub fn check(self, arguments: &[Node]) -> Result<(), Problem> {
        let (name, (least, most, reference)) = (self.name(), self.arguments());
        if arguments.len() < least || arguments.len() > most {
            let count = arguments.len();
            return Err(format!("{name} does not take {count} arguments").into());
        }
        for (n, argument) in arguments.iter().enumerate() {
            if argument.is_reference() != (reference == Some(n)) {
                let what = if reference == Some(n) { "an" } else { "no" };
                return Err(format!("argument {} of {name} is {what} &expression", n + 1).into());
            }
        }
        Ok(())
    }
}

/// Calls a function over data.
pub fn call(
    function: Function,
    nodes: &[Node],
    data: &Json,
    budget: &mut Budget,
) -> Result<Json, Problem> {
    if function == Function::NotNull {
        for node in nodes {
            let value = eval(node, data, budget)?;
            if !matches!(value, Json::Null) {
                return Ok(value);
            }
        }
        return Ok(Json::Null);
    }
    let mut values = Vec::with_capacity(nodes.len());
    for node in nodes {
        values.push(match node {
            Node::Reference(_) => Json::Null,
            node => eval(node, data, budget)?,
        });
    }
    let arguments = Arguments { function, nodes, values: &values };
    // `check` saw that there are as many as are read here.
    match function {
        Function::Abs => {
            budget.look(arguments.number(0)?)?;
            Ok(Json::Number(absolute(arguments.number(0)?)))
        }
        Function::Ceil | Function::Floor => rounded(&arguments, budget),
        Function::Avg => average(arguments.numbers()?, budget),
        Function::Sum => sum(arguments.numbers()?, budget),
        Function::Contains => contains(&arguments, budget),
        Function::EndsWith | Function::StartsWith => {
            budget.look(arguments.text(1)?)?;
            ends(&arguments)
        }
        Function::Join => join(&arguments, budget),
        Function::Keys => {
            let members = arguments.object(0)?;
            budget.items(members.len())?;
            Json::array(members.iter().map(|(name, _)| Json::String(name.clone())).collect())
        }
        Function::Values => {
            let members = arguments.object(0)?;
            budget.items(members.len())?;
            Json::array(members.iter().map(|(_, value)| value.clone()).collect())
        }
        Function::Length => length(&arguments, budget),
        Function::Map => {
            let mut results = Vec::new();
            for item in arguments.array(1)? {
                results.push(arguments.referred(0, item, budget)?);
                budget.items(1)?;
            }
            Json::array(results)
        }
        Function::Max | Function::Min => {
            let items = arguments.array(0)?;
            let keyed = items.iter().map(|item| (item.clone(), item)).collect();
            extreme(&arguments, keyed, budget)
        }
        Function::MaxBy | Function::MinBy => {
            let keyed = arguments.keyed(budget)?;
            extreme(&arguments, keyed, budget)
        }
        Function::Sort => {
            let items = arguments.array(0)?;
            let keyed = items.iter().map(|item| (item.clone(), item)).collect();
            sorted(&arguments, keyed, budget)
        }
        Function::SortBy => {
            let keyed = arguments.keyed(budget)?;
            sorted(&arguments, keyed, budget)
        }
        Function::Merge => {
            let mut members = Vec::new();
            for n in 0..values.len() {
                let more = arguments.object(n)?;
                budget.members(more)?;
                members.extend_from_slice(more);
            }
            Json::object(members)
        }
        Function::Reverse => match arguments.value(0) {
            Json::String(text) => {
                budget.bytes(text.len())?;
                Ok(Json::string(text.chars().rev().collect::<String>()))
            }
            Json::Array(array) => {
                budget.items(array.items().len())?;
                Json::array(array.items().iter().rev().cloned().collect())
            }
            _ => Err(arguments.wrong(0, "an array or a string")),
        },
        Function::ToArray => match arguments.value(0) {
            array @ Json::Array(_) => Ok(array.clone()),
            other => {
                budget.items(1)?;
                Json::array(vec![other.clone()])
            }
        },
        Function::ToNumber => Ok(match arguments.value(0) {
            Json::Number(text) => Json::Number(text.clone()),
            Json::String(text) if number::is_number(text) => Json::Number(text.clone()),
            _ => Json::Null,
        }),
        Function::ToString => {
            let text = arguments.value(0).to_text()?;
            budget.bytes(text.len())?;
            Ok(Json::String(text))
        }
        Function::Type => Ok(Json::string(arguments.value(0).kind())),
        Function::NotNull => Ok(Json::Null),
    }
}

/// The arguments of one call.
struct Arguments<'a> {
    function: Function,
    nodes: &'a [Node],
    values: &'a [Json],
}

type Members = [(Arc<str>, Json)];

impl<'a> Arguments<'a> {
    fn value(&self, n: usize) -> &'a Json {
        &self.values[n]
    }

    fn wrong(&self, n: usize, expected: &str) -> Problem {
        let (name, found) = (self.function.name(), self.value(n).kind());
        format!("argument {} of {name} is {found}: expected {expected}", n + 1).into()
    }

    fn number(&self, n: usize) -> Result<&'a Arc<str>, Problem> {
        match self.value(n) {
            Json::Number(text) => Ok(text),
            _ => Err(self.wrong(n, "a number")),
        }
    }

    fn text(&self, n: usize) -> Result<&'a str, Problem> {
        self.value(n).as_str().ok_or_else(|| self.wrong(n, "a string"))
    }

    fn array(&self, n: usize) -> Result<&'a [Json], Problem> {
        match self.value(n) {
            Json::Array(array) => Ok(array.items()),
            _ => Err(self.wrong(n, "an array")),
        }
    }

    fn object(&self, n: usize) -> Result<&'a Members, Problem> {
        match self.value(n) {
            Json::Object(object) => Ok(object.members()),
            _ => Err(self.wrong(n, "an object")),
        }
    }

    fn numbers(&self) -> Result<Vec<&'a str>, Problem> {
        let number = |item: &'a Json| match item {
            Json::Number(text) => Ok(&**text),
            _ => Err(self.wrong(0, "an array of numbers")),
        };
        self.array(0)?.iter().map(number).collect()
    }

    /// What an `&expression` makes of an item.
    fn referred(&self, n: usize, item: &Json, budget: &mut Budget) -> Result<Json, Problem> {
        match &self.nodes[n] {
            Node::Reference(inner) => eval(inner, item, budget),
            node => eval(node, item, budget),
        }
    }

    /// The items of the first argument with what the second makes of each.
    fn keyed(&self, budget: &mut Budget) -> Result<Vec<(Json, &'a Json)>, Problem> {
        let items = self.array(0)?;
        budget.items(2 * items.len())?;
        items.iter().map(|item| Ok((self.referred(1, item, budget)?, item))).collect()
    }
}

fn absolute(text: &Arc<str>) -> Arc<str> {
    text.strip_prefix('-').map_or_else(|| text.clone(), Arc::from)
}

fn rounded(arguments: &Arguments<'_>, budget: &mut Budget) -> Result<Json, Problem> {
    let text = arguments.number(0)?;
    budget.number(text)?;
    // Integers stay what they are, whatever their size.
    if text.bytes().all(|b| b.is_ascii_digit() || b == b'-') {
        return Ok(Json::Number(text.clone()));
    }
    let value = number::float(text);
    from_float(if arguments.function == Function::Ceil { value.ceil() } else { value.floor() })
}

fn ends(arguments: &Arguments<'_>) -> Result<Json, Problem> {
    let (text, part) = (arguments.text(0)?, arguments.text(1)?);
    let at_start = arguments.function == Function::StartsWith;
    Ok(Json::Bool(if at_start { text.starts_with(part) } else { text.ends_with(part) }))
}

fn from_float(value: f64) -> Result<Json, Problem> {
    number::from_float(value)
        .map(Json::Number)
        .ok_or_else(|| "a number is too large to reckon with".into())
}

fn sum(numbers: Vec<&str>, budget: &mut Budget) -> Result<Json, Problem> {
    numbers.iter().try_for_each(|text| budget.number(text))?;
    let exact =
        numbers.iter().try_fold(0_i128, |sum, text| sum.checked_add(number::integer(text)?));
    match exact {
        Some(sum) => Ok(Json::integer(sum)),
        None => from_float(numbers.into_iter().map(number::float).sum()),
    }
}

fn average(numbers: Vec<&str>, budget: &mut Budget) -> Result<Json, Problem> {
    if numbers.is_empty() {
        return Ok(Json::Null);
    }
    numbers.iter().try_for_each(|text| budget.number(text))?;
    #[expect(clippy::cast_precision_loss, reason = "there are fewer than 2^53 items")]
    let count = numbers.len() as f64;
    from_float(numbers.into_iter().map(number::float).sum::<f64>() / count)
}

fn contains(arguments: &Arguments<'_>, budget: &mut Budget) -> Result<Json, Problem> {
    match arguments.value(0) {
        Json::String(text) => {
            budget.steps(text.len() / 64)?;
            let part = arguments.value(1).as_str();
            Ok(Json::Bool(part.is_some_and(|part| text.contains(part))))
        }
        Json::Array(array) => {
            for item in array.items() {
                if compare::equal(item, arguments.value(1), budget)? {
                    return Ok(Json::Bool(true));
                }
            }
            Ok(Json::Bool(false))
        }
        _ => Err(arguments.wrong(0, "an array or a string")),
    }
}

fn join(arguments: &Arguments<'_>, budget: &mut Budget) -> Result<Json, Problem> {
    let (glue, items) = (arguments.text(0)?, arguments.array(1)?);
    let mut joined = String::new();
    for (n, item) in items.iter().enumerate() {
        let text = item.as_str().ok_or_else(|| arguments.wrong(1, "an array of strings"))?;
        let glue = if n == 0 { "" } else { glue };
        budget.steps(1)?;
        budget.bytes(glue.len() + text.len())?;
        joined.push_str(glue);
        joined.push_str(text);
    }
    Ok(Json::string(joined))
}

fn length(arguments: &Arguments<'_>, budget: &mut Budget) -> Result<Json, Problem> {
    let length = match arguments.value(0) {
        Json::String(text) => {
            budget.steps(text.len() / 64)?;
            text.chars().count()
        }
        value @ (Json::Array(_) | Json::Object(_)) => value.count(),
        Json::Null | Json::Bool(_) | Json::Number(_) => {
            return Err(arguments.wrong(0, "a string, an array or an object"));
        }
    };
    Ok(Json::Number(length.to_string().into()))
}

const SORTABLE: &str = "all numbers or all strings";

fn extreme(
    arguments: &Arguments<'_>,
    keyed: Vec<(Json, &Json)>,
    budget: &mut Budget,
) -> Result<Json, Problem> {
    let wanted = match arguments.function {
        Function::Max | Function::MaxBy => std::cmp::Ordering::Greater,
        _ => std::cmp::Ordering::Less,
    };
    budget.steps(keyed.len())?;
    let mut best: Option<(Json, &Json)> = None;
    for (key, item) in keyed {
        let against = best.as_ref().map_or(&key, |(best, _)| best);
        let order =
            compare::order(&key, against, budget)?.ok_or_else(|| arguments.wrong(0, SORTABLE))?;
        if best.is_none() || order == wanted {
            best = Some((key, item));
        }
    }
    Ok(best.map_or(Json::Null, |(_, item)| item.clone()))
}

fn sorted(
    arguments: &Arguments<'_>,
    keyed: Vec<(Json, &Json)>,
    budget: &mut Budget,
) -> Result<Json, Problem> {
    budget.items(2 * keyed.len())?;
    let keyed = compare::sort(keyed, budget)?.ok_or_else(|| arguments.wrong(0, SORTABLE))?;
    Json::array(keyed.into_iter().map(|(_, item)| item.clone()).collect())
}
