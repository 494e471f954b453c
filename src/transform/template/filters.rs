//! Filters: `a | upper`. Each pays for what it makes.

use std::fmt::Write as _;
use std::sync::Arc;

use super::super::output::Output;
use super::operators::from_float;
use super::{Budget, Json, Problem, Value, escape};
use crate::transform::{compare, number};

macro_rules! filters {
    ($($variant:ident = $($name:literal)|+, $least:literal..=$most:literal;)*) => {
        /// A filter.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Filter { $($variant,)* }

        impl Filter {
            /// The filter of that name.
            pub fn find(name: &str) -> Option<Self> {
                match name { $($($name)|+ => Some(Self::$variant),)* _ => None }
            }

            fn name(self) -> &'static str {
                match self { $(Self::$variant => [$($name),+][0],)* }
            }

            fn counts(self) -> (usize, usize) {
                match self { $(Self::$variant => ($least, $most),)* }
            }
        }
    };
}

filters! {
    Default = "default" | "d", 1..=2;
    Length = "length" | "count", 0..=0;
    Upper = "upper", 0..=0;
    Lower = "lower", 0..=0;
    Capitalize = "capitalize", 0..=0;
    Trim = "trim", 0..=0;
    Replace = "replace", 2..=2;
    Split = "split", 1..=1;
    Join = "join", 0..=1;
    First = "first", 0..=0;
    Last = "last", 0..=0;
    Reverse = "reverse", 0..=0;
    Sort = "sort", 0..=0;
    Min = "min", 0..=0;
    Max = "max", 0..=0;
    Sum = "sum", 0..=0;
    Items = "items", 0..=0;
    Keys = "keys", 0..=0;
    Values = "values", 0..=0;
    Int = "int", 0..=0;
    Float = "float", 0..=0;
    Round = "round", 0..=1;
    Abs = "abs", 0..=0;
    String = "string", 0..=0;
    ToJson = "tojson", 0..=0;
    UrlEncode = "urlencode", 0..=0;
}

impl Filter {
    /// Checks how many arguments there are.
    pub fn check(self, count: usize) -> Result<(), Problem> {
        let (least, most) = self.counts();
        if (least..=most).contains(&count) {
            return Ok(());
        }
        Err(format!("{} does not take {count} arguments", self.name()).into())
    }
}

/// Applies a filter to a value that is defined; `default` is evaluated where its value may not be.
pub fn apply(
    filter: Filter,
    value: &Json,
    arguments: &[Json],
    budget: &mut Budget,
) -> Result<Value, Problem> {
    let call = Call { filter, value, arguments };
    let made = match filter {
        Filter::Default => Ok(value.clone()),
        Filter::Length => Ok(Json::integer(call.length(budget)? as i128)),
        Filter::Upper => call.mapped(budget, str::to_uppercase),
        Filter::Lower => call.mapped(budget, str::to_lowercase),
        Filter::Capitalize => call.mapped(budget, capitalized),
        Filter::Trim => call.mapped(budget, |text| text.trim().to_owned()),
        Filter::Replace => replaced(&call, budget),
        Filter::Split => split(&call, budget),
        Filter::Join => joined(&call, budget),
        Filter::First => return Ok(item(call.list()?.first())),
        Filter::Last => return Ok(item(call.list()?.last())),
        Filter::Reverse => match value {
            Json::String(_) => call.mapped(budget, |text| text.chars().rev().collect()),
            _ => {
                let items = call.list()?;
                budget.items(items.len())?;
                Json::array(items.iter().rev().cloned().collect())
            }
        },
        Filter::Sort => Json::array(call.sorted(budget)?),
        Filter::Min => return Ok(item(call.sorted(budget)?.first())),
        Filter::Max => return Ok(item(call.sorted(budget)?.last())),
        Filter::Sum => sum(&call, budget),
        Filter::Items => call.members(budget, |name, value| {
            Json::array(vec![Json::String(name.clone()), value.clone()])
        }),
        Filter::Keys => call.members(budget, |name, _| Ok(Json::String(name.clone()))),
        Filter::Values => call.members(budget, |_, value| Ok(value.clone())),
        Filter::Int => {
            budget.number(call.number()?)?;
            whole(&call)
        }
        Filter::Float => Ok(Json::Number(call.number()?.clone())),
        Filter::Round => {
            budget.number(call.number()?)?;
            rounded(&call)
        }
        Filter::Abs => {
            let text = call.number()?;
            Ok(Json::Number(text.strip_prefix('-').map_or_else(|| text.clone(), Arc::from)))
        }
        Filter::String => {
            let text = value.to_text()?;
            budget.bytes(text.len())?;
            Ok(Json::String(text))
        }
        Filter::ToJson => {
            let text = value.to_json()?;
            budget.bytes(text.len())?;
            Ok(Json::string(text))
        }
        Filter::UrlEncode => {
            let text = value.to_text()?;
            budget.bytes(3 * text.len())?;
            let mut output = Output::default();
            escape::form_field(&text, &mut output)?;
            Ok(Json::string(output.into_text()))
        }
    };
    made.map(Value::Json)
}

fn item(found: Option<&Json>) -> Value {
    found.map_or(Value::Undefined, |item| Value::Json(item.clone()))
}

struct Call<'a> {
    filter: Filter,
    value: &'a Json,
    arguments: &'a [Json],
}

impl<'a> Call<'a> {
    fn wrong(&self, expected: &str) -> Problem {
        let (name, found) = (self.filter.name(), self.value.kind());
        format!("{name} is applied to {found}: expected {expected}").into()
    }

    fn text(&self) -> Result<&'a str, Problem> {
        self.value.as_str().ok_or_else(|| self.wrong("a string"))
    }

    fn list(&self) -> Result<&'a [Json], Problem> {
        match self.value {
            Json::Array(array) => Ok(array.items()),
            _ => Err(self.wrong("a list")),
        }
    }

    /// A number, or a string that is one.
    fn number(&self) -> Result<&'a Arc<str>, Problem> {
        match self.value {
            Json::Number(text) => Ok(text),
            Json::String(text) if number::is_number(text) => Ok(text),
            _ => Err(self.wrong("a number")),
        }
    }

    fn argument(&self, n: usize) -> Result<&'a str, Problem> {
        let text = self.arguments.get(n).and_then(Json::as_str);
        text.ok_or_else(|| format!("{} takes strings", self.filter.name()).into())
    }

    fn length(&self, budget: &mut Budget) -> Result<usize, Problem> {
        match self.value {
            Json::String(text) => {
                budget.steps(text.len() / 64)?;
                Ok(text.chars().count())
            }
            Json::Array(_) | Json::Object(_) => Ok(self.value.count()),
            Json::Null | Json::Bool(_) | Json::Number(_) => {
                Err(self.wrong("a string, a list or a map"))
            }
        }
    }

    fn mapped(
        &self,
        budget: &mut Budget,
        map: impl FnOnce(&str) -> String,
    ) -> Result<Json, Problem> {
        let text = self.text()?;
        // Upper case may be three times as long.
        budget.bytes(3 * text.len())?;
        Ok(Json::string(map(text)))
    }

    fn members(
        &self,
        budget: &mut Budget,
        map: impl Fn(&Arc<str>, &Json) -> Result<Json, Problem>,
    ) -> Result<Json, Problem> {
        let Json::Object(object) = self.value else { return Err(self.wrong("a map")) };
        budget.items(4 * object.members().len())?;
        let members: Result<_, _> =
            object.members().iter().map(|(name, value)| map(name, value)).collect();
        Json::array(members?)
    }

    fn sorted(&self, budget: &mut Budget) -> Result<Vec<Json>, Problem> {
        let items = self.list()?;
        budget.items(2 * items.len())?;
        let keyed = items.iter().map(|item| (item.clone(), ())).collect();
        let keyed = compare::sort(keyed, budget)?;
        let keyed = keyed.ok_or_else(|| self.wrong("all numbers or all strings"))?;
        Ok(keyed.into_iter().map(|(item, ())| item).collect())
    }
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().collect::<String>() + &chars.as_str().to_lowercase()
    })
}

fn replaced(call: &Call<'_>, budget: &mut Budget) -> Result<Json, Problem> {
    let (text, from, to) = (call.text()?, call.argument(0)?, call.argument(1)?);
    budget.bytes(text.len())?;
    let count = text.matches(from).count();
    budget.bytes(count.saturating_mul(to.len()))?;
    Ok(Json::string(text.replace(from, to)))
}

fn split(call: &Call<'_>, budget: &mut Budget) -> Result<Json, Problem> {
    let (text, by) = (call.text()?, call.argument(0)?);
    if by.is_empty() {
        return Err("split takes a string that is not empty".into());
    }
    budget.bytes(text.len())?;
    budget.items(2 * (text.matches(by).count() + 1))?;
    Json::array(text.split(by).map(Json::string).collect())
}

fn joined(call: &Call<'_>, budget: &mut Budget) -> Result<Json, Problem> {
    let glue = if call.arguments.is_empty() { "" } else { call.argument(0)? };
    let mut joined = String::new();
    for (n, item) in call.list()?.iter().enumerate() {
        let (glue, text) = (if n == 0 { "" } else { glue }, item.to_text()?);
        budget.steps(1)?;
        budget.bytes(glue.len() + text.len())?;
        joined.push_str(glue);
        joined.push_str(&text);
    }
    Ok(Json::string(joined))
}

fn sum(call: &Call<'_>, budget: &mut Budget) -> Result<Json, Problem> {
    let items = call.list()?;
    budget.steps(items.len())?;
    let mut exact = Some(0_i128);
    let mut sum = 0.0;
    for item in items {
        let Json::Number(text) = item else { return Err(call.wrong("a list of numbers")) };
        budget.number(text)?;
        exact = exact.and_then(|exact| exact.checked_add(number::integer(text)?));
        sum += number::float(text);
    }
    exact.map_or_else(|| from_float(sum), |exact| Ok(Json::integer(exact)))
}

fn whole(call: &Call<'_>) -> Result<Json, Problem> {
    let text = call.number()?;
    match number::integer(text) {
        Some(_) => Ok(Json::Number(text.clone())),
        None => from_float(number::float(text).trunc()),
    }
}

/// Half away from zero, on the digits as they were written.
fn rounded(call: &Call<'_>) -> Result<Json, Problem> {
    let text = call.number()?;
    let digits = match call.arguments.first() {
        None => 0,
        Some(Json::Number(digits)) => digits.parse::<usize>().unwrap_or(usize::MAX),
        Some(_) => usize::MAX,
    };
    if digits > 20 {
        return Err("round takes a number of digits from 0 to 20".into());
    }
    if number::integer(text).is_some() {
        return Ok(Json::Number(text.clone()));
    }
    let value = number::float(text);
    if value.abs() > 1e15 {
        return from_float(value);
    }
    let mut written = String::new();
    // Writing to a string does not fail.
    let _ = write!(written, "{:.digits$}", half_up(value, digits));
    let trimmed = match written.contains('.') {
        true => written.trim_end_matches('0').trim_end_matches('.'),
        false => &written,
    };
    Ok(Json::Number(if trimmed == "-0" { "0".into() } else { trimmed.into() }))
}

fn half_up(value: f64, digits: usize) -> f64 {
    let scale = 10_f64.powi(i32::try_from(digits).unwrap_or(0));
    let scaled = (value * scale).round() / scale;
    if scaled.is_finite() { scaled } else { value }
}
