//! Rotation of the key file's keys, beside a running worker.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::program::{Program, terminate};
use crate::receiver::listen;

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn keys(program: &Program) -> Vec<Value> {
    lines(&program.ok(&["key", "list", "--json"], ""))
}

fn needed(program: &Program) -> Vec<u64> {
    keys(program).iter().map(|key| key["versions"].as_u64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_rotated_and_retired_beside_a_running_worker_that_never_starts_anew() {
    let (origin, mut calls) = listen(|_| (204, String::new())).await;
    let program = Program::new();
    for secret in ["known", "unknown"] {
        for value in ["canary-old", "canary-older", &format!("canary-{secret}")] {
            program.ok(&["secret", "put", "c", secret, "--origin", &origin], value);
        }
        let endpoint = json!({"customerId": "c", "endpointId": secret, "url": origin,
                              "auth": [{"scheme": "bearer", "secret": secret}]});
        program.ok(&["endpoint", "put", "-"], &endpoint.to_string());
    }
    program.ok(&["tenant-key", "create", "c"], "");
    let enqueue = |endpoint: &str| {
        let job = json!({"customerId": "c", "endpointId": endpoint, "data": 1}).to_string();
        program.ok(&["enqueue", "-"], &job);
    };
    let mut worker = program.serve();
    enqueue("known");
    assert_eq!(calls.recv().await.unwrap().header("authorization"), "Bearer canary-known");
    assert_eq!(needed(&program), [7], "every version, and the tenant key's private half");

    let rotated: Value =
        serde_json::from_str(&program.ok(&["key", "rotate", "--json"], "")).unwrap();
    assert_eq!((&rotated["rewrapped"], &rotated["failed"]), (&json!(7), &json!([])));
    assert_eq!(needed(&program), [7, 0]);
    assert_eq!(keys(&program)[0]["key"], rotated["key"], "the new one wraps");
    assert_eq!(program.ok(&["key", "retire"], ""), "retired 1\n");
    let file = std::fs::metadata(program.data().join("sealpost.key")).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
    assert_eq!(needed(&program), [7]);

    // The worker knows the retired key alone, and has not seen this secret.
    enqueue("unknown");
    assert_eq!(calls.recv().await.unwrap().header("authorization"), "Bearer canary-unknown");
    enqueue("known");
    assert_eq!(calls.recv().await.unwrap().header("authorization"), "Bearer canary-known");
    terminate(&worker);
    assert!(worker.wait().unwrap().success());
    let back = ["secret", "rollback", "c", "known", "--to", "1"];
    program.ok(&back, "");
    let job = r#"{"customerId":"c","endpointId":"known","data":1}"#;
    let shown = program.ok(&["preview", "-", "--reveal"], job);
    assert!(shown.contains("Bearer canary-old"), "history is wrapped anew too: {shown}");
}

#[test]
fn a_key_that_is_needed_is_not_retired_and_what_was_cut_short_goes_on() {
    let program = Program::new();
    program.ok(&["secret", "put", "c", "s", "--origin", "https://a.example"], "canary");
    // As a rotation that was cut short leaves it: the new key is there, and nothing is wrapped anew.
    let path = program.data().join("sealpost.key");
    let mut document: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let new = json!({"id": "AAAAAAAAAAAAAAAAAAAAAA==",
                     "key": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="});
    document["keys"].as_array_mut().unwrap().insert(0, new);
    std::fs::write(&path, document.to_string()).unwrap();
    let old = keys(&program)[1]["key"].as_str().unwrap().to_owned();
    assert_eq!(needed(&program), [0, 1]);
    let refused = program.fails(&["key", "retire"], b"");
    assert!(refused.contains(&format!("1 version of secrets needs the key {old}")), "{refused}");
    assert!(refused.contains("key rotate --resume"), "{refused}");
    let wraps = "00000000000000000000000000000000";
    let refused = program.fails(&["key", "retire", wraps], b"");
    assert!(refused.contains("wraps what is new"), "{refused}");
    let told = program.ok(&["key", "rotate", "--resume"], "");
    assert_eq!(told, format!("{wraps} wraps now; 1 version wrapped anew\n"));
    assert_eq!(
        program.ok(&["key", "rotate", "--resume"], ""),
        format!("{wraps} wraps now; 0 versions wrapped anew\n")
    );
    program.ok(&["key", "retire", &old], "");
    let refused = program.fails(&["key", "retire", &old], b"");
    assert!(refused.contains("has no key"), "{refused}");
}
