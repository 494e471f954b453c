//! No secret comes out anywhere but in the header that it is meant for.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::json;
use tokio::io::AsyncReadExt;

use crate::leaks::assert_silent;
use crate::program::Program;
use crate::receiver::listen;

/// An endpoint that is sent a secret in every place that there is.
fn endpoint(origin: &str) -> serde_json::Value {
    json!({
        "customerId": "c", "endpointId": "e", "url": format!("{origin}/in/{{secret:path}}"), "retry": {"maxAttempts": 2, "baseDelay": "10ms"},
        "headers": {"x-extra": {"secret": "header", "prefix": "Extra "}}, "query": {"k": {"secret": "query"}},
        "bodyParameters": {"member": {"secret": "member"}},
        "auth": [{"scheme": "standard_webhooks", "secret": "signing"},
                 {"scheme": "basic", "username": "u", "secret": "password"},
                 {"scheme": "api_key", "in": "header", "name": "x-key", "secret": "key"},
                 {"scheme": "oauth2_client_credentials", "token_url": format!("{origin}/token"),
                  "client_id": "me", "secret": "client", "header": "x-token", "prefix": ""}],
    })
}

/// What a worker leaves behind that gives up one job: its dead letter, and its log.
async fn dead_letters_and_log(program: &Program) -> (String, Vec<u8>) {
    let mut worker = tokio::process::Command::from({
        let mut serve = program.command(&["serve", "--json"]);
        serve.stderr(std::process::Stdio::piped());
        serve
    })
    .spawn()
    .unwrap();
    let letters = program.dead_letters(1);
    let pid = worker.id().unwrap();
    assert!(
        std::process::Command::new("kill")
            .args(["-TERM", &pid.to_string()])
            .status()
            .unwrap()
            .success()
    );
    let mut logs = Vec::new();
    worker.stderr.take().unwrap().read_to_end(&mut logs).await.unwrap();
    worker.wait().await.unwrap();
    (letters, logs)
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_stay_out_of_logs_errors_dead_letters_and_the_database() {
    let signing = format!("whsec_{}", BASE64_STANDARD.encode(b"canary-signing-key-32-bytes-long"));
    let (password, key) = ("canary/+\"pass~word", "canary-api-key-73f1");
    let (path, client, token) = ("canary/path/x9Zq", "canary-client-5b2c", "canary-token-0e41");
    let (header, query, member) =
        ("canary-header-81d0", "canary-query-2f6a", "canary\"member-c93e");
    let secrets = [
        "canary-signing-key-32-bytes-long",
        signing.trim_start_matches("whsec_"),
        password,
        key,
        path,
        client,
        token,
        header,
        query,
        member,
    ];
    // A hostile endpoint, and token server: it sends back all it was sent.
    let (origin, mut calls) = listen(move |call| match call.target.as_str() {
        "/token" => (200, json!({"access_token": token, "echo": call.headers}).to_string()),
        target => {
            (500, format!("{:?} {target} {}", call.headers, String::from_utf8_lossy(&call.body)))
        }
    })
    .await;
    let program = Program::new();
    for (id, value) in [
        ("signing", signing.as_str()),
        ("password", password),
        ("key", key),
        ("path", path),
        ("client", client),
        ("header", header),
        ("query", query),
        ("member", member),
    ] {
        program.ok(&["secret", "put", "c", id, "--origin", &origin], value);
    }
    program.ok(&["endpoint", "put", "-"], &endpoint(&origin).to_string());
    program.ok(
        &["enqueue", "-"],
        &json!({"customerId": "c", "endpointId": "e", "data": {"a": 1}}).to_string(),
    );

    let (letters, logs) = dead_letters_and_log(&program).await;
    assert!(letters.contains("withheld"), "{letters}");
    assert!(!logs.is_empty());
    assert_silent("the log", &logs, &secrets);
    assert_silent("the dead letter", letters.as_bytes(), &secrets);
    let masked =
        program.ok(&["preview", "-"], &json!({"customerId": "c", "endpointId": "e"}).to_string());
    assert_silent("the preview", masked.as_bytes(), &secrets);
    for entry in std::fs::read_dir(program.data()).unwrap() {
        let path = entry.unwrap().path();
        assert_silent(&path.display().to_string(), &std::fs::read(&path).unwrap(), &secrets);
    }
    assert_eq!(calls.recv().await.unwrap().target, "/token");
    let call = calls.recv().await.unwrap();
    assert_eq!((call.header("x-key"), call.header("x-token")), (key, token));
    assert_eq!(call.target, format!("/in/{path}?k={query}"));
    for (name, value) in &call.headers {
        let own: &[&str] = match name.as_str() {
            "x-key" => &[key],
            "x-token" => &[token],
            "authorization" => &[password],
            "x-extra" => &[header],
            _ => &[],
        };
        let others: Vec<&str> = secrets.iter().copied().filter(|s| !own.contains(s)).collect();
        assert_silent(name, value.as_bytes(), &others);
    }
    let body: serde_json::Value = serde_json::from_slice(&call.body).unwrap();
    assert_eq!(body, json!({"a": 1, "member": member}));
    let others: Vec<&str> = secrets.iter().copied().filter(|s| *s != member).collect();
    assert_silent("the body", &call.body, &others);
    assert_eq!(call.method, "POST");
}
