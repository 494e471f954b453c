use std::time::Duration;

use sealpost::config::Config;
use sealpost::domain::access::Scope;
use serde_json::{Value, json};

use super::browser::{Browser, post};
use super::routes;
use crate::server::Server;

#[tokio::test]
async fn without_a_session_there_is_nothing_but_the_entrance() {
    let server = Server::start().await;
    let (key, text) = server.full_key(Scope::Operator, &[], &[]).await;
    let token = server.token("acme").await;
    let operator = Browser::operator(&server, &text).await;
    let customer = Browser::customer(&server, &token).await;
    let of = |browser: &Browser<'_>| browser.cookie.split_once('=').unwrap().1.to_owned();
    let revoked = Browser::operator(&server, &text).await;
    revoked.post("/console/logout", &[]).await;
    let wrong = [
        ("none", String::new()),
        ("a word", "nonsense".to_owned()),
        ("a key", text.clone()),
        ("a token", token.clone()),
        ("a hash", key.hash.clone()),
        ("one that was ended", of(&revoked)),
        ("another secret", format!("{}{}", &of(&operator)[..25], "A".repeat(43))),
    ];
    let realms = [
        (routes::of_operator(), "sealpost-console", "/console/login", of(&customer)),
        (routes::of_customer(), "sealpost-customer", "/customer/enter", of(&operator)),
    ];
    for (routes, name, entrance, other_realm) in realms {
        let others = [&wrong[..], &[("the other realm's", other_realm)]].concat();
        for route in routes {
            for (what, text) in &others {
                let cookie = format!("{name}={text}");
                let reply =
                    server.send(route.method, &route.path, &[("cookie", &cookie)], "".into()).await;
                let said = format!("{route:?} with {what}: {reply:?}");
                if route.method == "GET" {
                    assert_eq!(reply.status, 303, "{said}");
                    assert!(reply.header("location").starts_with(entrance), "{said}");
                } else {
                    assert_eq!(reply.status, 401, "{said}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_session_ends_with_its_key_with_its_time_and_when_it_is_left() {
    let server = Server::start().await;
    let (key, text) = server.full_key(Scope::Operator, &[], &[]).await;
    let browser = Browser::operator(&server, &text).await;
    let left = browser.post("/console/logout", &[]).await;
    assert_eq!((left.status, left.header("location")), (303, "/console/login"));
    assert!(left.header("set-cookie").contains("Max-Age=0"), "{left:?}");
    assert_eq!(browser.get("/console/customers").await.status, 303);

    let browser = Browser::operator(&server, &text).await;
    server.clock.advance(Duration::from_secs(12 * 3600 - 1));
    assert_eq!(browser.get("/console/customers").await.status, 200);
    server.clock.advance(Duration::from_secs(1));
    assert_eq!(browser.get("/console/customers").await.status, 303);

    let browser = Browser::operator(&server, &text).await;
    let path = format!("/v1/api-keys/{}", key.id);
    assert_eq!(server.call("DELETE", &path, Value::Null).await.status, 204);
    assert_eq!(browser.get("/console/customers").await.status, 303);
    let refused = post(&server, "/console/login", &[], &[("key", &text)]).await;
    assert_eq!(refused.status, 401);
}

#[tokio::test]
async fn a_customer_s_session_ends_with_its_token_and_with_the_key_above() {
    let server = Server::start().await;
    // Keys are listed by age.
    server.clock.advance(Duration::from_millis(1));
    let token = server.token("acme").await;
    let browser = Browser::customer(&server, &token).await;
    server.clock.advance(Duration::from_secs(3600));
    assert_eq!(browser.get("/customer").await.status, 303, "the token was good for an hour");

    let minted = server.call("POST", "/v1/customers/acme/tokens", json!({})).await.is(201);
    let browser = Browser::customer(&server, minted["token"].as_str().unwrap()).await;
    let keys = server.call("GET", "/v1/api-keys", Value::Null).await.is(200);
    let operator = keys["data"][0]["id"].as_str().unwrap().to_owned();
    server.call("DELETE", &format!("/v1/api-keys/{operator}"), Value::Null).await;
    assert_eq!(browser.get("/customer").await.status, 303);
}

#[tokio::test]
async fn the_api_takes_no_session_and_the_console_keeps_no_key() {
    let server = Server::start().await;
    let browser = Browser::operator(&server, &server.operator).await;
    let (name, text) = browser.cookie.split_once('=').unwrap();
    assert_eq!(name, "sealpost-console");
    assert!(!server.operator.contains(text) && text.starts_with("sps_"), "{text}");
    let refused = server.call_as(text, "GET", "/v1/api-keys", Value::Null).await;
    assert_eq!(refused.problem(), "unauthenticated");
    let listed = server.call("GET", "/v1/api-keys", Value::Null).await;
    assert!(!listed.text.contains("ses_"), "sessions are no keys: {listed:?}");
}

#[tokio::test]
async fn after_signing_in_one_is_where_one_wanted_to_be_and_nowhere_else() {
    let server = Server::start().await;
    let asked = server.send("GET", "/console/keys?done=revoked", &[], "".into()).await;
    let entrance = asked.header("location").to_owned();
    assert_eq!(entrance, "/console/login?next=%2Fconsole%2Fkeys%3Fdone%3Drevoked");
    for (next, then) in [
        ("/console/keys", "/console/keys"),
        ("https://evil.example/console", "/console"),
        ("//evil.example", "/console"),
    ] {
        let fields = [("key", server.operator.as_str()), ("next", next)];
        let reply = post(&server, "/console/login", &[], &fields).await;
        let cookie = reply.header("set-cookie").split(';').next().unwrap().to_owned();
        let by_way = reply.header("location").to_owned();
        let reply = server.send("GET", &by_way, &[("cookie", &cookie)], "".into()).await;
        assert_eq!((reply.status, reply.header("location")), (303, then), "{next}");
        // A browser that did not keep the cookie is told so.
        let reply = server.send("GET", &by_way, &[], "".into()).await;
        assert!(reply.text.contains("did not keep the session"), "{reply:?}");
    }
}

#[tokio::test]
async fn the_cookie_crosses_a_network_over_tls_alone() {
    let server = Server::start_with(|config| {
        config.console.embed_origins = ["https://app.example".parse().unwrap()].into();
    })
    .await;
    let token = server.token("acme").await;
    let set = async |host: &str, path: &str, name: &str, text: &str| {
        let reply = post(&server, path, &[("host", host)], &[(name, text)]).await;
        reply.header("set-cookie").replace(|c: char| !c.is_ascii(), "")
    };
    let key = server.operator.as_str();
    let local = set("127.0.0.1:1", "/console/login", "key", key).await;
    assert!(local.starts_with("sealpost-console=sps_"), "{local}");
    assert!(local.ends_with("; Path=/; HttpOnly; Max-Age=43200; SameSite=Lax"), "{local}");
    let remote = set("hooks.example", "/console/login", "key", key).await;
    assert!(remote.starts_with("__Host-sealpost-console=sps_"), "{remote}");
    assert!(remote.ends_with("; SameSite=Lax; Secure"), "{remote}");
    let framed = set("hooks.example", "/customer/session", "token", &token).await;
    assert!(framed.starts_with("__Host-sealpost-customer=sps_"), "{framed}");
    assert!(framed.ends_with("; SameSite=None; Secure; Partitioned"), "{framed}");
}

#[tokio::test]
async fn a_key_that_only_sends_jobs_and_a_token_are_told_that_the_console_is_not_for_them() {
    let server = Server::start().await;
    let producer = server.key(Scope::Producer, &[], &[]).await;
    let refused = post(&server, "/console/login", &[], &[("key", &producer)]).await;
    assert_eq!(refused.status, 403);
    assert!(refused.text.contains("This key sends jobs and sees nothing"), "{refused:?}");
    for wrong in [&server.token("acme").await, "", "nonsense"] {
        let refused = post(&server, "/console/login", &[], &[("key", wrong)]).await;
        assert_eq!((refused.status, refused.header("set-cookie")), (401, ""), "{wrong}");
    }
    let refused = post(&server, "/customer/session", &[], &[("token", &server.operator)]).await;
    assert_eq!((refused.status, refused.header("set-cookie")), (401, ""));
}

#[tokio::test]
async fn there_are_no_pages_where_the_settings_want_none() {
    let server = Server::start_with(|config| config.console.enabled = false).await;
    for path in ["/console", "/console/login", "/customer", "/console/assets/console.css"] {
        let reply = server.send("GET", path, &[], "".into()).await;
        assert!(reply.status == 401 || reply.status == 404, "{path}: {reply:?}");
    }
}

#[tokio::test]
async fn whoever_signs_in_with_bad_keys_again_and_again_is_told_to_wait() {
    for (path, field, prefix) in
        [("/console/login", "key", "sp_"), ("/customer/session", "token", "spt_")]
    {
        let few = |config: &mut Config| config.api.failed_authentications_per_minute = 3;
        let server = Server::start_with(few).await;
        let fresh = server.key(Scope::Operator, &[], &[]).await;
        let unknown = |n: u32| format!("{prefix}{n:020}_{}", "A".repeat(43));
        for n in 0..3 {
            let refused = post(&server, path, &[], &[(field, &unknown(n))]).await;
            assert_eq!(refused.status, 401, "{refused:?}");
        }
        let refused = post(&server, path, &[], &[(field, &unknown(3))]).await;
        assert_eq!((refused.status, refused.header("retry-after")), (429, "20"), "{refused:?}");
        // It is the same account as that of the API.
        let over_the_api = server.call_as(&fresh, "GET", "/v1/api-keys", Value::Null).await;
        assert_eq!(over_the_api.problem(), "rate_limited");
        server.clock.advance(Duration::from_secs(20));
        server.call_as(&fresh, "GET", "/v1/api-keys", Value::Null).await.is(200);
    }
}
