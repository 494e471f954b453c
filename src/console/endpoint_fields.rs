//! Between an endpoint as the API takes it and the fields of its form. What has no field of its own stays
//! as JSON in the field `more`, so that nothing of an endpoint is lost by editing it.

use serde_json::{Map, Value, json};

use super::form::Fields;
use crate::domain::field::FieldError;

/// The usual name of an endpoint's secret.
pub const USUAL_SECRET: &str = "signing";
/// The choice of those who write their auth steps as JSON.
pub const AS_JSON: &str = "json";

/// A way to authenticate with one secret and at most one setting: its scheme, what people call it, and
/// the setting that it has besides.
pub struct Simple {
    /// The scheme.
    pub scheme: &'static str,
    /// What people call it.
    pub label: &'static str,
    /// The setting, if it has one.
    setting: Option<&'static str>,
}

/// The ways that have fields of their own; all others are written as JSON.
pub const SIMPLE: [Simple; 4] = [
    Simple { scheme: "standard_webhooks", label: "Signature (Standard Webhooks)", setting: None },
    Simple { scheme: "bearer", label: "Bearer token", setting: None },
    Simple { scheme: "api_key", label: "Key in a header", setting: Some("name") },
    Simple { scheme: "basic", label: "User name and password", setting: Some("username") },
];

/// The name of the field for that setting.
const SETTING: &str = "authSetting";
/// Members with a line of their own, by their paths.
const LINES: [&str; 6] =
    ["url", "method", "timeout", "retry.preset", "limits.rate", "limits.concurrency"];

/// An endpoint as the form describes it.
///
/// # Errors
/// If one of the fields with JSON has none.
pub fn to_json(fields: &Fields) -> Result<Map<String, Value>, FieldError> {
    let mut endpoint = object(fields.get("more"), "more")?;
    if !fields.get("endpointId").is_empty() {
        endpoint.insert("endpointId".to_owned(), json!(fields.get("endpointId")));
    }
    for path in LINES {
        let text = fields.get(path);
        if text.is_empty() {
            continue;
        }
        let value = match (path, text.parse::<u64>()) {
            ("limits.concurrency", Ok(number)) => json!(number),
            (_, _) => json!(text),
        };
        put(&mut endpoint, path, value);
    }
    let types: Vec<&str> = fields
        .get("eventTypes")
        .split([',', '\n'])
        .map(str::trim)
        .filter(|t| !t.is_empty())
        .collect();
    if !types.is_empty() {
        endpoint.insert("eventTypes".to_owned(), json!(types));
    }
    if let Some(steps) = auth(fields)? {
        endpoint.insert("auth".to_owned(), steps);
    }
    Ok(endpoint)
}

/// The fields that describe an endpoint.
pub fn of_json(mut endpoint: Map<String, Value>) -> Fields {
    let mut fields = Fields::default();
    endpoint.remove("customerId");
    if let Some(Value::String(id)) = endpoint.remove("endpointId") {
        fields.set("endpointId", id);
    }
    for path in LINES {
        match take(&mut endpoint, path) {
            Some(Value::String(text)) => fields.set(path, text),
            Some(Value::Number(number)) => fields.set(path, number.to_string()),
            // A rate may be an object: it stays where it was.
            Some(other) => put(&mut endpoint, path, other),
            None => {}
        }
    }
    if let Some(types) = endpoint.remove("eventTypes") {
        let types = types.as_array().map(Vec::as_slice).unwrap_or_default();
        let types: Vec<&str> = types.iter().filter_map(Value::as_str).collect();
        fields.set("eventTypes", types.join(", "));
    }
    if let Some(steps) = endpoint.remove("auth") {
        fields_of_auth(&steps, &mut fields);
    }
    if !endpoint.is_empty() {
        fields.set("more", serde_json::to_string_pretty(&endpoint).unwrap_or_default());
    }
    fields
}

fn object(text: &str, path: &str) -> Result<Map<String, Value>, FieldError> {
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_str(text)
        .map_err(|e| FieldError::new(path, format!("expected a JSON object: {e}")))
}

/// The auth steps that the form describes; `None` for none.
fn auth(fields: &Fields) -> Result<Option<Value>, FieldError> {
    let chosen = fields.get("auth");
    if chosen == AS_JSON {
        let steps: Vec<Value> = serde_json::from_str(fields.get("steps"))
            .map_err(|e| FieldError::new("steps", format!("expected a list of auth steps: {e}")))?;
        return Ok(Some(Value::Array(steps)));
    }
    let Some(simple) = SIMPLE.iter().find(|simple| simple.scheme == chosen) else {
        return Ok(None);
    };
    let mut step = json!({"scheme": simple.scheme, "secret": secret_id(fields)});
    if let Some(setting) = simple.setting {
        step[setting] = json!(fields.get(SETTING));
    }
    if simple.scheme == "api_key" {
        step["in"] = json!("header");
    }
    Ok(Some(json!([step])))
}

/// The name of the secret that a simple way uses.
pub fn secret_id(fields: &Fields) -> &str {
    let id = fields.get("secretId");
    if id.is_empty() { USUAL_SECRET } else { id }
}

fn fields_of_auth(steps: &Value, fields: &mut Fields) {
    if let Some((scheme, secret, setting)) = simple_step(steps) {
        fields.set("auth", scheme);
        fields.set("secretId", secret);
        fields.set(SETTING, setting.unwrap_or_default());
        return;
    }
    fields.set("auth", AS_JSON);
    fields.set("steps", serde_json::to_string_pretty(steps).unwrap_or_default());
}

/// The scheme, the secret and the setting of the only step, if it is one of the simple ones.
fn simple_step(steps: &Value) -> Option<(&str, &str, Option<&str>)> {
    let [step] = steps.as_array()?.as_slice() else { return None };
    let simple = SIMPLE.iter().find(|simple| step["scheme"] == simple.scheme)?;
    let secret = step["secret"].as_str()?;
    let setting = simple.setting.map(|setting| step[setting].as_str());
    let is_key = simple.scheme == "api_key";
    let members = 2 + usize::from(setting.is_some()) + usize::from(is_key);
    let fits = step.as_object()?.len() == members && (!is_key || step["in"] == "header");
    match (fits, setting) {
        (true, None) => Some((simple.scheme, secret, None)),
        (true, Some(Some(setting))) => Some((simple.scheme, secret, Some(setting))),
        (true, Some(None)) | (false, _) => None,
    }
}

/// Puts a member, or one of a member.
fn put(object: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            object.insert(path.to_owned(), value);
        }
        Some((outer, inner)) => {
            let outer = object.entry(outer).or_insert_with(|| json!({}));
            if let Some(outer) = outer.as_object_mut() {
                outer.insert(inner.to_owned(), value);
            }
        }
    }
}

/// Takes such a member out; what is empty then goes, too.
fn take(object: &mut Map<String, Value>, path: &str) -> Option<Value> {
    let Some((outer, inner)) = path.split_once('.') else { return object.remove(path) };
    let members = object.get_mut(outer)?.as_object_mut()?;
    let value = members.remove(inner);
    if members.is_empty() {
        object.remove(outer);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(endpoint: &Value) -> Value {
        let fields = of_json(endpoint.as_object().unwrap().clone());
        Value::Object(to_json(&fields).unwrap())
    }

    #[test]
    fn nothing_of_an_endpoint_is_lost_by_editing_it() {
        for endpoint in [
            json!({"endpointId": "a", "url": "https://a.example/", "method": "PUT"}),
            json!({"endpointId": "a", "url": "https://a.example/", "enabled": false,
                   "eventTypes": ["order.*", "paid"], "timeout": "5s",
                   "headers": {"x-a": "1", "x-b": {"secret": "k"}},
                   "retry": {"preset": "svix", "maxAttempts": 3},
                   "limits": {"rate": "100/s", "concurrency": 7, "adaptive": false}}),
            json!({"url": "https://a.example/", "limits": {"rate": {"count": 1, "per": "1s"}}}),
            json!({"url": "https://a.example/", "auth": [{"scheme": "bearer", "secret": "t"}]}),
            json!({"url": "https://a.example/", "auth": [
                {"scheme": "basic", "secret": "t", "username": "u"}]}),
            json!({"url": "https://a.example/", "auth": [
                {"scheme": "api_key", "in": "header", "name": "x-key", "secret": "k"}]}),
            json!({"url": "https://a.example/", "auth": [
                {"scheme": "api_key", "in": "query", "name": "key", "secret": "k"}]}),
            json!({"url": "https://a.example/", "auth": [
                {"scheme": "bearer", "secret": "t"}, {"scheme": "hmac", "secret": "h"}]}),
        ] {
            assert_eq!(there_and_back(&endpoint), endpoint);
        }
    }

    #[test]
    fn the_simple_ways_have_fields_and_others_stay_json() {
        let fields = |auth: Value| of_json(json!({ "auth": auth }).as_object().unwrap().clone());
        let bearer = fields(json!([{"scheme": "bearer", "secret": "t"}]));
        assert_eq!((bearer.get("auth"), bearer.get("secretId")), ("bearer", "t"));
        for other in [
            json!([{"scheme": "standard_webhooks", "ed25519_secret": "t"}]),
            json!([{"scheme": "api_key", "in": "header", "name": "x", "secret": "k", "prefix": "T "}]),
            json!([]),
        ] {
            assert_eq!(fields(other).get("auth"), AS_JSON);
        }
    }

    #[test]
    fn what_is_no_json_is_told_at_its_field() {
        let mut fields = Fields::default();
        fields.set("more", "[1]");
        assert_eq!(to_json(&fields).unwrap_err().path, "more");
        fields.set("more", "{}");
        fields.set("auth", AS_JSON);
        assert_eq!(to_json(&fields).unwrap_err().path, "steps");
    }
}
