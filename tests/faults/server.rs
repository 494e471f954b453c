//! A raw server that says what it is told to, and a client that may call it.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use sealpost::domain::endpoint::Method;
use sealpost::domain::request::OutboundRequest;
use sealpost::egress::client::{Client, Reply};
use sealpost::egress::guard::Guard;
use sealpost::egress::resolver::Resolver;
use sealpost::ports::{Error, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What the server does after it has read a request.
#[derive(Clone)]
pub enum Then {
    /// Sends this and closes.
    Send(Vec<u8>),
    /// Sends this and keeps the connection open for the next request.
    Keep(Vec<u8>),
    /// Sends this, then this again and again, one a step.
    Drip(Vec<u8>, Vec<u8>),
    /// Sends this, then resets the connection.
    Reset(Vec<u8>),
    /// Says nothing.
    Hang,
}

/// Listens; does the same on every connection. Returns the address and counts connections.
pub async fn listen(then: Then) -> (SocketAddr, Arc<Mutex<usize>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(Mutex::new(0));
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            *count.lock().unwrap() += 1;
            tokio::spawn(speak(stream, then.clone()));
        }
    });
    (address, connections)
}

async fn speak(mut stream: TcpStream, then: Then) -> std::io::Result<()> {
    loop {
        let mut buffer = vec![0; 64 * 1024];
        if stream.read(&mut buffer).await? == 0 {
            return Ok(());
        }
        match &then {
            Then::Send(bytes) => return stream.write_all(bytes).await,
            Then::Keep(bytes) => stream.write_all(bytes).await?,
            Then::Drip(first, again) => {
                stream.write_all(first).await?;
                loop {
                    stream.write_all(again).await?;
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            Then::Reset(bytes) => {
                stream.write_all(bytes).await?;
                stream.flush().await?;
                // What was sent must be read before the reset throws it away.
                tokio::time::sleep(Duration::from_millis(250)).await;
                return stream.set_zero_linger();
            }
            Then::Hang => std::future::pending().await,
        }
    }
}

/// Answers with one list after another; the last one for ever. `None` is a failing resolver.
pub struct ScriptedResolver(Mutex<VecDeque<Option<Vec<IpAddr>>>>);

impl ScriptedResolver {
    pub fn new(answers: impl IntoIterator<Item = Option<Vec<IpAddr>>>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(answers.into_iter().collect())))
    }
}

#[async_trait]
impl Resolver for ScriptedResolver {
    async fn resolve(&self, _: &str) -> Result<Vec<IpAddr>> {
        let mut answers = self.0.lock().unwrap();
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        answer.flatten().ok_or_else(|| Error::new("resolver.lookup", "SERVFAIL"))
    }
}

/// A client that may call `allow` beside public addresses.
pub fn client(allow: &str, resolver: Arc<dyn Resolver>) -> Client {
    let guard = Guard {
        allow_http: true,
        allow: vec![allow.parse().unwrap()],
        ports: vec!["1-65535".parse().unwrap()],
        ..Guard::default()
    };
    Client::with_roots(Arc::new(guard), resolver, None).unwrap()
}

pub fn request(url: &str) -> OutboundRequest {
    OutboundRequest {
        method: Method::Post,
        url: url.parse().unwrap(),
        secret_query: Vec::new(),
        headers: Vec::new(),
        body: "{}".into(),
    }
}

/// Calls a server once, with a deadline.
pub async fn call(client: &Client, url: &str, deadline: Duration) -> Result<Reply> {
    client.send(&request(url), Instant::now() + deadline, &CancellationToken::new()).await
}
