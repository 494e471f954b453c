//! The OpenAPI document: made of the handlers' descriptions, the JSON Schema of a job and that of an
//! endpoint.

use serde_json::{Map, Value, json};
use utoipa::openapi::InfoBuilder;

use super::described;
use super::edge::PUBLIC;
use super::problem::Code;
use crate::domain::job;
use crate::domain::reason::Reason;

/// The JSON Schema of an endpoint, which its type's reader follows; a test compares them.
const ENDPOINT: &str = include_str!("endpoint.schema.json");
/// The JSON Schema of a test call.
const TEST_CALL: &str = include_str!("test_call.schema.json");
/// The JSON Schemas of customers.
const CUSTOMER: &str = include_str!("customer.schema.json");
/// The form of customers', endpoints' and secrets' ids.
const NAME: &str = "^[A-Za-z0-9_.:@-]{1,128}$";

/// The form of the ids of customers' own secrets.
const SECRET: &str = "^(?!sealpost:)[A-Za-z0-9_.:@-]{1,128}$";

/// The document, as it is served and kept in `docs/openapi.json`.
///
/// # Panics
/// If what is built in is no JSON, which a test would find.
#[allow(clippy::expect_used, reason = "of what is built in, and every test of the API makes it")]
pub fn document() -> Value {
    let mut document = described().split_for_parts().1;
    let info = InfoBuilder::new().title("sealpost").version(env!("CARGO_PKG_VERSION")).description(
        Some("Delivers webhooks. Every path under /v1 needs a key: `Authorization: Bearer sp_…`."),
    );
    document.info = info.build();
    let mut document = serde_json::to_value(document).expect("a document is JSON");
    for schemas in [ENDPOINT, TEST_CALL, CUSTOMER] {
        let schemas: Map<String, Value> = serde_json::from_str(schemas).expect("they are JSON");
        for (name, schema) in schemas {
            document["components"]["schemas"][name] = schema;
        }
    }
    add_schemas(&mut document);
    add_bodies(&mut document);
    let paths = document["paths"].as_object_mut().map(std::mem::take).unwrap_or_default();
    let paths: Map<String, Value> =
        paths.into_iter().map(|(path, item)| (path.clone(), finished(&path, item))).collect();
    document["paths"] = paths.into();
    document
}

/// The schemas that are not derived from a type of the API.
fn add_schemas(document: &mut Value) {
    let mut job = job::schema();
    if let Some(members) = job.as_object_mut() {
        members.remove("$schema");
        members.remove("title");
    }
    let schemas = &mut document["components"]["schemas"];
    schemas["Job"] = job;
    schemas["Problem"]["properties"]["code"]["enum"] =
        Code::ALL.iter().map(|code| code.code()).collect();
    schemas["NewKey"]["properties"]["scope"]["enum"] = json!(["read_only", "producer", "operator"]);
    for list in ["customers", "endpoints"] {
        schemas["NewKey"]["properties"][list] = json!({"type": ["array", "null"], "minItems": 1,
            "items": {"type": "string", "pattern": NAME}});
    }
    schemas["NewTest"]["properties"]["data"] = json!({"description": "Any JSON"});
    schemas["NewEventType"]["properties"]["example"] = json!({"description": "Any JSON"});
    document["components"]["securitySchemes"]["key"] = json!({"type": "http", "scheme": "bearer",
        "description": "A key of the operator (`sp_…`) or a customer's token (`spt_…`)."});
    document["components"]["responses"]["Problem"] = json!({
        "description": "Why it was not done (RFC 9457)",
        "content": {"application/problem+json":
            {"schema": {"$ref": "#/components/schemas/Problem"}}}});
}

/// Bodies of requests and responses that are described by these schemas.
fn add_bodies(document: &mut Value) {
    let json = |name: &str| json!({"application/json": {"schema": reference(name)}});
    let customers = "/v1/customers/{customerId}";
    let put = [
        (format!("{customers}/endpoints"), "post", "NewEndpoint"),
        (format!("{customers}/endpoints/{{endpointId}}"), "put", "NewEndpoint"),
        ("/v1/jobs".to_owned(), "post", "AnyJob"),
    ];
    for (path, method, schema) in put {
        document["paths"][&path][method]["requestBody"] =
            json!({"required": true, "content": json(schema)});
    }
    // A token of the usual lifetime, and no jobs at all.
    let optional = ["tokens", "endpoints/{endpointId}/test", "endpoints/{endpointId}/verify"];
    let optional = optional.map(|path| format!("{customers}/{path}"));
    for path in optional.into_iter().chain(["/v1/jobs/bulk".to_owned()]) {
        document["paths"][&path]["post"]["requestBody"]["required"] = false.into();
    }
    // A type needs no more than its name.
    document["paths"]["/v1/event-types/{eventType}"]["put"]["requestBody"]["required"] =
        false.into();
    let lines = &mut document["paths"]["/v1/jobs/bulk"]["post"]["requestBody"]["content"];
    lines["text/plain"] = lines["application/x-ndjson"].clone();
    let page = |item: &str| {
        json!({"type": "object", "required": ["data"], "properties": {
            "data": {"type": "array", "items": reference(item)},
            "nextCursor": {"type": "string", "description": "Absent on the last page"}}})
    };
    let lists = [
        (format!("{customers}/endpoints"), "Endpoint"),
        (format!("{customers}/secrets"), "Secret"),
        ("/v1/dead-letters".to_owned(), "DeadLetter"),
        (format!("{customers}/deliveries"), "Delivery"),
        (format!("{customers}/replays"), "Replay"),
        ("/v1/api-keys".to_owned(), "ShownKey"),
        ("/v1/event-types".to_owned(), "EventType"),
        ("/v1/customers".to_owned(), "ListedCustomer"),
    ];
    for (path, item) in lists {
        document["paths"][&path]["get"]["responses"]["200"]["content"] =
            json!({"application/json": {"schema": page(item)}});
    }
    let (endpoint, secret) = (
        format!("{customers}/endpoints/{{endpointId}}"),
        format!("{customers}/secrets/{{secretId}}"),
    );
    let shown = [
        (format!("{customers}/endpoints"), "post", "201", "Endpoint"),
        (endpoint.clone(), "get", "200", "Endpoint"),
        (endpoint.clone(), "put", "200", "Endpoint"),
        (format!("{endpoint}/pause"), "post", "200", "Endpoint"),
        (format!("{endpoint}/enable"), "post", "200", "Endpoint"),
        (format!("{endpoint}/test"), "post", "200", "TestCall"),
        (format!("{endpoint}/test"), "post", "202", "TestCall"),
        ("/v1/event-types/{eventType}".to_owned(), "get", "200", "EventType"),
        ("/v1/event-types/{eventType}".to_owned(), "put", "200", "EventType"),
        (format!("{endpoint}/verify"), "post", "200", "TestCall"),
        (format!("{endpoint}/verify"), "post", "202", "TestCall"),
        (format!("{endpoint}/tests/{{testId}}"), "get", "200", "TestCall"),
        (secret.clone(), "get", "200", "Secret"),
        (secret.clone(), "put", "200", "Secret"),
        (format!("{secret}/rotate"), "post", "200", "Secret"),
        (format!("{secret}/rollback"), "post", "200", "Secret"),
        ("/v1/dead-letters/{deadLetterId}".to_owned(), "get", "200", "DeadLetter"),
    ];
    let replay = format!("{customers}/replays/{{replayId}}");
    let more = [
        (customers.to_owned(), "get", "200", "Customer"),
        (customers.to_owned(), "delete", "200", "Erasure"),
        (customers.to_owned(), "delete", "202", "Erasure"),
        (format!("{customers}/tenant-key"), "get", "200", "TenantKey"),
        (format!("{customers}/tenant-key"), "post", "201", "TenantKey"),
        (format!("{customers}/tenant-key"), "delete", "200", "TenantKey"),
        (format!("{customers}/tenant-key/rotate"), "post", "200", "TenantKey"),
        (format!("{customers}/deliveries/{{deliveryId}}"), "get", "200", "Delivery"),
        (format!("{customers}/replays"), "post", "202", "Replay"),
        (format!("{customers}/replays"), "post", "200", "Plan"),
        (replay.clone(), "get", "200", "Replay"),
        (format!("{replay}/pause"), "post", "200", "Replay"),
        (format!("{replay}/resume"), "post", "200", "Replay"),
        (format!("{replay}/cancel"), "post", "200", "Replay"),
    ];
    for (path, method, status, schema) in shown.into_iter().chain(more) {
        document["paths"][&path][method]["responses"][status]["content"] = json(schema);
    }
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// A path's item with what holds for all: who may call, what may go wrong, the form of ids.
fn finished(path: &str, mut item: Value) -> Value {
    for operation in item.as_object_mut().into_iter().flat_map(Map::values_mut) {
        if !PUBLIC.contains(&path) {
            operation["security"] = json!([{"key": []}]);
            operation["responses"]["default"] = json!({"$ref": "#/components/responses/Problem"});
        }
        let parameters = operation["parameters"].as_array_mut();
        for parameter in parameters.into_iter().flatten() {
            constrain(parameter);
        }
        if operation["parameters"].is_null()
            && let Some(operation) = operation.as_object_mut()
        {
            operation.remove("parameters");
        }
    }
    item
}

fn constrain(parameter: &mut Value) {
    let name = parameter["name"].as_str().unwrap_or_default().to_owned();
    let (schema, description) = match name.as_str() {
        "customerId" => (json!({"type": "string", "pattern": NAME}), "The customer"),
        // In a query it is whatever a job says.
        "eventType" if parameter["in"] == "path" => {
            (json!({"type": "string", "pattern": NAME}), "The event type")
        }
        "endpointId" => (json!({"type": "string", "pattern": NAME}), "The endpoint"),
        "secretId" => (json!({"type": "string", "pattern": SECRET}), "The secret"),
        "reason" => {
            let codes: Vec<&str> = Reason::ALL.iter().map(|reason| reason.code()).collect();
            (json!({"type": "string", "enum": codes}), "The reason's code")
        }
        "If-Match" => (
            json!({"type": "string", "pattern": r#"^("[0-9]+"|\*)$"#}),
            "Only over the version with this `etag`",
        ),
        "Idempotency-Key" => (
            json!({"type": "string", "pattern": "^[!-~]{1,256}$"}),
            "The id of a job that names none",
        ),
        "If-None-Match" => (json!({"const": "*"}), "`*`: only if there is none"),
        _ => return,
    };
    parameter["schema"] = schema;
    if parameter["description"].is_null() {
        parameter["description"] = description.into();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::endpoint::Endpoint;

    /// The names that a reader says it expects where it meets one that it does not know.
    fn expected(extra: &str) -> BTreeSet<String> {
        let json =
            format!(r#"{{"customerId":"c","endpointId":"e","url":"https://a.example/",{extra}}}"#);
        let problem = Endpoint::from_json(&json).unwrap_err().problem;
        let (_, names) = problem.split_once("expected ").unwrap_or_else(|| panic!("{problem}"));
        names.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    fn properties(schema: &Value) -> BTreeSet<String> {
        schema["properties"].as_object().unwrap().keys().cloned().collect()
    }

    #[test]
    fn the_schema_of_an_endpoint_has_the_fields_that_its_reader_knows() {
        let document = document();
        let schemas = &document["components"]["schemas"];
        let mut fields = properties(&schemas["NewEndpoint"]);
        for read_only in ["version", "updatedAt", "health", "authorization", "warnings"] {
            assert!(fields.remove(read_only), "{read_only}");
        }
        assert_eq!(fields, expected(r#""x":1"#));
        for (field, schema) in [
            ("retry", "Retry"),
            ("limits", "Limits"),
            ("tls", "Tls"),
            ("verification", "Verification"),
            ("body", "BodySettings"),
            ("eventbridge", "RuleTarget"),
        ] {
            let known = expected(&format!(r#""{field}":{{"x":1}}"#));
            assert_eq!(properties(&schemas[schema]), known, "{field}");
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        let text = document.to_string();
        for part in text.split(r##""$ref":"#/"##).skip(1) {
            let pointer = format!("/{}", part.split('"').next().unwrap());
            assert!(document.pointer(&pointer).is_some(), "{pointer}");
        }
        assert!(text.matches("$ref").count() > 20);
    }
}
