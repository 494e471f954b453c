//! A stub of SQS for the benchmark: a queue that is never empty until all its jobs were handed out.
//!
//! Emulators slow down with every message they have seen; this costs the same for the millionth. It
//! hands out jobs, takes deletions and counts calls; it keeps no leases and loses what is not deleted.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, ensure};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::job;
use crate::process::{Process, first_line, get};

/// What the stub has seen.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Stats {
    /// Messages handed out.
    pub received: usize,
    /// Messages deleted.
    pub deleted: usize,
    /// Calls by operation.
    pub calls: BTreeMap<String, usize>,
    /// Requests that AWS would charge for these: one for each 64 KiB that goes in, or comes out, begun.
    pub billed: usize,
}

impl Stats {
    /// Calls that belong to deliveries; not the worker's looks at the queue.
    pub fn of_deliveries(&self) -> usize {
        self.calls.iter().filter(|(name, _)| *name != "GetQueueAttributes").map(|(_, n)| n).sum()
    }
}

struct Stub {
    stats: Mutex<Stats>,
    jobs: usize,
    endpoints: usize,
}

/// Bytes for which one request is charged (Amazon SQS Pricing).
const CHARGED: usize = 64 * 1024;

/// Serves until it is killed; hands out `jobs` jobs to `endpoints` endpoints in turn. Prints its
/// address.
pub fn run(jobs: usize, endpoints: usize) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        let stub = Arc::new(Stub { stats: Mutex::default(), jobs, endpoints });
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let stub = Arc::clone(&stub);
            let service = service_fn(move |request| answer(Arc::clone(&stub), request));
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    })
}

async fn answer(
    stub: Arc<Stub>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let target = request.headers().get("x-amz-target").and_then(|v| v.to_str().ok());
    let operation = target.and_then(|t| t.rsplit('.').next()).unwrap_or("stats").to_owned();
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (answer, is_empty) = stub.call(&operation, &asked);
    let answer = answer.to_string();
    stub.charge(body.len().max(answer.len()));
    if is_empty {
        // A long poll on a queue that has run dry.
        tokio::time::sleep(Duration::from_secs(20)).await;
    }
    let mut response = Response::new(Full::from(answer));
    let kind = hyper::header::HeaderValue::from_static("application/x-amz-json-1.0");
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, kind);
    Ok(response)
}

impl Stub {
    fn charge(&self, bytes: usize) {
        let mut stats = self.stats.lock().unwrap_or_else(PoisonError::into_inner);
        stats.billed += bytes.div_ceil(CHARGED).max(1);
    }

    /// The answer to a call, and whether it is that of an empty queue.
    fn call(&self, operation: &str, asked: &Value) -> (Value, bool) {
        let mut stats = self.stats.lock().unwrap_or_else(PoisonError::into_inner);
        if operation == "stats" {
            return (serde_json::to_value(&*stats).unwrap_or_default(), false);
        }
        *stats.calls.entry(operation.to_owned()).or_default() += 1;
        let entries = asked["Entries"].as_array().map_or(&[][..], Vec::as_slice);
        let done =
            |entry: &Value| json!({"Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": ""});
        let all_done =
            json!({"Successful": entries.iter().map(done).collect::<Vec<_>>(), "Failed": []});
        match operation {
            "ReceiveMessage" => {
                let most = asked["MaxNumberOfMessages"].as_u64().unwrap_or(1);
                let first = stats.received;
                let count = (self.jobs - first).min(usize::try_from(most).unwrap_or(1));
                stats.received += count;
                let messages: Vec<Value> =
                    (first..first + count).map(|number| self.message(number)).collect();
                (json!({"Messages": messages}), count == 0)
            }
            "DeleteMessageBatch" => {
                stats.deleted += entries.len();
                (all_done, false)
            }
            "GetQueueAttributes" => {
                let attributes = json!({"VisibilityTimeout": "30", "MaximumMessageSize": "1048576",
                    "ApproximateNumberOfMessages": "0", "ApproximateNumberOfMessagesDelayed": "0",
                    "ApproximateNumberOfMessagesNotVisible": "0"});
                (json!({"Attributes": attributes}), false)
            }
            _ => (all_done, false),
        }
    }

    fn message(&self, number: usize) -> Value {
        let body = job::job(number % self.endpoints, job::BODY_LEN);
        let sent_at = (job::now_nanos() / 1_000_000).to_string();
        json!({"MessageId": format!("message-{number}"), "ReceiptHandle": number.to_string(),
               "Body": body, "MD5OfBody": "",
               "Attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": sent_at}})
    }
}

/// A running stub.
pub struct SqsStub {
    /// Its process.
    pub process: Process,
    /// Where it listens.
    pub address: String,
}

impl SqsStub {
    /// Starts a stub.
    pub fn start(jobs: usize, endpoints: usize) -> anyhow::Result<Self> {
        let (process, mut output) =
            Process::part(&["sqs-stub", &jobs.to_string(), &endpoints.to_string()])?;
        Ok(Self { process, address: first_line(&mut output)? })
    }

    /// What it has seen.
    pub fn stats(&self) -> anyhow::Result<Stats> {
        Ok(serde_json::from_str(&get(&self.address, "/stats")?)?)
    }

    /// Waits until every message was deleted.
    pub fn wait_until_deleted(&self, jobs: usize) -> anyhow::Result<Stats> {
        for _ in 0..12_000 {
            let stats = self.stats()?;
            if stats.deleted >= jobs {
                ensure!(stats.deleted == jobs, "{} deletions of {jobs}", stats.deleted);
                return Ok(stats);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(anyhow::anyhow!("not all messages were deleted within ten minutes"))
            .context("the worker stands still")
    }
}
