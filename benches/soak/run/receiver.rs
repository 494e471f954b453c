//! A server that plays all endpoints and notes what it has taken.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::time::sleep;

use super::dice::Dice;
use super::ledger::Ledger;
use super::traffic::Kind;

/// Where it listens, and where nobody does.
pub struct Receiver {
    origin: String,
    nobody: String,
}

#[derive(Clone)]
struct Server {
    ledger: Arc<Ledger>,
    dice: Arc<Mutex<Dice>>,
}

impl Receiver {
    pub async fn start(ledger: Arc<Ledger>, dice: Dice) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let server = Server { ledger, dice: Arc::new(Mutex::new(dice)) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = server.clone();
                let answer = service_fn(move |request| {
                    let server = server.clone();
                    async move { server.answer(request).await }
                });
                let served = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
                // However it ends.
                tokio::spawn(async move { drop(served.await) });
            }
        });
        Self { origin, nobody: format!("http://{nobody}") }
    }

    /// The origin of an endpoint.
    pub fn origin(&self, kind: Kind) -> String {
        match kind {
            Kind::Dead => self.nobody.clone(),
            Kind::Healthy(_)
            | Kind::Flaky
            | Kind::Slow
            | Kind::Resets
            | Kind::Limited
            | Kind::Hangs => self.origin.clone(),
        }
    }
}

impl Server {
    async fn answer(&self, request: Request<Incoming>) -> std::io::Result<Response<Empty<Bytes>>> {
        let path = request.uri().path().to_owned();
        let id = request.headers().get("webhook-id").and_then(|id| id.to_str().ok());
        let id = id.unwrap_or_default().to_owned();
        request.into_body().collect().await.map_err(std::io::Error::other)?;
        let chance = |percent| self.dice.lock().unwrap().in_percent(percent);
        match path.as_str() {
            "/flaky" if chance(30) => return Ok(status(StatusCode::SERVICE_UNAVAILABLE)),
            "/resets" if chance(20) => return Err(std::io::Error::other("closed on purpose")),
            "/slow" => sleep(Duration::from_millis(300)).await,
            "/hangs" => std::future::pending::<()>().await,
            _ => {}
        }
        self.ledger.arrived(&id, path == "/limited");
        Ok(status(StatusCode::NO_CONTENT))
    }
}

fn status(status: StatusCode) -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    response
}
