//! The OpenAPI document as it is, and as a page for people that loads nothing from elsewhere.

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde_json::{Map, Value};

use super::Shared;

/// Nothing but this server's own style sheet.
const POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";
const STYLE: &str = include_str!("reference.css");

/// This document
#[utoipa::path(get, path = "/openapi.json", tag = "service", operation_id = "openapi",
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json")))]
pub async fn document(State(api): State<Shared>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], api.document.clone())
}

/// This document as a page
#[utoipa::path(get, path = "/docs", tag = "service", operation_id = "docs",
    responses((status = 200, description = "HTML", content_type = "text/html")))]
pub async fn docs(State(api): State<Shared>) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    (headers, api.reference.clone())
}

/// The page's style sheet
#[utoipa::path(get, path = "/docs/style.css", tag = "service", operation_id = "docsStyle",
    responses((status = 200, description = "CSS", content_type = "text/css")))]
pub async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE)
}

/// The page of a document.
pub fn page(document: &Value) -> String {
    let mut html = String::from(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>sealpost HTTP API</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <link rel=\"stylesheet\" href=\"/docs/style.css\"><body><nav aria-label=\"Contents\"><ul>",
    );
    let operations = operations(document);
    for (id, path, method, _) in &operations {
        html +=
            &format!("<li><a href=\"#{id}\"><b>{}</b> {}</a>", method.to_uppercase(), escape(path));
    }
    html += "<li><a href=\"#schemas\">Schemas</a></ul></nav><main><h1>sealpost HTTP API</h1><p>";
    html += &escape(text(&document["info"]["description"]));
    html += " Errors are problem documents (RFC 9457). \
             <a href=\"/openapi.json\">The same as OpenAPI</a>.</p>";
    for (id, path, method, operation) in &operations {
        html += &section(id, path, method, operation);
    }
    html += "<h2 id=\"schemas\">Schemas</h2>";
    for (name, schema) in members(&document["components"]["schemas"]) {
        html += &format!(
            "<section id=\"schema-{0}\"><h3>{0}</h3>{1}</section>",
            escape(name),
            json(schema)
        );
    }
    html + "</main></body></html>"
}

type Operation<'a> = (String, &'a str, &'a str, &'a Value);

fn operations(document: &Value) -> Vec<Operation<'_>> {
    let mut found = Vec::new();
    for (path, item) in members(&document["paths"]) {
        for (method, operation) in members(item) {
            let id = operation["operationId"].as_str().unwrap_or(path);
            found.push((escape(id), path, method, operation));
        }
    }
    found
}

fn section(id: &str, path: &str, method: &str, operation: &Value) -> String {
    let mut html = format!(
        "<section id=\"{id}\"><h2><code>{} {}</code></h2><p><strong>{}</strong>",
        method.to_uppercase(),
        escape(path),
        escape(text(&operation["summary"]))
    );
    html += &format!(" {}</p>", escape(text(&operation["description"])));
    let parameters = operation["parameters"].as_array();
    if let Some(parameters) = parameters.filter(|parameters| !parameters.is_empty()) {
        html += "<table><caption>Parameters</caption><tr><th>Name<th>In<th>Meaning";
        for parameter in parameters {
            let (name, place) = (text(&parameter["name"]), text(&parameter["in"]));
            let meaning = escape(text(&parameter["description"]));
            html +=
                &format!("<tr><td><code>{}</code><td>{}<td>{meaning}", escape(name), escape(place));
        }
        html += "</table>";
    }
    for (kind, content) in members(&operation["requestBody"]["content"]) {
        html += &format!("<p>Body: {} {}</p>", escape(kind), linked(&content["schema"]));
    }
    html += "<table><caption>Responses</caption><tr><th>Status<th>Meaning<th>Body";
    for (status, response) in members(&operation["responses"]) {
        let meaning = match response["$ref"].as_str() {
            Some(_) => "A problem document".to_owned(),
            None => escape(text(&response["description"])),
        };
        let bodies: Vec<String> =
            members(&response["content"]).map(|(_, content)| linked(&content["schema"])).collect();
        html += &format!("<tr><td>{}<td>{meaning}<td>{}", escape(status), bodies.join(" "));
    }
    html + "</table></section>"
}

/// A link to a schema that is named, or the schema itself.
fn linked(schema: &Value) -> String {
    match schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
        Some(name) => format!("<a href=\"#schema-{0}\">{0}</a>", escape(name)),
        None if schema.is_null() => String::new(),
        None => json(schema),
    }
}

fn json(value: &Value) -> String {
    format!("<pre>{}</pre>", escape(&serde_json::to_string_pretty(value).unwrap_or_default()))
}

fn members(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter).map(|(name, value)| (name.as_str(), value))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::openapi;

    #[test]
    fn the_page_names_every_operation_and_loads_nothing_from_elsewhere() {
        let document = openapi::document();
        let page = page(&document);
        for (_, path, _, operation) in operations(&document) {
            assert!(page.contains(&escape(path)), "{path}");
            assert!(page.contains(&escape(text(&operation["summary"]))), "{path}");
        }
        for loads in ["src=", "<script", "@import", "href=\"http", "url("] {
            assert!(!page.contains(loads) && !STYLE.contains(loads), "{loads}");
        }
    }
}
