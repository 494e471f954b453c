//! The commands, and what they say of bad input.

use serde_json::{Value, json};

use crate::program::Program;
use crate::receiver::listen;

fn put_endpoint(program: &Program, extra: Value) {
    let mut endpoint =
        json!({"customerId": "c", "endpointId": "e", "url": "https://a.example/in/*"});
    endpoint.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    program.ok(&["endpoint", "put", "-"], &endpoint.to_string());
}

#[test]
fn a_preview_shows_the_signed_request_with_secrets_masked() {
    let program = Program::new();
    let put = |id: &str, value: &str| {
        program.ok(&["secret", "put", "c", id, "--origin", "https://a.example"], value);
    };
    put("signing", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n");
    put("key", "canary-key");
    put_endpoint(
        &program,
        json!({"headers": {"X-Own": "1"}, "query": {"v": "2"}, "auth": [
            {"scheme": "standard_webhooks", "secret": "signing"},
            {"scheme": "api_key", "in": "query", "name": "key", "secret": "key"},
            {"scheme": "bearer", "secret": "key"}]}),
    );
    let job = json!({"id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "customerId": "c", "endpointId": "e",
                     "body": "{\"test\": 2432232314}", "contentType": "application/json",
                     "pathParameters": ["e u"], "headers": {"X-Trace": "t"}});
    let preview = ["preview", "-", "--json", "--at", "2021-02-25T15:02:10Z"];
    let shown: Value = serde_json::from_str(&program.ok(&preview, &job.to_string())).unwrap();
    assert_eq!(shown["method"], "POST");
    assert_eq!(shown["url"], "https://a.example/in/e%20u?v=2&key=********");
    assert_eq!(shown["headers"]["authorization"], "********");
    assert_eq!(shown["headers"]["x-trace"], "t");
    assert_eq!(
        shown["headers"]["webhook-signature"],
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    );
    assert_eq!(shown["body"], "{\"test\": 2432232314}");
    let revealed = program.ok(&["preview", "-", "--reveal"], &job.to_string());
    assert!(revealed.contains("authorization: Bearer canary-key"), "{revealed}");
    assert!(revealed.contains("key=canary-key"));
}

#[test]
fn egress_check_judges_urls_and_addresses() {
    let program = Program::new();
    let mut command = program.command(&["egress", "check", "--json", "--allow-http", "-"]);
    for name in ["SEALPOST_EGRESS_ALLOW", "SEALPOST_EGRESS_PORTS", "SEALPOST_EGRESS_ALLOW_HTTP"] {
        command.env_remove(name);
    }
    let input = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        input.path(),
        "http://127.0.0.1/\nhttps://example.com/\n10.0.0.1\n[::1]\n8.8.8.8\nhttp://a\tb/\n",
    )
    .unwrap();
    command.stdin(std::fs::File::open(input.path()).unwrap());
    let printed = String::from_utf8(command.output().unwrap().stdout).unwrap();
    let verdicts: Vec<Value> =
        printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let words: Vec<&str> = verdicts.iter().map(|v| v["verdict"].as_str().unwrap()).collect();
    assert_eq!(words, ["block", "allow", "block", "block", "allow", "block"]);
    assert_eq!(verdicts[0]["input"], "http://127.0.0.1/");
    assert!(verdicts[0]["reason"].as_str().unwrap().contains("loopback"));
}

#[test]
fn bad_input_is_refused_with_its_place_and_what_to_do() {
    let program = Program::new();
    let refused = |arguments: &[&str], input: &str, expected: &[&str]| {
        let complaint = program.fails(arguments, input.as_bytes());
        for words in expected {
            assert!(complaint.contains(words), "{arguments:?}: {complaint:?} lacks {words:?}");
        }
    };
    let job = |extra: &str| format!(r#"{{"customerId":"c","endpointId":"e"{extra}}}"#);
    refused(
        &["enqueue", "-"],
        &format!("{}\n{}", job(""), job(",\"x\":1")),
        &["line 2", "invalid_job", "x"],
    );
    refused(&["enqueue", "-"], "{nonsense", &["malformed_job"]);
    refused(&["enqueue", "-"], &job(",\"data\":1,\"body\":\"\""), &["data", "only one"]);
    refused(
        &["enqueue", "-"],
        &job(",\"headers\":{\"a\":\"b\\r\\nc\"}"),
        &["headers.a", "line breaks"],
    );
    refused(&["enqueue", "-"], "", &["no job"]);
    let endpoint = |url: &str| format!(r#"{{"customerId":"c","endpointId":"e","url":"{url}"}}"#);
    refused(
        &["endpoint", "put", "-"],
        &endpoint("http://10.0.0.1/"),
        &["url", "10.0.0.1", "blocked"],
    );
    refused(&["endpoint", "put", "-"], &endpoint("gopher://a.example/"), &["url", "scheme"]);
    refused(&["endpoint", "get", "c", "nope"], "", &["no endpoint nope"]);
    refused(&["secret", "put", "c", "s", "--origin", "https://a.example"], "", &["empty"]);
    refused(&["secret", "put", "c", "s", "--origin", "a.example"], "x", &["origin"]);
    refused(&["dlq", "replay"], "", &["which?"]);
    refused(&["preview", "-"], &job(""), &["unknown_endpoint", "sealpost endpoint put"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_no_job_is_dead_lettered_with_its_bytes_and_the_worker_goes_on() {
    let program = Program::new();
    let (origin, mut calls) = listen(|_| (204, String::new())).await;
    let endpoint = json!({"customerId": "c", "endpointId": "e", "url": origin});
    program.ok(&["endpoint", "put", "-"], &endpoint.to_string());
    let job = |id: &str, endpoint: &str| {
        json!({"id": id, "customerId": "c", "endpointId": endpoint, "data": 1}).to_string()
    };
    program.ok(&["enqueue", "-"], &format!("{}\n{}", job("a", "nope"), job("b", "e")));
    // A producer that checks nothing, and an administrator who copies a sealed value.
    let mut expected = vec!["secret_not_decrypted".to_owned(), "unknown_endpoint".to_owned()];
    for secret in ["a", "b"] {
        program.ok(&["secret", "put", "c", secret, "--origin", &origin], "value");
    }
    let auth = json!([{"scheme": "bearer", "secret": "b"}]);
    let endpoint = json!({"customerId": "c", "endpointId": "f", "url": origin, "auth": auth});
    program.ok(&["endpoint", "put", "-"], &endpoint.to_string());
    program.ok(&["enqueue", "-"], &job("d", "f"));
    let database = rusqlite::Connection::open(program.data().join("sealpost.db")).unwrap();
    let copy = "UPDATE secrets SET record = (SELECT record FROM secrets WHERE secret_id = 'a')
                WHERE secret_id = 'b'";
    database.execute(copy, []).unwrap();
    let mut bad = vec![("oversized_job".to_owned(), vec![b' '; 1024 * 1024 + 1])];
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/jobs/bad");
    for entry in std::fs::read_dir(examples).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        // In the queue it is put back: a worker of that version knows it.
        if name.contains("of-a-newer-version") {
            continue;
        }
        bad.push((name.split('.').next().unwrap().to_owned(), std::fs::read(&path).unwrap()));
    }
    for (number, (reason, body)) in bad.iter().enumerate() {
        let sql = "INSERT INTO messages (message_id, due_at, sent_at, body) VALUES (?, 0, 0, ?)";
        database.execute(sql, rusqlite::params![format!("msg_{number}"), body]).unwrap();
        expected.push(reason.clone());
    }
    let mut worker = program.serve();
    assert_eq!(calls.recv().await.unwrap().header("webhook-id"), "b");
    let listed = program.dead_letters(expected.len());
    crate::program::terminate(&worker);
    worker.wait().unwrap();
    let letters: Vec<Value> =
        listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut reasons: Vec<&str> = letters.iter().map(|l| l["reason"].as_str().unwrap()).collect();
    reasons.sort_unstable();
    expected.sort_unstable();
    assert_eq!(reasons, expected);
    assert!(letters.iter().all(|letter| letter["message"].as_str().unwrap().contains("; ")));
    let unknown = letters.iter().find(|l| l["reason"] == "unknown_endpoint").unwrap();
    let shown =
        program.ok(&["dlq", "show", unknown["id"].as_str().unwrap(), "--body", "--json"], "");
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["job"], job("a", "nope"));
}
