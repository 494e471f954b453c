//! A proxy before the emulator that does to calls what networks and services do to them: it refuses them,
//! breaks their connection, loses, holds or alters their answers.

#![allow(dead_code, reason = "each suite uses its part")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sqs::config::{Credentials, SharedCredentialsProvider};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http_body_util::{BodyExt, Full};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use sealpost::adapters::aws::Clients;
use sealpost::adapters::aws::client::timeouts;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;

/// What is done to a call.
#[derive(Clone)]
pub enum Fault {
    /// It is answered with this status and code, and not carried out.
    Refuse(u16, &'static str),
    /// It is answered so, and not carried out.
    Say(Value),
    /// Its connection is closed, and it is not carried out.
    Reset,
    /// It is carried out when [`FaultProxy::release`] lets it go.
    Stall,
    /// It is carried out, and its connection closed instead of an answer.
    LoseAnswer,
    /// It is carried out, and its answer held until [`FaultProxy::release`].
    Hold,
    /// It is carried out, and its answer altered.
    Alter(Arc<dyn Fn(&mut Value) + Send + Sync>),
    /// It is carried out, and its answer is no JSON.
    Garble,
}

impl Fault {
    /// Alters an answer.
    pub fn alter(with: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        Self::Alter(Arc::new(with))
    }
}

/// Which calls meet a fault, and how often.
struct Plan {
    operation: &'static str,
    /// Only where the call's body holds this.
    about: String,
    fault: Fault,
    times: usize,
}

#[derive(Default)]
struct State {
    plans: Vec<Plan>,
    /// Every call, in order.
    calls: Vec<String>,
}

/// A running proxy.
pub struct FaultProxy {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    /// How many answers are held.
    held: watch::Sender<usize>,
    /// How often what was held has been let go.
    released: watch::Sender<usize>,
}

type Answer = Result<Response<Full<Bytes>>, &'static str>;

impl FaultProxy {
    /// Before `target`.
    pub async fn before(target: &str) -> Arc<Self> {
        let target: SocketAddr = target.trim_start_matches("http://").parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Arc::new(Self {
            address: listener.local_addr().unwrap(),
            state: Arc::default(),
            held: watch::Sender::new(0),
            released: watch::Sender::new(0),
        });
        let serving = Arc::clone(&proxy);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let proxy = Arc::clone(&serving);
                let serve = service_fn(move |request| Arc::clone(&proxy).pass(request, target));
                // However it ends.
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), serve));
            }
        });
        proxy
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Clients through it, with the program's own timeouts.
    pub fn clients(&self) -> Clients {
        let credentials = Credentials::new("test", "test", None, None, "test");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .endpoint_url(self.url())
            .timeout_config(timeouts(std::time::Duration::ZERO))
            .build();
        Clients::new(&config)
    }

    /// The next `times` calls of `operation` meet `fault`.
    pub fn plan(&self, operation: &'static str, times: usize, fault: Fault) {
        self.plan_about("", operation, times, fault);
    }

    /// The same of the calls whose body holds `about`.
    pub fn plan_about(&self, about: &str, operation: &'static str, times: usize, fault: Fault) {
        let about = about.to_owned();
        self.state.lock().unwrap().plans.push(Plan { operation, about, fault, times });
    }

    /// No call meets a fault any more.
    pub fn heal(&self) {
        self.state.lock().unwrap().plans.clear();
        self.release();
    }

    /// Lets go what is held.
    pub fn release(&self) {
        self.released.send_modify(|times| *times += 1);
    }

    /// Waits until so many answers are held.
    pub async fn holds(&self, count: usize) {
        self.held.subscribe().wait_for(|held| *held >= count).await.unwrap();
    }

    /// How often an operation was called.
    pub fn calls(&self, operation: &str) -> usize {
        self.state.lock().unwrap().calls.iter().filter(|call| *call == operation).count()
    }

    fn planned(&self, operation: &str, body: &[u8]) -> Option<Fault> {
        let body = String::from_utf8_lossy(body);
        let mut state = self.state.lock().unwrap();
        state.calls.push(operation.to_owned());
        let meets = |plan: &&mut Plan| {
            plan.times > 0 && plan.operation == operation && body.contains(&plan.about)
        };
        let plan = state.plans.iter_mut().find(meets)?;
        plan.times -= 1;
        Some(plan.fault.clone())
    }

    /// Waits until what is held is let go, as it was not `before`.
    async fn keep(&self, before: usize) {
        let mut released = self.released.subscribe();
        self.held.send_modify(|held| *held += 1);
        let _ = released.wait_for(|times| *times > before).await;
        self.held.send_modify(|held| *held -= 1);
    }

    async fn pass(
        self: Arc<Self>,
        request: Request<hyper::body::Incoming>,
        target: SocketAddr,
    ) -> Answer {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| "the caller went away")?.to_bytes();
        let name = head.headers.get("x-amz-target").and_then(|name| name.to_str().ok());
        let operation = name.and_then(|name| name.split_once('.')).map_or("", |(_, name)| name);
        let before = *self.released.borrow();
        let fault = self.planned(operation, &body);
        match &fault {
            Some(Fault::Refuse(status, code)) => return Ok(refusal(*status, code)),
            Some(Fault::Say(answer)) => return Ok(Response::new(answer.to_string().into())),
            Some(Fault::Reset) => return Err("reset"),
            Some(Fault::Stall) => self.keep(before).await,
            Some(Fault::LoseAnswer | Fault::Hold | Fault::Alter(_) | Fault::Garble) | None => {}
        }
        let (mut head, mut body) = forward(Request::from_parts(head, body), target).await?;
        match fault {
            Some(Fault::LoseAnswer) => return Err("lost"),
            Some(Fault::Hold) => self.keep(before).await,
            Some(Fault::Alter(alter)) => {
                let mut json = serde_json::from_slice(&body).unwrap_or(Value::Null);
                alter(&mut json);
                body = json.to_string().into();
            }
            Some(Fault::Garble) => body = Bytes::from_static(b"<html>502</html>"),
            Some(Fault::Refuse(..) | Fault::Say(_) | Fault::Reset | Fault::Stall) | None => {}
        }
        head.headers.remove(CONTENT_LENGTH);
        head.headers.remove(TRANSFER_ENCODING);
        head.headers.remove("x-amz-crc32");
        Ok(Response::from_parts(head, Full::new(body)))
    }
}

fn refusal(status: u16, code: &str) -> Response<Full<Bytes>> {
    let body = json!({"__type": code, "message": "planned by the test"}).to_string();
    let response = Response::builder().status(status).header("x-amzn-errortype", code);
    response.header("x-amzn-requestid", "planned").body(Full::from(body)).unwrap()
}

/// Makes the call; a connection for each.
async fn forward(
    request: Request<Bytes>,
    target: SocketAddr,
) -> Result<(http::response::Parts, Bytes), &'static str> {
    let gone = "the emulator is gone";
    let socket = TcpSocket::new_v4().map_err(|_| gone)?;
    let stream = socket.connect(target).await.map_err(|_| gone)?;
    let stream = TokioIo::new(stream);
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(stream).await.map_err(|_| gone)?;
    tokio::spawn(connection);
    let answer = sender.send_request(request.map(Full::new)).await.map_err(|_| gone)?;
    let (head, body) = answer.into_parts();
    Ok((head, body.collect().await.map_err(|_| gone)?.to_bytes()))
}
