//! The paths of Amazon EventBridge: `$.detail.items[0].id` (Amazon EventBridge User Guide, "Amazon
//! EventBridge input transformation": dot notation, dashes, underscores, letters and digits, forward
//! slashes, indices and wildcards). Beside them, `['any name']` takes names that hold anything else.

use super::TransformError;
use super::budget::{Budget, Problem};
use super::json::Json;

/// Longest path, in characters (Amazon EventBridge API Reference, "InputTransformer").
const MAX_LENGTH: usize = 256;

/// A compiled path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPath {
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Member(String),
    Item(usize),
    /// Every item, or every member's value.
    Each,
}

const EXPECTED: &str = "expected a path such as $.detail.items[0].id";

impl JsonPath {
    /// Compiles a path.
    ///
    /// # Errors
    /// With what is wrong with it; the path of the error is empty.
    pub fn compile(text: &str) -> Result<Self, TransformError> {
        Self::read(text).map_err(|problem| TransformError::new("", problem))
    }

    /// What stands at the path: with wildcards, the list of all that match; `None` where nothing is.
    ///
    /// # Errors
    /// Where finding it takes too long.
    pub fn select(&self, data: &Json) -> Result<Option<Json>, TransformError> {
        self.find(data, &mut Budget::default()).map_err(|problem| TransformError::new("", problem))
    }

    /// What stands at the path as text: the content of a string, the JSON of anything else.
    ///
    /// # Errors
    /// Where finding it takes too long, or it is too large.
    pub fn text(&self, data: &Json) -> Result<Option<String>, TransformError> {
        let text = self.select(data)?.map(|value| value.to_text()).transpose();
        let text = text.map_err(|problem| TransformError::new("", problem))?;
        Ok(text.map(|text| text.to_string()))
    }

    pub(super) fn read(text: &str) -> Result<Self, Problem> {
        if text.chars().count() > MAX_LENGTH {
            return Err(format!("longer than {MAX_LENGTH} characters").into());
        }
        let mut rest = text.strip_prefix('$').ok_or(EXPECTED)?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, after) = match rest.strip_prefix('.') {
                Some(named) => dotted(named)?,
                None => bracketed(rest.strip_prefix('[').ok_or(EXPECTED)?)?,
            };
            steps.push(step);
            rest = after;
        }
        Ok(Self { steps })
    }

    pub(super) fn find(&self, data: &Json, budget: &mut Budget) -> Result<Option<Json>, Problem> {
        let mut found = vec![data];
        let mut many = false;
        for step in &self.steps {
            let mut next = Vec::new();
            for value in found {
                budget.steps(1)?;
                match step {
                    Step::Member(name) => {
                        budget.lookup(name, value.count())?;
                        next.extend(value.get(name));
                    }
                    Step::Item(place) => {
                        next.extend(i64::try_from(*place).ok().and_then(|place| value.item(place)));
                    }
                    Step::Each => {
                        budget.steps(value.count())?;
                        match value {
                            Json::Array(array) => next.extend(array.items()),
                            Json::Object(object) => {
                                next.extend(object.members().iter().map(|(_, value)| value));
                            }
                            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
                        }
                    }
                }
            }
            many |= *step == Step::Each;
            found = next;
        }
        if many && !found.is_empty() {
            budget.items(found.len())?;
            return Json::array(found.into_iter().cloned().collect()).map(Some);
        }
        Ok(found.first().map(|value| (*value).clone()))
    }
}

fn dotted(rest: &str) -> Result<(Step, &str), Problem> {
    if let Some(after) = rest.strip_prefix('*') {
        return Ok((Step::Each, after));
    }
    let is_part = |c: char| c.is_alphanumeric() || "_-/".contains(c);
    let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
    if length == 0 {
        return Err(EXPECTED.into());
    }
    Ok((Step::Member(rest[..length].to_owned()), &rest[length..]))
}

fn bracketed(rest: &str) -> Result<(Step, &str), Problem> {
    if let Some(quote) = rest.chars().next().filter(|c| matches!(c, '\'' | '"')) {
        let (name, after) = rest[1..].split_once(quote).ok_or(EXPECTED)?;
        let after = after.strip_prefix(']').ok_or(EXPECTED)?;
        return Ok((Step::Member(name.to_owned()), after));
    }
    let (inside, after) = rest.split_once(']').ok_or(EXPECTED)?;
    if inside == "*" {
        return Ok((Step::Each, after));
    }
    if inside.is_empty() || !inside.bytes().all(|b| b.is_ascii_digit()) {
        return Err(EXPECTED.into());
    }
    Ok((Step::Item(inside.parse().map_err(|_| EXPECTED)?), after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_takes_what_stands_there_with_its_numbers_as_written() {
        let data =
            r#"{"detail":{"a-b/c_1":[{"n":10.50},{"n":1e400}],"x y":1},"n":null,"s":"a\"b"}"#;
        let data = Json::parse(data).unwrap();
        for (path, expected) in [
            ("$.detail.a-b/c_1[0].n", Some("10.50")),
            ("$.detail.a-b/c_1[*].n", Some("[10.50,1e400]")),
            ("$.detail.a-b/c_1.*.n", Some("[10.50,1e400]")),
            ("$.detail['x y']", Some("1")),
            ("$.n", Some("null")),
            ("$.n.m", None),
            ("$.detail.a-b/c_1[2]", None),
            ("$.detail.x[*]", None),
        ] {
            let found = JsonPath::compile(path).unwrap().select(&data).unwrap();
            let found = found.map(|value| value.to_json().unwrap());
            assert_eq!(found.as_deref(), expected, "{path}");
        }
        let text = |path| JsonPath::compile(path).unwrap().text(&data).unwrap();
        assert_eq!(text("$.detail.a-b/c_1[0].n").as_deref(), Some("10.50"));
        assert_eq!(text("$.s").as_deref(), Some("a\"b"));
        assert_eq!(text("$.t"), None);
    }

    #[test]
    fn what_eventbridge_does_not_know_is_refused() {
        let long = format!("$.{}", "a".repeat(255));
        for path in [
            "",
            "detail",
            "$detail",
            "$.",
            "$..a",
            "$.a[",
            "$.a[-1]",
            "$.a[+1]",
            "$.a[1:2]",
            "$.a[?(@.b)]",
            "$.a b",
            "$['a'",
            "$.a.",
            &long,
        ] {
            assert!(JsonPath::compile(path).is_err(), "{path}");
        }
    }
}
