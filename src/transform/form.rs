//! `application/x-www-form-urlencoded`, with the four ways of AWS Step Functions to name the items
//! of arrays (AWS Step Functions Developer Guide, "Call HTTPS APIs in Step Functions workflows").

use super::budget::{Budget, Problem};
use super::json::Json;
use super::output::Output;
use super::template::form_field;
use crate::domain::body::Arrays;

/// The content type of forms.
pub const CONTENT_TYPE: &str = "application/x-www-form-urlencoded";

/// Writes an object as a form. Numbers by their text, null as an empty value; an empty array or
/// object has no field.
pub fn write(value: &Json, arrays: Arrays, budget: &mut Budget) -> Result<String, Problem> {
    let Json::Object(object) = value else {
        return Err(format!("a form is made of an object, not of {}", value.kind()).into());
    };
    let mut form = Form { arrays, output: Output::default(), budget };
    for (name, value) in object.members() {
        let mut encoded = Output::default();
        form_field(name, &mut encoded)?;
        form.field(&encoded.into_text(), value)?;
    }
    Ok(form.output.into_text())
}

struct Form<'b> {
    arrays: Arrays,
    output: Output,
    /// Pays for names, which repeat those around them.
    budget: &'b mut Budget,
}

impl Form<'_> {
    /// Writes the fields of a value; the name is encoded.
    fn field(&mut self, name: &str, value: &Json) -> Result<(), Problem> {
        self.budget.bytes(name.len())?;
        match value {
            Json::Object(object) => {
                for (member, value) in object.members() {
                    let mut inner = Output::default();
                    inner.push(name)?;
                    inner.push("%5B")?;
                    form_field(member, &mut inner)?;
                    inner.push("%5D")?;
                    self.field(&inner.into_text(), value)?;
                }
                Ok(())
            }
            Json::Array(array) => self.items(name, array.items()),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {
                self.begin(name)?;
                form_field(&scalar(value)?, &mut self.output)
            }
        }
    }

    fn begin(&mut self, name: &str) -> Result<(), Problem> {
        if !self.output.as_str().is_empty() {
            self.output.push("&")?;
        }
        self.output.push(name)?;
        self.output.push("=")
    }

    fn items(&mut self, name: &str, items: &[Json]) -> Result<(), Problem> {
        match self.arrays {
            Arrays::Indices => (items.iter().enumerate())
                .try_for_each(|(n, item)| self.field(&format!("{name}%5B{n}%5D"), item)),
            Arrays::Repeat => items.iter().try_for_each(|item| self.field(name, item)),
            Arrays::Brackets => {
                let name = format!("{name}%5B%5D");
                items.iter().try_for_each(|item| self.field(&name, item))
            }
            Arrays::Commas if items.is_empty() => Ok(()),
            Arrays::Commas => {
                self.begin(name)?;
                for (n, item) in items.iter().enumerate() {
                    if matches!(item, Json::Array(_) | Json::Object(_)) {
                        let kind = item.kind();
                        return Err(format!("an array with commas holds an {kind}").into());
                    }
                    self.output.push(if n == 0 { "" } else { "," })?;
                    form_field(&scalar(item)?, &mut self.output)?;
                }
                Ok(())
            }
        }
    }
}

fn scalar(value: &Json) -> Result<std::sync::Arc<str>, Problem> {
    if matches!(value, Json::Null) { Ok("".into()) } else { value.to_text() }
}
