use std::path::Path;

use bytes::Bytes;
use sealpost::api::openapi;
use sealpost::api::problem::Code;
use serde_json::Value;

use crate::server::Server;

fn file(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

#[test]
fn the_document_in_the_tree_is_what_the_code_makes() {
    let kept: Value = serde_json::from_str(&file("docs/openapi.json")).unwrap();
    let made = openapi::document();
    assert!(kept == made, "run: sealpost schema --openapi > docs/openapi.json");
}

#[tokio::test]
async fn the_document_is_served_and_names_every_route_that_the_router_has() {
    let server = Server::start().await;
    let served = server.send("GET", "/openapi.json", &[], Bytes::new()).await.is(200);
    assert_eq!(served, openapi::document());
    assert!(served["openapi"].as_str().unwrap().starts_with("3.1"));
    for (path, item) in served["paths"].as_object().unwrap() {
        let path = path.replace(['{', '}'], "");
        // The one method that no path has tells those that it has.
        let reply = server.call("TRACE", &path, Value::Null).await;
        let mut allowed: Vec<String> =
            reply.header("allow").split(',').map(|m| m.trim().to_lowercase()).collect();
        allowed.retain(|method| method != "head");
        allowed.sort();
        let described: Vec<String> = item.as_object().unwrap().keys().cloned().collect();
        assert_eq!(allowed, described, "{path}: {reply:?}");
    }
}

#[test]
fn the_description_lists_every_code() {
    let described = file("docs/API.md");
    for code in Code::ALL {
        let row = format!("| {} | `{}` | {} |", code.status().as_u16(), code.code(), code.title());
        assert!(described.contains(&row), "docs/API.md lacks: {row}");
    }
}
