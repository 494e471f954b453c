//! `sealpost lambda` under a runtime API that hands it events as Lambda does: the same program, on the
//! queues, tables and key of the emulator.

use std::process::Child;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::types::{Message, QueueAttributeName};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use sealpost::adapters::system::SystemClock;
use sealpost::ports::Clock;
use serde_json::{Value, json};
use tokio::sync::{Mutex, mpsc};

use crate::cloud::Cloud;
use crate::program::terminate;
use crate::receiver::{Call, listen};

/// An event, and for how long the function may work on it.
type Invocation = (Value, Duration);

/// What Lambda offers to a function (AWS Lambda Developer Guide, "Using the Lambda runtime API" and "Using the
/// Lambda Extensions API"), for one function that works on one event after the other.
pub struct Runtime {
    address: String,
    events: mpsc::UnboundedSender<Invocation>,
    answers: mpsc::UnboundedReceiver<Value>,
}

struct Shared {
    events: Mutex<mpsc::UnboundedReceiver<Invocation>>,
    answers: mpsc::UnboundedSender<Value>,
}

async fn next(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let Some((event, time)) = shared.events.lock().await.recv().await else {
        std::future::pending().await
    };
    let now = SystemClock.now();
    let mut headers = HeaderMap::new();
    headers.insert(
        "lambda-runtime-aws-request-id",
        "8476a536-e9f4-11e8-9739-2dfe598c3fcd".parse().unwrap(),
    );
    let deadline = now.plus(time).as_millis().to_string();
    headers.insert("lambda-runtime-deadline-ms", deadline.parse().unwrap());
    let arn = "arn:aws:lambda:us-east-1:123456789012:function:sealpost";
    headers.insert("lambda-runtime-invoked-function-arn", arn.parse().unwrap());
    headers.insert(
        "lambda-runtime-trace-id",
        "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700".parse().unwrap(),
    );
    (headers, Json(event))
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    Path((_, kind)): Path<(String, String)>,
    // Without a content type.
    body: Bytes,
) -> StatusCode {
    let body: Value = serde_json::from_slice(&body).unwrap();
    let _ = shared.answers.send(json!({"kind": kind, "body": body}));
    StatusCode::ACCEPTED
}

async fn register() -> impl IntoResponse {
    let mut headers = HeaderMap::new();
    headers.insert("lambda-extension-identifier", "an-extension".parse().unwrap());
    (
        headers,
        Json(json!({"functionName": "sealpost", "functionVersion": "$LATEST", "handler": "x"})),
    )
}

impl Runtime {
    pub async fn start() -> Self {
        let (events, receiver) = mpsc::unbounded_channel();
        let (sender, answers) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared { events: Mutex::new(receiver), answers: sender });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/{kind}", post(answer))
            .route("/2020-01-01/extension/register", post(register))
            .route("/2020-01-01/extension/event/next", get(std::future::pending::<StatusCode>))
            .with_state(shared);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, events, answers }
    }

    /// What Lambda sets.
    pub fn variables(&self) -> [(&str, &str); 6] {
        [
            ("AWS_LAMBDA_RUNTIME_API", &self.address),
            ("AWS_LAMBDA_FUNCTION_NAME", "sealpost"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "sealpost"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "1"),
        ]
    }

    fn function(&self, cloud: &Cloud) -> Child {
        cloud.command(&["lambda"]).envs(self.variables()).spawn().unwrap()
    }

    /// The ids that the function says are not settled.
    async fn invoke(&mut self, event: Value, time: Duration) -> Vec<String> {
        self.events.send((event, time)).unwrap();
        let answer = self.answers.recv().await.unwrap();
        assert_eq!(answer["kind"], "response", "{answer}");
        let failures = answer["body"]["batchItemFailures"].as_array().unwrap().clone();
        failures.iter().map(|f| f["itemIdentifier"].as_str().unwrap().to_owned()).collect()
    }
}

/// What Lambda has received, as it hands it to a function.
fn event(messages: &[Message]) -> Value {
    let record = |m: &Message| {
        let system = m.attributes.iter().flatten();
        let system = system.map(|(name, text)| (name.as_str().to_owned(), json!(text)));
        let own = m.message_attributes.iter().flatten().map(|(name, value)| {
            let value = json!({"dataType": value.data_type, "stringValue": value.string_value,
                               "stringListValues": [], "binaryListValues": []});
            (name.clone(), value)
        });
        json!({"messageId": m.message_id, "receiptHandle": m.receipt_handle, "body": m.body,
               "attributes": system.collect::<serde_json::Map<_, _>>(),
               "messageAttributes": own.collect::<serde_json::Map<_, _>>(),
               "md5OfBody": m.md5_of_body, "eventSource": "aws:sqs", "awsRegion": "us-east-1",
               "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:jobs"})
    };
    json!({"Records": messages.iter().map(record).collect::<Vec<_>>()})
}

/// Receives as Lambda does, until there are `count` messages.
async fn receive(cloud: &Cloud, count: usize) -> Vec<Message> {
    let mut messages = Vec::new();
    for _ in 0..200 {
        let request = cloud.clients.sqs.receive_message().queue_url(&cloud.jobs);
        let request =
            request.max_number_of_messages(10).wait_time_seconds(1).visibility_timeout(60);
        let request = request.message_attribute_names("All");
        let request = request
            .message_system_attribute_names(aws_sdk_sqs::types::MessageSystemAttributeName::All);
        messages.extend(request.send().await.unwrap().messages.unwrap_or_default());
        if messages.len() >= count {
            return messages;
        }
    }
    panic!("{} messages of {count} came", messages.len());
}

/// How many messages the queue of jobs holds, those in flight included.
async fn held(cloud: &Cloud) -> u64 {
    let request = cloud.clients.sqs.get_queue_attributes().queue_url(&cloud.jobs);
    let found = request.attribute_names(QueueAttributeName::All).send().await.unwrap();
    let found = found.attributes.unwrap();
    let number = |name| found.get(&name).map_or(0, |text: &String| text.parse::<u64>().unwrap());
    number(QueueAttributeName::ApproximateNumberOfMessages)
        + number(QueueAttributeName::ApproximateNumberOfMessagesDelayed)
        + number(QueueAttributeName::ApproximateNumberOfMessagesNotVisible)
}

fn register_endpoint(cloud: &Cloud, id: &str, url: &str) {
    let endpoint = json!({"customerId": "c", "endpointId": id, "url": url, "timeout": "60s",
                          "auth": [{"scheme": "standard_webhooks", "secret": "s"}]});
    cloud.ok(&["endpoint", "put", "-"], &endpoint.to_string());
}

fn enqueue(cloud: &Cloud, endpoint: &str, ids: &[&str]) {
    let job = |id: &&str| {
        json!({"id": id, "customerId": "c", "endpointId": endpoint, "data": 1}).to_string()
    };
    let jobs: Vec<String> = ids.iter().map(job).collect();
    cloud.ok(&["enqueue", "-"], &jobs.join("\n"));
}

/// A cloud with an endpoint `e` that answers what `status` says, and one that never answers.
async fn prepared(status: fn(&Call) -> u16) -> (Cloud, mpsc::UnboundedReceiver<Call>) {
    let cloud = Cloud::start().await;
    let (origin, calls) = listen(move |call: &Call| (status(call), String::new())).await;
    cloud.ok(
        &["secret", "put", "c", "s", "--origin", &origin],
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    );
    register_endpoint(&cloud, "e", &format!("{origin}/in"));
    (cloud, calls)
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_function_delivers_its_events_and_ends_when_it_is_told_to() {
    let (cloud, mut calls) = prepared(|_| 200).await;
    let mut runtime = Runtime::start().await;
    let mut function = runtime.function(&cloud);
    enqueue(&cloud, "e", &["job-1", "job-2", "job-3"]);
    let messages = receive(&cloud, 3).await;
    assert!(runtime.invoke(event(&messages), MINUTE).await.is_empty());
    let mut ids = Vec::new();
    for _ in 0..3 {
        let call = calls.recv().await.unwrap();
        assert!(call.header("webhook-signature").starts_with("v1,"));
        ids.push(call.header("webhook-id").to_owned());
    }
    ids.sort();
    assert_eq!(ids, ["job-1", "job-2", "job-3"]);
    assert_eq!(held(&cloud).await, 0, "they are deleted");
    terminate(&function);
    assert!(function.wait().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_retried_by_a_message_of_its_own_and_is_no_failure_of_the_batch() {
    let (cloud, mut calls) =
        prepared(|call| if call.header("webhook-id") == "bad" { 500 } else { 200 }).await;
    let mut runtime = Runtime::start().await;
    let mut function = runtime.function(&cloud);
    enqueue(&cloud, "e", &["bad", "good"]);
    let messages = receive(&cloud, 2).await;
    assert!(runtime.invoke(event(&messages), MINUTE).await.is_empty());
    for _ in 0..2 {
        calls.recv().await.unwrap();
    }
    assert_eq!(held(&cloud).await, 1, "the retry waits in the queue");
    terminate(&function);
    function.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_does_not_end_in_time_is_cut_short_and_retried_before_the_function_is_stopped()
{
    let (cloud, _calls) = prepared(|_| 200).await;
    // Takes the connection, and never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", silent.local_addr().unwrap());
    cloud.ok(
        &["secret", "put", "c", "s", "--origin", &origin],
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    );
    register_endpoint(&cloud, "silent", &format!("{origin}/in"));
    let mut runtime = Runtime::start().await;
    let mut function = runtime.function(&cloud);
    enqueue(&cloud, "silent", &["slow"]);
    let messages = receive(&cloud, 1).await;
    let failures = runtime.invoke(event(&messages), Duration::from_secs(8)).await;
    assert!(failures.is_empty(), "{failures:?}");
    assert_eq!(held(&cloud).await, 1, "the retry waits in the queue");
    terminate(&function);
    function.wait().unwrap();
}

/// Lambda deletes what is not named: an event of another queue, or one whose queue is gone, must not be
/// answered as if it were done.
#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_settled_is_named_and_what_is_not_ours_fails() {
    let (cloud, mut calls) = prepared(|_| 200).await;
    let mut runtime = Runtime::start().await;
    let mut function = runtime.function(&cloud);
    enqueue(&cloud, "e", &["job-1"]);
    let messages = receive(&cloud, 1).await;
    let mut other = event(&messages);
    other["Records"][0]["eventSourceARN"] = json!("arn:aws:sqs:us-east-1:123456789012:others");
    runtime.events.send((other, MINUTE)).unwrap();
    let answer = runtime.answers.recv().await.unwrap();
    assert_eq!(answer["kind"], "error", "{answer}");
    let said = answer["body"]["errorMessage"].as_str().unwrap();
    assert!(said.contains("is not the queue of aws.queue_url"), "{said}");

    // The function has opened the queue; it goes away under its hands.
    cloud.clients.sqs.delete_queue().queue_url(&cloud.jobs).send().await.unwrap();
    let failures = runtime.invoke(event(&messages), MINUTE).await;
    calls.recv().await.unwrap();
    assert_eq!(failures, [messages[0].message_id.clone().unwrap()]);
    terminate(&function);
    function.wait().unwrap();
}
