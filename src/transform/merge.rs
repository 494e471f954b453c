//! Parameters that are put into a body: those of an EventBridge connection (Amazon EventBridge API
//! Reference, "ConnectionBodyParameter").

use std::borrow::Cow;

use super::TransformError;
use super::json::Json;
use super::output::Output;
use super::template::form_field;

/// What kind of body parameters are put into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyKind {
    /// A JSON object.
    Json,
    /// A form.
    Form,
}

/// Puts parameters, each a name and a JSON value as text, into a body.
///
/// A parameter takes the place of a member of the same name, as values of a connection do (AWS Step
/// Functions Developer Guide, "Call HTTPS APIs in Step Functions workflows"). All else of the body
/// keeps its text. An empty body becomes an object, or a form.
///
/// # Errors
/// Where the body is no object, or a parameter of a form is an array or an object; the error says
/// nothing of the parameters' values, which may be secret.
pub fn merge(
    kind: BodyKind,
    body: &[u8],
    parameters: &[(&str, &[u8])],
) -> Result<Vec<u8>, TransformError> {
    let wrong = |problem: &'static str| TransformError::new("bodyParameters", problem.into());
    let body = std::str::from_utf8(body).map_err(|_| wrong("the body is not UTF-8"))?;
    let mut values = Vec::with_capacity(parameters.len());
    for (name, value) in parameters {
        let named = |problem: &'static str| {
            TransformError::new(format!("bodyParameters.{name:.64}"), problem.into())
        };
        let text = std::str::from_utf8(value).map_err(|_| named("not UTF-8"))?;
        let value = Json::parse(text).map_err(|_| named("not a JSON value"))?;
        values.push((*name, text.trim(), value));
    }
    match kind {
        BodyKind::Json => json(body, &values),
        BodyKind::Form => form(body, &values),
    }
}

type Parameter<'p> = (&'p str, &'p str, Json);

fn json(body: &str, parameters: &[Parameter<'_>]) -> Result<Vec<u8>, TransformError> {
    let body = if body.trim().is_empty() { "{}" } else { body };
    let mut members = members(body)?;
    for (name, text, _) in parameters {
        let place = members.iter().position(|(own, _)| own == name).unwrap_or(members.len());
        members.retain(|(own, _)| own != name);
        members.insert(place, (Cow::Borrowed(name), text));
    }
    let mut output = Output::default();
    let written = (|| {
        output.push("{")?;
        for (n, (name, value)) in members.iter().enumerate() {
            output.push(if n == 0 { "" } else { "," })?;
            output.string(name)?;
            output.push(":")?;
            output.push(value)?;
        }
        output.push("}")
    })();
    written.map_err(|problem| TransformError::new("bodyParameters", problem))?;
    Ok(output.into_text().into_bytes())
}

/// The members of an object, values as they are written.
fn members(body: &str) -> Result<Vec<(Cow<'_, str>, &str)>, TransformError> {
    let problem = "the body is no JSON object, so that no member can be put into it";
    let wrong = |_| TransformError::new("bodyParameters", problem.into());
    serde_json::from_str::<Members<'_>>(body).map(|members| members.0).map_err(wrong)
}

struct Members<'b>(Vec<(Cow<'b, str>, &'b str)>);

impl<'de: 'b, 'b> serde::Deserialize<'de> for Members<'b> {
    fn deserialize<D: serde::Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(name) = map.next_key::<Name<'de>>()? {
                    let value: &serde_json::value::RawValue = map.next_value()?;
                    members.push((name.0, value.get()));
                }
                Ok(Members(members))
            }
        }
        reader.deserialize_map(Visitor)
    }
}

#[derive(serde::Deserialize)]
struct Name<'b>(#[serde(borrow)] Cow<'b, str>);

fn form(body: &str, parameters: &[Parameter<'_>]) -> Result<Vec<u8>, TransformError> {
    let names = |field: &str| {
        let (name, _) = url::form_urlencoded::parse(field.as_bytes()).next()?;
        Some(name.into_owned())
    };
    let mut fields: Vec<(Option<String>, String)> = body
        .split('&')
        .filter(|field| !field.is_empty())
        .map(|field| (names(field), field.to_owned()))
        .collect();
    for (name, _, value) in parameters {
        let written = field(name, value).map_err(|problem| {
            TransformError::new(format!("bodyParameters.{name:.64}"), problem)
        })?;
        let is_same = |own: &Option<String>| own.as_deref() == Some(*name);
        let place = fields.iter().position(|(own, _)| is_same(own)).unwrap_or(fields.len());
        fields.retain(|(own, _)| !is_same(own));
        fields.insert(place, (Some((*name).to_owned()), written));
    }
    let fields: Vec<String> = fields.into_iter().map(|(_, field)| field).collect();
    Ok(fields.join("&").into_bytes())
}

fn field(name: &str, value: &Json) -> Result<String, super::budget::Problem> {
    if matches!(value, Json::Array(_) | Json::Object(_)) {
        return Err("a field of a form is no array and no object".into());
    }
    let mut output = Output::default();
    form_field(name, &mut output)?;
    output.push("=")?;
    match value {
        Json::Null => Ok(()),
        value => form_field(&value.to_text()?, &mut output),
    }?;
    Ok(output.into_text())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(kind: BodyKind, body: &str, parameters: &[(&str, &str)]) -> Result<String, String> {
        let parameters: Vec<_> = parameters.iter().map(|(n, v)| (*n, v.as_bytes())).collect();
        let made = merge(kind, body.as_bytes(), &parameters).map_err(|e| e.to_string())?;
        Ok(String::from_utf8(made).unwrap())
    }

    #[test]
    fn a_parameter_takes_the_place_of_a_member_and_all_else_keeps_its_text() {
        let body =
            r#"{"Job":"Software Engineer","Company":"AnyCompany","BodyParam":"x","n":[ 10.50 ]}"#;
        let expected = r#"{"Job":"Software Engineer","Company":"AnyCompany","BodyParam":"connection_body_param","n":[ 10.50 ],"new":1e400}"#;
        let parameters = [("BodyParam", r#""connection_body_param""#), ("new", "1e400")];
        assert_eq!(merged(BodyKind::Json, body, &parameters).unwrap(), expected);
        assert_eq!(merged(BodyKind::Json, " ", &[("a", "1")]).unwrap(), r#"{"a":1}"#);
        assert_eq!(merged(BodyKind::Json, r#"{"\u0061":1}"#, &[("a", "2")]).unwrap(), r#"{"a":2}"#);
        assert_eq!(merged(BodyKind::Json, r#"{"a":1}"#, &[]).unwrap(), r#"{"a":1}"#);
    }

    #[test]
    fn a_duplicate_cannot_hide_a_parameter() {
        let made = merged(BodyKind::Json, r#"{"a":1,"b":2,"a":3}"#, &[("a", "4")]).unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&made).unwrap()["a"], 4);
        assert_eq!(made.matches("\"a\"").count(), 1, "{made}");
        assert_eq!(merged(BodyKind::Form, "a=1&b=2&%61=3", &[("a", "4")]).unwrap(), "a=4&b=2");
    }

    #[test]
    fn a_form_takes_parameters_as_fields() {
        let made = merged(
            BodyKind::Form,
            "a=x+y&b=1",
            &[("c d", r#""e&f""#), ("b", "true"), ("n", "null")],
        );
        assert_eq!(made.unwrap(), "a=x+y&b=true&c%20d=e%26f&n=");
        assert_eq!(merged(BodyKind::Form, "", &[("a", "10.50")]).unwrap(), "a=10.50");
        assert!(
            merged(BodyKind::Form, "", &[("a", "[1]")])
                .unwrap_err()
                .starts_with("bodyParameters.a: ")
        );
    }

    #[test]
    fn a_body_that_is_no_object_is_refused_without_showing_a_value() {
        for body in ["[1]", "\"text\"", "7", "not json", "{\"a\":1} x"] {
            let problem = merged(BodyKind::Json, body, &[("a", "\"secret\"")]).unwrap_err();
            assert!(problem.starts_with("bodyParameters: ") && !problem.contains("secret"));
        }
        let problem = merged(BodyKind::Json, "{}", &[("a", "secret")]).unwrap_err();
        assert_eq!(problem, "bodyParameters.a: not a JSON value");
    }
}
