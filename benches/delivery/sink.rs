//! The sink: an HTTP server in a process of its own that answers and counts. It answers 204, and 503
//! to the first attempts of each job where it is told so; it is a token server, too.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::ensure;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::job;
use crate::process::{Process, first_line, get};

/// What the token server gives, for a day.
const TOKEN: &str = r#"{"access_token":"t","token_type":"Bearer","expires_in":86400}"#;

#[derive(Default)]
struct Seen {
    requests: usize,
    /// Of each request that was answered 204: when it came, in nanoseconds since the Unix epoch.
    arrivals: Vec<u64>,
    latencies: Vec<u64>,
    head_bytes: usize,
    /// Attempts that were answered 503, by the job's id.
    failed: HashMap<String, u32>,
}

/// What the sink has seen.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// Requests, whatever was answered.
    pub requests: usize,
    /// Requests that were answered 204.
    pub delivered: usize,
    /// When the first of these came, in nanoseconds since the Unix epoch.
    pub first: u64,
    /// When the last came.
    pub last: u64,
    /// Of the first tenth of these, how many a second.
    pub first_tenth_per_second: f64,
    /// Of the last tenth.
    pub last_tenth_per_second: f64,
    /// Of the last half.
    pub last_half_per_second: f64,
    /// Half of these arrived within this time of their making, in ms.
    pub p50_ms: f64,
    /// 99 of 100 did.
    pub p99_ms: f64,
    /// Bytes of the headers of the last request.
    pub head_bytes: usize,
}

impl Report {
    /// Deliveries a second, from the first to the last.
    pub fn per_second(&self) -> f64 {
        self.delivered as f64 / ((self.last - self.first) as f64 / 1e9)
    }
}

impl Seen {
    fn report(&self) -> Report {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let at = |part: f64| {
            let index = ((sorted.len() as f64 * part).ceil() as usize).max(1) - 1;
            sorted.get(index).map_or(0.0, |nanos| *nanos as f64 / 1e6)
        };
        let tenth = self.arrivals.len() / 10;
        let rate = |part: &[u64]| match part {
            [first, .., last] => part.len() as f64 / ((last - first) as f64 / 1e9),
            [] | [_] => 0.0,
        };
        Report {
            requests: self.requests,
            delivered: self.arrivals.len(),
            first: self.arrivals.first().copied().unwrap_or_default(),
            last: self.arrivals.last().copied().unwrap_or_default(),
            first_tenth_per_second: rate(&self.arrivals[..tenth]),
            last_tenth_per_second: rate(&self.arrivals[self.arrivals.len() - tenth..]),
            last_half_per_second: rate(&self.arrivals[self.arrivals.len() / 2..]),
            p50_ms: at(0.5),
            p99_ms: at(0.99),
            head_bytes: self.head_bytes,
        }
    }

    /// Counts a request; whether it is to be answered 204.
    fn takes(&mut self, headers: &HeaderMap, body: &[u8], fail_first: u32) -> bool {
        let now = job::now_nanos();
        self.requests += 1;
        self.head_bytes = headers.iter().map(|(name, v)| name.as_str().len() + v.len() + 4).sum();
        let id = headers.get("webhook-id").and_then(|id| id.to_str().ok());
        if let (1.., Some(id)) = (fail_first, id) {
            let failed = self.failed.entry(id.to_owned()).or_default();
            if *failed < fail_first {
                *failed += 1;
                return false;
            }
        }
        self.arrivals.push(now);
        if let Some(made) = job::made_at(body) {
            self.latencies.push(now.saturating_sub(made));
        }
        true
    }
}

/// Serves until it is killed; answers 503 to each job's first `fail_first` attempts. Prints its
/// address.
pub fn run(fail_first: u32) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        let seen = Arc::new(Mutex::new(Seen::default()));
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let seen = Arc::clone(&seen);
            let service = service_fn(move |request| answer(Arc::clone(&seen), request, fail_first));
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    })
}

async fn answer(
    seen: Arc<Mutex<Seen>>,
    request: Request<Incoming>,
    fail_first: u32,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    let text = match head.uri.path() {
        "/count" => seen.arrivals.len().to_string(),
        "/report" => serde_json::to_string(&seen.report()).unwrap_or_default(),
        "/token" => TOKEN.to_owned(),
        _ => {
            let taken = seen.takes(&head.headers, &body, fail_first);
            let mut response = Response::new(Full::default());
            *response.status_mut() =
                if taken { StatusCode::NO_CONTENT } else { StatusCode::SERVICE_UNAVAILABLE };
            return Ok(response);
        }
    };
    let mut response = Response::new(Full::from(text));
    let kind = hyper::header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, kind);
    Ok(response)
}

/// A running sink.
pub struct Sink {
    _process: Process,
    /// Where it listens.
    pub address: String,
}

impl Sink {
    /// Starts a sink that answers 503 to each job's first `fail_first` attempts.
    pub fn start(fail_first: u32) -> anyhow::Result<Self> {
        let (process, mut output) = Process::part(&["sink", &fail_first.to_string()])?;
        Ok(Self { _process: process, address: first_line(&mut output)? })
    }

    /// What it has seen.
    pub fn report(&self) -> anyhow::Result<Report> {
        Ok(serde_json::from_str(&get(&self.address, "/report")?)?)
    }

    /// Waits until `count` deliveries have come, and no more than these.
    pub fn wait_for(&self, count: usize) -> anyhow::Result<Report> {
        let came = self.wait_for_about(count)?;
        ensure!(came == count, "{came} deliveries instead of {count}");
        self.report()
    }

    /// Waits until `count` deliveries have come; how many have.
    pub fn wait_for_about(&self, count: usize) -> anyhow::Result<usize> {
        for _ in 0..6000 {
            let came = get(&self.address, "/count")?.parse()?;
            if came >= count {
                return Ok(came);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        anyhow::bail!("not all {count} deliveries came within five minutes: {:?}", self.report()?)
    }
}
