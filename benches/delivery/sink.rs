//! The sink: an HTTP server in a process of its own that answers 204 and counts.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::ensure;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::job;
use crate::process::{Process, first_line, get};

#[derive(Default)]
struct Seen {
    count: usize,
    first: u64,
    last: u64,
    latencies: Vec<u64>,
}

/// What the sink has seen since it was last asked.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// Requests.
    pub count: usize,
    /// From the first to the last, in seconds.
    pub seconds: f64,
    /// Half of the requests arrived within this time of their making, in ms.
    pub p50_ms: f64,
    /// 99 of 100 did.
    pub p99_ms: f64,
}

impl Seen {
    fn report(&self) -> Report {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let at = |part: f64| {
            let index = ((sorted.len() as f64 * part).ceil() as usize).max(1) - 1;
            sorted.get(index).map_or(0.0, |nanos| *nanos as f64 / 1e6)
        };
        let seconds = (self.last.saturating_sub(self.first)) as f64 / 1e9;
        Report { count: self.count, seconds, p50_ms: at(0.5), p99_ms: at(0.99) }
    }
}

/// Serves until it is killed. Prints its address.
pub fn run() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        let seen = Arc::new(Mutex::new(Seen::default()));
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let seen = Arc::clone(&seen);
            let service = service_fn(move |request| answer(Arc::clone(&seen), request));
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
) -> Result<Response<Full<Bytes>>, Infallible> {
    let asked = request.uri().path() == "/report";
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let now = job::now_nanos();
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    if asked {
        let report = serde_json::to_vec(&seen.report()).unwrap_or_default();
        return Ok(Response::new(report.into()));
    }
    seen.count += 1;
    seen.first = if seen.count == 1 { now } else { seen.first };
    seen.last = now;
    if let Some(made) = job::made_at(&body) {
        seen.latencies.push(now.saturating_sub(made));
    }
    let mut response = Response::new(Full::default());
    *response.status_mut() = hyper::StatusCode::NO_CONTENT;
    Ok(response)
}

/// A running sink.
pub struct Sink {
    _process: Process,
    /// Where it listens.
    pub address: String,
}

impl Sink {
    /// Starts a sink.
    pub fn start() -> anyhow::Result<Self> {
        let (process, mut output) = Process::part(&["sink"])?;
        Ok(Self { _process: process, address: first_line(&mut output)? })
    }

    /// What it has seen.
    pub fn report(&self) -> anyhow::Result<Report> {
        Ok(serde_json::from_str(&get(&self.address, "/report")?)?)
    }

    /// Waits until `count` requests have come.
    pub fn wait_for(&self, count: usize) -> anyhow::Result<Report> {
        for _ in 0..2400 {
            let report = self.report()?;
            if report.count >= count {
                ensure!(report.count == count, "{} requests instead of {count}", report.count);
                return Ok(report);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        anyhow::bail!("not all requests came within two minutes")
    }
}
