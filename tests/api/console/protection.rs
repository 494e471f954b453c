use serde_json::Value;

use super::browser::{Browser, post};
use super::routes;
use crate::dead_letters::give_up;
use crate::server::{Reply, Server};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors ";

fn is_protected(reply: &Reply, framers: &str) {
    assert_eq!(reply.header("content-security-policy"), format!("{POLICY}{framers}"), "{reply:?}");
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
    assert_eq!(reply.header("referrer-policy"), "same-origin");
    assert_eq!(reply.header("cache-control"), "no-store");
    let deny = if framers == "'none'" { "DENY" } else { "" };
    assert_eq!(reply.header("x-frame-options"), deny, "{reply:?}");
}

#[tokio::test]
async fn every_page_says_exactly_what_it_may_load_and_who_may_frame_it() {
    let app = "https://app.example:443";
    for embed in [false, true] {
        let server = Server::start_with(|config| {
            if embed {
                config.console.embed_origins = [app.parse().unwrap()].into();
            }
        })
        .await;
        give_up(&server, "orders", "acme", "orders").await;
        let operator = Browser::operator(&server, &server.operator).await;
        let customer = Browser::customer(&server, &server.token("acme").await).await;
        let framers = if embed { app } else { "'none'" };
        let reads = |routes: Vec<routes::Route>| routes.into_iter().filter(|r| r.method == "GET");
        for route in reads(routes::of_operator()) {
            is_protected(&operator.get(&route.path).await, "'none'");
        }
        for route in reads(routes::of_customer()) {
            is_protected(&customer.get(&route.path).await, framers);
        }
        // What is no page, and what is asked for without a session, are no exceptions.
        let none = |path: &'static str| server.send("GET", path, &[], "".into());
        for path in ["/console", "/console/login", "/console/nowhere", "/console/login/x"] {
            is_protected(&none(path).await, "'none'");
        }
        for path in ["/customer", "/customer/enter", "/customer/nowhere"] {
            is_protected(&none(path).await, framers);
        }
        let missing = operator.get("/console/customers/acme/nowhere").await;
        assert_eq!(missing.status, 404);
        is_protected(&missing, "'none'");
    }
}

#[tokio::test]
async fn pages_load_nothing_from_elsewhere_and_have_no_script_or_style_of_their_own() {
    let server = Server::start().await;
    give_up(&server, "orders", "acme", "orders").await;
    let operator = Browser::operator(&server, &server.operator).await;
    for route in routes::of_operator().into_iter().filter(|route| route.method == "GET") {
        let page = operator.get(&route.path).await.text;
        for part in page.split("<script").skip(1) {
            assert!(part.starts_with(" src=\"/console/assets/"), "{}: {part}", route.path);
        }
        let page = page.to_lowercase();
        for bad in
            ["<style", " style=", " onclick=", " onload=", "javascript:", "src=\"http", "//cdn"]
        {
            assert!(!page.contains(bad), "{} has {bad}", route.path);
        }
    }
    for (path, kind) in [
        ("/console/assets/console.css", "text/css; charset=utf-8"),
        ("/console/assets/console.js", "text/javascript; charset=utf-8"),
        ("/console/assets/icon.svg", "image/svg+xml"),
    ] {
        let asset = server.send("GET", path, &[], "".into()).await;
        assert_eq!((asset.status, asset.header("content-type")), (200, kind));
        assert_eq!(asset.header("x-content-type-options"), "nosniff");
        for bad in ["@import", "url(", "http://www", "eval(", "innerHTML"] {
            assert!(!asset.text.contains(bad) || bad == "http://www", "{path} has {bad}");
        }
    }
}

/// What a form would change, to see that it did not.
async fn state(server: &Server) -> String {
    let keys = server.call("GET", "/v1/api-keys", Value::Null).await.text;
    let endpoints = server.call("GET", "/v1/customers/acme/endpoints", Value::Null).await.text;
    let secrets = server.call("GET", "/v1/customers/acme/secrets", Value::Null).await.text;
    let replays = server.call("GET", "/v1/customers/acme/replays", Value::Null).await.text;
    let letters = server.call("GET", "/v1/dead-letters", Value::Null).await.text;
    let depth = server.app.queue.depth().await.unwrap();
    format!("{keys}{endpoints}{secrets}{replays}{letters}{depth:?}")
}

#[tokio::test]
async fn no_form_is_taken_that_was_not_sent_from_a_page_of_the_session() {
    let server = Server::start().await;
    give_up(&server, "orders", "acme", "orders").await;
    let operator = Browser::operator(&server, &server.operator).await;
    let another = Browser::operator(&server, &server.operator).await;
    let customer = Browser::customer(&server, &server.token("acme").await).await;
    let before = state(&server).await;
    let realms = [(&operator, routes::of_operator()), (&customer, routes::of_customer())];
    for (browser, routes) in realms {
        for route in routes.iter().filter(|route| route.method == "POST") {
            for csrf in [None, Some(""), Some("0"), Some(another.csrf.as_str())] {
                let fields: Vec<_> = csrf.map(|csrf| ("csrf", csrf)).into_iter().collect();
                let reply = browser.post_as_it_is(&route.path, &fields).await;
                assert_eq!(reply.status, 403, "{route:?} with {csrf:?}: {reply:?}");
            }
            // With the token, but sent from another site's page.
            for header in [
                ("origin", "https://evil.example"),
                ("origin", "null"),
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-site", "same-site"),
            ] {
                let headers = [("cookie", browser.cookie.as_str()), header];
                let fields = [("csrf", browser.csrf.as_str())];
                let reply = post(&server, &route.path, &headers, &fields).await;
                assert_eq!(reply.status, 403, "{route:?} with {header:?}: {reply:?}");
            }
        }
    }
    assert_eq!(state(&server).await, before);
    assert_eq!(operator.get("/console/customers").await.status, 200, "nobody was signed out");
}

#[tokio::test]
async fn nobody_is_signed_in_from_another_site_but_where_the_page_may_be_framed() {
    let server = Server::start_with(|config| {
        config.console.embed_origins = ["https://app.example".parse().unwrap()].into();
    })
    .await;
    let token = server.token("acme").await;
    let enter = async |path: &str, name: &str, text: &str, origin: &str| {
        post(&server, path, &[("origin", origin)], &[(name, text)]).await.status
    };
    assert_eq!(enter("/customer/session", "token", &token, "https://app.example").await, 303);
    assert_eq!(enter("/customer/session", "token", &token, "https://evil.example").await, 403);
    let key = server.operator.as_str();
    assert_eq!(enter("/console/login", "key", key, "https://app.example").await, 403);
    assert_eq!(enter("/console/login", "key", key, "https://evil.example").await, 403);
    assert_eq!(enter("/console/login", "key", key, &server.origin).await, 303);
}
