//! The endpoints: one server that answers, hangs or fails by path, and notes the calls that it answers.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};
use tokio::time::Instant;

use sealpost::adapters::system::SystemClock;
use sealpost::domain::timestamp::Timestamp;
use sealpost::ports::Clock;

/// The header in which an endpoint's job says when it was made, in ms since 1970.
pub const MADE_AT: &str = "x-made-at";
/// No call comes for so long: something is wrong.
const SILENCE: Duration = Duration::from_secs(60);

/// A call that was answered.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    pub at: Instant,
    /// From the making of its job.
    pub took: Duration,
}

pub struct Receiver {
    pub origin: String,
    calls: Mutex<mpsc::UnboundedReceiver<Call>>,
}

impl Receiver {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let (sender, calls) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let sender = sender.clone();
                let serve = service_fn(move |request| answer(request, sender.clone()));
                let served = http1::Builder::new().serve_connection(TokioIo::new(stream), serve);
                // However it ends.
                tokio::spawn(async move { drop(served.await) });
            }
        });
        Self { origin, calls: Mutex::new(calls) }
    }

    /// The next `count` calls that are answered.
    pub async fn healthy_calls(&self, count: usize) -> Vec<Call> {
        let (mut calls, mut found) = (self.calls.lock().await, Vec::with_capacity(count));
        while found.len() < count {
            let call = tokio::time::timeout(SILENCE, calls.recv()).await;
            found.push(call.unwrap_or_else(|_| panic!("no call for {SILENCE:?}")).unwrap());
        }
        found
    }
}

async fn answer(
    request: Request<Incoming>,
    calls: mpsc::UnboundedSender<Call>,
) -> hyper::Result<Response<Empty<Bytes>>> {
    let (head, body) = request.into_parts();
    body.collect().await?;
    let mut response = Response::new(Empty::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    match head.uri.path() {
        "/hangs" => std::future::pending().await,
        "/fails" => *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
        _ => {
            let made = head.headers.get(MADE_AT).and_then(|at| at.to_str().ok()?.parse().ok());
            let took = SystemClock.now().since(Timestamp::from_millis(made.unwrap_or(0)));
            // Nobody hears of calls after the end.
            let _ = calls.send(Call { at: Instant::now(), took });
        }
    }
    Ok(response)
}
