//! What a template makes of its variables.

use std::sync::Arc;

use super::escape::{Flavour, Writer};
use super::filters::{self, Filter};
use super::operators::{self, Operator, is_true};
use super::{Budget, Expr, Json, Loop, Part, Problem, Value, at_line, checks};

/// Renders parts.
pub fn render(
    parts: &[Part],
    flavour: Flavour,
    variables: &[(&str, Json)],
    budget: &mut Budget,
) -> Result<String, Problem> {
    let variables =
        variables.iter().map(|(name, value)| ((*name).into(), Value::Json(value.clone())));
    let mut scope = Scope { variables: variables.collect(), budget };
    let mut writer = Writer::new(flavour);
    scope.parts(parts, &mut writer)?;
    Ok(writer.into_text())
}

/// The variables that are known, the innermost last.
struct Scope<'b> {
    variables: Vec<(Arc<str>, Value)>,
    budget: &'b mut Budget,
}

impl Scope<'_> {
    fn parts(&mut self, parts: &[Part], writer: &mut Writer) -> Result<(), Problem> {
        parts.iter().try_for_each(|part| self.part(part, writer))
    }

    fn part(&mut self, part: &Part, writer: &mut Writer) -> Result<(), Problem> {
        self.budget.steps(1)?;
        match part {
            Part::Text(text) => writer.text(text),
            Part::Emit(expr, line) => {
                let written = match expr {
                    // In JSON, a value is written as JSON anyway.
                    Expr::Filter(Filter::ToJson, inner, _) if writer.takes_json() => {
                        self.json(inner).and_then(|value| writer.value(&value))
                    }
                    expr => self.json(expr).and_then(|value| writer.value(&value)),
                };
                written.map_err(|problem| at_line(*line, &problem))
            }
            Part::If(cases, otherwise) => {
                for (condition, line, body) in cases {
                    let holds = self.condition(condition);
                    if holds.map_err(|problem| at_line(*line, &problem))? {
                        return self.parts(body, writer);
                    }
                }
                self.parts(otherwise, writer)
            }
            Part::For(each, line) => self.for_loop(each, *line, writer),
            Part::Set(name, expr, line) => {
                let value = self.eval(expr).map_err(|problem| at_line(*line, &problem))?;
                self.variables.push((name.clone(), value));
                Ok(())
            }
            Part::With(names, line, body) => {
                let outer = self.variables.len();
                for (name, expr) in names {
                    let value = self.eval(expr).map_err(|problem| at_line(*line, &problem))?;
                    self.variables.push((name.clone(), value));
                }
                self.parts(body, writer)?;
                self.variables.truncate(outer);
                Ok(())
            }
        }
    }

    fn for_loop(&mut self, each: &Loop, line: u32, writer: &mut Writer) -> Result<(), Problem> {
        let outer = self.variables.len();
        let items = self.looped(each).map_err(|problem| at_line(line, &problem))?;
        let items = items.items();
        if items.is_empty() {
            return self.parts(&each.otherwise, writer);
        }
        for (place, item) in items.iter().enumerate() {
            self.bind(&each.names, item).map_err(|problem| at_line(line, &problem))?;
            self.variables.push(("loop".into(), Value::Loop(place, items.len())));
            self.parts(&each.body, writer)?;
            self.variables.truncate(outer);
        }
        Ok(())
    }

    /// The items that a loop goes over: of a list, or the names of a map.
    fn looped(&mut self, each: &Loop) -> Result<Json, Problem> {
        let items = match self.json(&each.items)? {
            items @ Json::Array(_) => items,
            Json::Object(object) => {
                let names = object.members().iter().map(|(name, _)| Json::String(name.clone()));
                self.budget.items(object.members().len())?;
                Json::array(names.collect())?
            }
            other => return Err(format!("cannot loop over {}", other.kind()).into()),
        };
        let Some(condition) = &each.condition else { return Ok(items) };
        let outer = self.variables.len();
        let mut kept = Vec::new();
        for item in items.items() {
            self.bind(&each.names, item)?;
            if self.condition(condition)? {
                self.budget.items(1)?;
                kept.push(item.clone());
            }
            self.variables.truncate(outer);
        }
        Json::array(kept)
    }

    fn bind(&mut self, names: &[Arc<str>], item: &Json) -> Result<(), Problem> {
        self.budget.steps(1 + names.len())?;
        if let [name] = names {
            self.variables.push((name.clone(), Value::Json(item.clone())));
            return Ok(());
        }
        if item.count() != names.len() || !matches!(item, Json::Array(_)) {
            return Err(format!("expected a list of {} values to take apart", names.len()).into());
        }
        for (place, name) in names.iter().enumerate() {
            let part = i64::try_from(place).ok().and_then(|place| item.item(place));
            self.variables.push((name.clone(), Value::Json(part.cloned().unwrap_or(Json::Null))));
        }
        Ok(())
    }

    fn condition(&mut self, expr: &Expr) -> Result<bool, Problem> {
        Ok(is_true(&self.json(expr)?))
    }

    /// A value that has to be there.
    fn json(&mut self, expr: &Expr) -> Result<Json, Problem> {
        match self.eval(expr)? {
            Value::Json(value) => Ok(value),
            Value::Undefined => Err(format!("{} is not there", name_of(expr)).into()),
            Value::Loop(..) => Err("loop is no value: take loop.index, loop.first, …".into()),
        }
    }

    fn eval(&mut self, expr: &Expr) -> Result<Value, Problem> {
        self.budget.steps(1)?;
        Ok(Value::Json(match expr {
            Expr::Constant(value) => value.clone(),
            Expr::Variable(name) => {
                self.budget.lookup(name, self.variables.len())?;
                let found = self.variables.iter().rev().find(|(own, _)| own == name);
                return Ok(found.map_or(Value::Undefined, |(_, value)| value.clone()));
            }
            Expr::Attribute(inner, name) => return self.attribute(inner, name),
            Expr::Item(inner, place) => {
                let (inner, place) = (self.eval(inner)?, self.json(place)?);
                return self.item(&inner, &place);
            }
            Expr::Slice(inner, start, stop) => {
                self.slice(inner, start.as_deref(), stop.as_deref())?
            }
            Expr::Not(inner) => Json::Bool(!self.condition(inner)?),
            Expr::Negative(inner) => {
                let inner = self.json(inner)?;
                operators::apply(Operator::Subtract, &Json::integer(0), &inner, self.budget)?
            }
            Expr::Binary(Operator::Or, left, right) => match self.json(left)? {
                value if is_true(&value) => value,
                _ => self.json(right)?,
            },
            Expr::Binary(Operator::And, left, right) => match self.json(left)? {
                value if is_true(&value) => self.json(right)?,
                value => value,
            },
            Expr::Binary(operator, left, right) => {
                let (left, right) = (self.json(left)?, self.json(right)?);
                operators::apply(*operator, &left, &right, self.budget)?
            }
            Expr::If(value, condition, otherwise) => {
                return match (self.condition(condition)?, otherwise) {
                    (true, _) => self.eval(value),
                    (false, Some(otherwise)) => self.eval(otherwise),
                    (false, None) => Ok(Value::Undefined),
                };
            }
            Expr::Filter(filter, inner, arguments) => {
                return self.filter(*filter, inner, arguments);
            }
            Expr::Test(test, negated, inner, arguments) => {
                let value = self.eval(inner)?;
                let argument = arguments.first().map(|expr| self.json(expr)).transpose()?;
                let passes = checks::passes(*test, &value, argument.as_ref(), self.budget)?;
                Json::Bool(passes != *negated)
            }
            Expr::List(items) => {
                self.budget.items(items.len())?;
                let items: Result<_, _> = items.iter().map(|item| self.json(item)).collect();
                Json::array(items?)?
            }
            Expr::Map(members) => {
                let members: Result<Vec<_>, Problem> =
                    members.iter().map(|(name, value)| self.member(name, value)).collect();
                let members = members?;
                self.budget.members(&members)?;
                Json::object(members)?
            }
        }))
    }

    fn member(&mut self, name: &Expr, value: &Expr) -> Result<(Arc<str>, Json), Problem> {
        match self.json(name)? {
            Json::String(name) => Ok((name, self.json(value)?)),
            other => Err(format!("a map's name is {}: expected a string", other.kind()).into()),
        }
    }

    /// What is not there has no members either; only its use is an error.
    fn attribute(&mut self, inner: &Expr, name: &str) -> Result<Value, Problem> {
        Ok(match self.eval(inner)? {
            Value::Json(value) => {
                self.budget.lookup(name, value.count())?;
                value.get(name).map_or(Value::Undefined, |found| Value::Json(found.clone()))
            }
            Value::Loop(place, count) => place_in_loop(name, place, count),
            Value::Undefined => Value::Undefined,
        })
    }

    fn item(&mut self, inner: &Value, place: &Json) -> Result<Value, Problem> {
        let Value::Json(inner) = inner else { return Ok(Value::Undefined) };
        let found = match place {
            Json::String(name) => {
                self.budget.lookup(name, inner.count())?;
                inner.get(name)
            }
            Json::Number(place) => place.parse().ok().and_then(|place| inner.item(place)),
            other => return Err(format!("cannot take {} of a value", other.kind()).into()),
        };
        Ok(found.map_or(Value::Undefined, |found| Value::Json(found.clone())))
    }

    fn slice(
        &mut self,
        inner: &Expr,
        start: Option<&Expr>,
        stop: Option<&Expr>,
    ) -> Result<Json, Problem> {
        let value = self.json(inner)?;
        let chars: Vec<char>;
        let length = match &value {
            Json::String(text) => {
                self.budget.bytes(4 * text.len())?;
                chars = text.chars().collect();
                chars.len()
            }
            Json::Array(array) => {
                chars = Vec::new();
                array.items().len()
            }
            other => return Err(format!("cannot slice {}", other.kind()).into()),
        };
        let mut end = |expr: Option<&Expr>, default: usize| match expr.map(|e| self.json(e)) {
            None => Ok(default),
            Some(Ok(Json::Number(place))) => {
                let place: i64 = place.parse().map_err(|_| "a slice is between whole numbers")?;
                let length = i64::try_from(length).unwrap_or(i64::MAX);
                let place = if place < 0 { place.saturating_add(length) } else { place };
                Ok(usize::try_from(place.clamp(0, length)).unwrap_or(0))
            }
            Some(Ok(_)) => Err(Problem::from("a slice is between whole numbers")),
            Some(Err(problem)) => Err(problem),
        };
        let start = end(start, 0)?;
        let stop = end(stop, length)?.max(start);
        match &value {
            Json::Array(array) => {
                self.budget.items(stop - start)?;
                Json::array(array.items()[start..stop].to_vec())
            }
            _ => Ok(Json::string(chars[start..stop].iter().collect::<String>())),
        }
    }

    fn filter(
        &mut self,
        filter: Filter,
        inner: &Expr,
        arguments: &[Expr],
    ) -> Result<Value, Problem> {
        let value = self.eval(inner)?;
        if filter == Filter::Default {
            let also_false = match arguments.get(1) {
                Some(expr) => self.condition(expr)?,
                None => false,
            };
            return match value {
                Value::Json(value) if !also_false || is_true(&value) => Ok(Value::Json(value)),
                _ => self.eval(&arguments[0]),
            };
        }
        let Value::Json(value) = value else {
            return Err(format!("{} is not there", name_of(inner)).into());
        };
        let arguments: Result<Vec<_>, _> = arguments.iter().map(|expr| self.json(expr)).collect();
        filters::apply(filter, &value, &arguments?, self.budget)
    }
}

fn place_in_loop(name: &str, place: usize, count: usize) -> Value {
    let number = |n: usize| Json::Number(n.to_string().into());
    Value::Json(match name {
        "index" => number(place + 1),
        "index0" => number(place),
        "revindex" => number(count - place),
        "revindex0" => number(count - place - 1),
        "length" => number(count),
        "first" => Json::Bool(place == 0),
        "last" => Json::Bool(place + 1 == count),
        _ => return Value::Undefined,
    })
}

/// What a template calls a value.
fn name_of(expr: &Expr) -> String {
    match expr {
        Expr::Variable(name) => format!("{name:.64}"),
        Expr::Attribute(inner, name) => format!("{}.{name:.64}", name_of(inner)),
        Expr::Item(inner, _) => format!("{}[…]", name_of(inner)),
        Expr::Filter(_, inner, _) => format!("what a filter makes of {}", name_of(inner)),
        Expr::Constant(_)
        | Expr::Slice(..)
        | Expr::Not(_)
        | Expr::Negative(_)
        | Expr::Binary(..)
        | Expr::If(..)
        | Expr::Test(..)
        | Expr::List(_)
        | Expr::Map(_) => "a value".to_owned(),
    }
}
