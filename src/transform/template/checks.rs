//! Tests of values: `a is defined`.

use super::{Budget, Json, Problem, Value, operators};
use crate::transform::{compare, number};

macro_rules! tests {
    ($($variant:ident = $($name:literal)|+, $argument:literal;)*) => {
        /// A test of a value.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Test { $($variant,)* }

        impl Test {
            /// The test of that name.
            pub fn find(name: &str) -> Option<Self> {
                match name { $($($name)|+ => Some(Self::$variant),)* _ => None }
            }

            /// Whether something stands after its name.
            pub fn takes_argument(self) -> bool {
                match self { $(Self::$variant => $argument,)* }
            }
        }
    };
}

tests! {
    Defined = "defined", false;
    Undefined = "undefined", false;
    None = "none", false;
    Boolean = "boolean", false;
    Number = "number", false;
    Integer = "integer", false;
    String = "string", false;
    Sequence = "sequence", false;
    Mapping = "mapping", false;
    Odd = "odd", false;
    Even = "even", false;
    EqualTo = "eq" | "equalto", true;
    In = "in", true;
    StartingWith = "startingwith", true;
    EndingWith = "endingwith", true;
}

/// Whether a value passes a test.
pub fn passes(
    test: Test,
    value: &Value,
    argument: Option<&Json>,
    budget: &mut Budget,
) -> Result<bool, Problem> {
    let value = match (test, value) {
        (Test::Defined, value) => return Ok(!matches!(value, Value::Undefined)),
        (Test::Undefined, value) => return Ok(matches!(value, Value::Undefined)),
        (_, Value::Json(value)) => value,
        (_, Value::Undefined | Value::Loop(..)) => return Ok(false),
    };
    let argument = argument.unwrap_or(&Json::Null);
    budget.look(argument.as_str().unwrap_or_default())?;
    let remainder = || match value {
        Json::Number(text) => number::integer(text).map(|n| n.rem_euclid(2)),
        _ => None,
    };
    let texts = || value.as_str().zip(argument.as_str());
    Ok(match test {
        Test::Defined | Test::Undefined => false,
        Test::None => matches!(value, Json::Null),
        Test::Boolean => matches!(value, Json::Bool(_)),
        Test::Number => matches!(value, Json::Number(_)),
        Test::Integer => matches!(value, Json::Number(text) if number::integer(text).is_some()),
        Test::String => matches!(value, Json::String(_)),
        Test::Sequence => matches!(value, Json::Array(_)),
        Test::Mapping => matches!(value, Json::Object(_)),
        Test::Odd => remainder() == Some(1),
        Test::Even => remainder() == Some(0),
        Test::EqualTo => compare::equal(value, argument, budget)?,
        Test::In => operators::contains(argument, value, budget)?,
        Test::StartingWith => texts().is_some_and(|(text, part)| text.starts_with(part)),
        Test::EndingWith => texts().is_some_and(|(text, part)| text.ends_with(part)),
    })
}
