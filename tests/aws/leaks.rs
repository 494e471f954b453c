//! No secret lies about on AWS: not in a table, not on a queue, not in what the program says.

use std::collections::HashMap;
use std::process::Stdio;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::json;

use crate::canary::assert_silent;
use crate::program::Program;
use crate::receiver;

/// Every row of every table, as it is read by whoever may read it.
async fn dump(program: &Program) -> Vec<u8> {
    let dynamodb = program.sqs.emulator.clients().dynamodb;
    let mut bytes = Vec::new();
    for table in dynamodb.list_tables().send().await.unwrap().table_names() {
        let rows = dynamodb.scan().table_name(table).send().await.unwrap().items.unwrap();
        for (name, value) in rows.iter().flatten() {
            bytes.extend_from_slice(name.as_bytes());
            flatten(value, &mut bytes);
        }
    }
    bytes
}

fn flatten(value: &AttributeValue, bytes: &mut Vec<u8>) {
    match value {
        AttributeValue::B(blob) => bytes.extend_from_slice(blob.as_ref()),
        AttributeValue::S(text) | AttributeValue::N(text) => {
            bytes.extend_from_slice(text.as_bytes())
        }
        AttributeValue::L(list) => list.iter().for_each(|value| flatten(value, bytes)),
        AttributeValue::M(map) => flatten_map(map, bytes),
        other => bytes.extend_from_slice(format!("{other:?}").as_bytes()),
    }
    bytes.push(b'\n');
}

fn flatten_map(map: &HashMap<String, AttributeValue>, bytes: &mut Vec<u8>) {
    for (name, value) in map {
        bytes.extend_from_slice(name.as_bytes());
        flatten(value, bytes);
    }
}

/// Every message that a queue gives, with its attributes.
async fn messages(program: &Program, queue: &str) -> String {
    let receive = program.sqs.client.receive_message().queue_url(queue).max_number_of_messages(10);
    let receive = receive.message_attribute_names("All").visibility_timeout(0);
    let given = receive.send().await.unwrap().messages.unwrap_or_default();
    given
        .iter()
        .map(|message| {
            let attributes = message.message_attributes.iter().flatten();
            let attributes: Vec<_> =
                attributes.map(|(name, value)| (name, value.string_value())).collect();
            format!("{:?} {attributes:?}\n", message.body())
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_a_table_on_a_queue_or_in_what_the_program_says() {
    let secrets =
        ["canary-of-the-password-91c2", "canary-of-the-api-key-07bd", "canary-of-the-old-key-55aa"];
    let program = Program::new().await;
    program.ok(&["tables", "create"], "");
    // A receiver that sends back all that it was sent.
    let (origin, mut calls) = receiver::listen(|call| {
        (500, format!("{:?} {}", call.headers, String::from_utf8_lossy(&call.body)))
    })
    .await;
    program.ok(&["secret", "put", "acme", "password", "--origin", &origin], secrets[0]);
    program.ok(&["secret", "put", "acme", "key", "--origin", &origin], secrets[2]);
    program.ok(&["secret", "rotate", "acme", "key", "--overlap", "1h"], secrets[1]);
    let auth = json!([{"scheme": "basic", "username": "u", "secret": "password"},
                      {"scheme": "api_key", "in": "header", "name": "x-key", "secret": "key"}]);
    for (endpoint, attempts) in [("ends", 1), ("waits", 9)] {
        let endpoint = json!({"customerId": "acme", "endpointId": endpoint, "url": origin, "auth": auth,
                              "retry": {"maxAttempts": attempts, "baseDelay": "10s"}});
        program.ok(&["endpoint", "put", "-"], &endpoint.to_string());
    }
    for endpoint in ["ends", "waits"] {
        let job = json!({"customerId": "acme", "endpointId": endpoint, "data": {"n": 1}});
        program.ok(&["enqueue", "-"], &job.to_string());
    }
    let mut worker = program.command(&["worker"]);
    let worker = worker.env("SEALPOST_LOG_LEVEL", "trace").env("SEALPOST_DELIVERIES_RECORD", "all");
    let mut worker = worker.stderr(Stdio::piped()).spawn().unwrap();
    for _ in 0..2 {
        assert_eq!(calls.recv().await.unwrap().header("x-key"), secrets[1]);
    }
    let letters = loop {
        let letters = program.ok(&["dlq", "list"], "");
        if !letters.is_empty() {
            break letters;
        }
    };
    while program.ok(&["delivery", "list", "acme"], "").len() < 2 {}
    program.sqs.emulator.advance(std::time::Duration::from_secs(60));
    worker.kill().unwrap();
    let output = worker.wait_with_output().unwrap();
    let (jobs, dead) = (&program.sqs.jobs, &program.sqs.dead);
    program.sqs.emulator.advance(std::time::Duration::from_secs(600));
    let (waiting, dead) = (messages(&program, jobs).await, messages(&program, dead).await);
    assert!(waiting.contains("withheld") && dead.contains("withheld"), "{waiting} {dead}");
    let rows = dump(&program).await;
    let text = String::from_utf8_lossy(&rows);
    // What is looked through is not nothing: the API key's header was recorded, and is masked.
    assert!(["dead-letter#", "recorded#", "x-key"].iter().all(|part| text.contains(part)));
    assert_silent("a table", &rows, &secrets);
    assert_silent("a message that waits", waiting.as_bytes(), &secrets);
    assert_silent("a dead letter's message", dead.as_bytes(), &secrets);
    assert_silent("a dead letter", serde_json::to_string(&letters).unwrap().as_bytes(), &secrets);
    assert_silent("the log", &[output.stdout, output.stderr].concat(), &secrets);
    let listed = program.ok(&["secret", "history", "acme", "key"], "");
    assert_eq!(listed.len(), 2);
    assert_silent("a history", serde_json::to_string(&listed).unwrap().as_bytes(), &secrets);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_job_is_in_no_table_as_it_is() {
    let told = ["canary-in-the-job-7f31", "canary-in-the-job-that-fails-20ac"];
    let program = Program::new().await;
    program.ok(&["tables", "create"], "");
    program.ok(&["tenant-key", "create", "acme"], "");
    let up = |call: &receiver::Call| call.target == "/up";
    let (origin, mut calls) =
        receiver::listen(move |call| (if up(call) { 204 } else { 500 }, String::new())).await;
    for (path, told) in ["up", "down"].into_iter().zip(told) {
        let endpoint = json!({"customerId": "acme", "endpointId": path, "url": format!("{origin}/{path}"),
                              "retry": {"maxAttempts": 1}});
        program.ok(&["endpoint", "put", "-"], &endpoint.to_string());
        let job = json!({"customerId": "acme", "endpointId": path, "data": {"told": told}});
        program.ok(&["enqueue", "-"], &job.to_string());
    }
    let mut worker = program.command(&["worker"]);
    let worker = worker.env("SEALPOST_LOG_LEVEL", "trace").env("SEALPOST_DELIVERIES_RECORD", "all");
    let mut worker = worker.env("SEALPOST_DELIVERIES_KEEP_BODIES", "all").spawn().unwrap();
    let recorded = loop {
        let recorded = program.ok(&["delivery", "list", "acme"], "");
        if recorded.len() == 2 {
            break recorded;
        }
    };
    assert!(recorded.iter().all(|delivery| delivery["body"] == "kept"), "{recorded:?}");
    let id = |status: &str| {
        let found = recorded.iter().find(|delivery| delivery["status"] == status).unwrap();
        found["id"].as_str().unwrap().to_owned()
    };
    for _ in 0..2 {
        calls.recv().await.unwrap();
    }
    program.ok(&["delivery", "resend", &id("delivered")], "");
    let again = calls.recv().await.unwrap();
    assert!(String::from_utf8_lossy(&again.body).contains(told[0]));
    while program.ok(&["delivery", "list", "acme"], "").len() < 3 {}
    worker.kill().unwrap();
    let output = worker.wait_with_output().unwrap();
    let rows = dump(&program).await;
    assert!(String::from_utf8_lossy(&rows).contains("kept#dv_"));
    assert_silent("a table", &rows, &told);
    assert_silent("the log", &[output.stdout, output.stderr].concat(), &told);
    let shown = program.ok(&["delivery", "show", &id("dead_letter")], "");
    assert_silent("what is shown", serde_json::to_string(&shown).unwrap().as_bytes(), &told);
    // The worker sealed without asking KMS anything.
    let kms = program.sqs.emulator.calls_of("KMS");
    assert!(!kms.contains_key("GenerateDataKey"), "{kms:?}");
    assert_eq!(kms["Encrypt"], 1, "the making of the tenant key");
}
