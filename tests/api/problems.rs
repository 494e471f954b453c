use bytes::Bytes;
use serde_json::Value;

use crate::server::Server;

#[tokio::test]
async fn a_request_keeps_its_id_and_one_without_gets_one() {
    let server = Server::start().await;
    let given = ("x-request-id", "order-42:a.b_c");
    let reply = server.call_with(given, "GET", "/v1/nowhere", Value::Null).await;
    assert_eq!((reply.problem().as_str(), reply.header("x-request-id")), ("not_found", given.1));
    let long = "x".repeat(129);
    for bad in ["a b", "a\u{e9}", "", long.as_str()] {
        let reply =
            server.call_with(("x-request-id", bad), "GET", "/v1/nowhere", Value::Null).await;
        assert!(reply.header("x-request-id").starts_with("req_"), "{bad:?}: {reply:?}");
    }
    let live = server.send("GET", "/healthz", &[], Bytes::new()).await;
    assert!(live.header("x-request-id").starts_with("req_"));
}

#[tokio::test]
async fn whatever_goes_wrong_is_a_problem_document() {
    let server = Server::start().await;
    for (method, path, status, code) in [
        ("GET", "/v1/nowhere", 404, "not_found"),
        ("GET", "/", 404, "not_found"),
        ("PATCH", "/v1/api-keys", 405, "method_not_allowed"),
        ("GET", "/v1/customers/a%20b/endpoints", 400, "invalid_request"),
        ("GET", "/v1/customers/acme/endpoints?limit=0", 400, "invalid_request"),
        ("GET", "/v1/customers/acme/endpoints?limit=x", 400, "invalid_request"),
        ("GET", "/v1/customers/acme/endpoints?cursor=!", 400, "invalid_request"),
        ("GET", "/v1/customers/acme/endpoints?limt=1", 400, "invalid_request"),
        ("GET", "/v1/dead-letters?reason=nonsense", 400, "invalid_request"),
        ("GET", "/v1/customers/acme/endpoints/none", 404, "not_found"),
    ] {
        let reply = server.call(method, path, Value::Null).await;
        assert_eq!((reply.status, reply.problem().as_str()), (status, code), "{method} {path}");
    }
    let reply = server.call("PATCH", "/v1/api-keys", Value::Null).await;
    assert!(reply.header("allow").contains("POST"), "{reply:?}");
}

#[tokio::test]
async fn nothing_is_kept_by_caches_and_nothing_needs_a_key_but_what_is_of_somebody() {
    let server = Server::start().await;
    for path in sealpost::api::PUBLIC {
        let reply = server.send("GET", path, &[], Bytes::new()).await;
        assert_eq!(reply.status, 200, "{path}");
        assert_eq!(reply.header("cache-control"), "no-store");
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
    }
    let page = server.send("GET", "/docs", &[], Bytes::new()).await;
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    let ready = server.send("GET", "/readyz", &[], Bytes::new()).await.is(200);
    assert_eq!(
        (&ready["stores"], &ready["queue"], &ready["worker"]),
        (&"ok".into(), &"ok".into(), &Value::Null)
    );
    let unknown = server.send("GET", "/v1/nowhere", &[], Bytes::new()).await;
    assert_eq!(unknown.problem(), "unauthenticated", "what is there is told to nobody");
    assert_eq!(unknown.header("www-authenticate"), "Bearer");
}
