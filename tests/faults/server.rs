//! A raw server that says what it is told to, and a client that may call it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sealpost::domain::endpoint::Method;
use sealpost::domain::request::OutboundRequest;
use sealpost::egress::client::{Client, Reply};
use sealpost::egress::guard::Guard;
use sealpost::egress::resolver::{Resolver, SystemResolver};
use sealpost::ports::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What the server does after it has read a request.
#[derive(Clone)]
pub enum Then {
    /// Sends this and closes.
    Send(Vec<u8>),
    /// Sends this and keeps the connection open for the next request.
    Keep(Vec<u8>),
    /// Sends this, then that again and again, one a step.
    Drip(Vec<u8>, Vec<u8>),
    /// Sends this, then that again and again, as fast as it can.
    Flood(Vec<u8>, Vec<u8>),
    /// Sends this, then resets the connection.
    Reset(Vec<u8>),
    /// Says nothing.
    Hang,
}

/// What the server has seen.
#[derive(Default)]
pub struct Seen {
    pub connections: AtomicUsize,
    /// Bytes that the other side took.
    pub written: AtomicUsize,
    pub received: Mutex<Vec<u8>>,
}

impl Seen {
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// What came, as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.received.lock().unwrap()).into_owned()
    }
}

/// Listens on every loopback address; does the same on every connection. The address returned is
/// 127.0.0.1's.
pub async fn listen(then: Then) -> (SocketAddr, Arc<Seen>) {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], listener.local_addr().unwrap().port()));
    let seen = Arc::new(Seen::default());
    let shared = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            shared.connections.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(speak(stream, then.clone(), Arc::clone(&shared)));
        }
    });
    (address, seen)
}

async fn speak(mut stream: TcpStream, then: Then, seen: Arc<Seen>) -> std::io::Result<()> {
    loop {
        let mut buffer = vec![0; 64 * 1024];
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        seen.received.lock().unwrap().extend_from_slice(&buffer[..read]);
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
            Then::Flood(first, again) => {
                stream.write_all(first).await?;
                loop {
                    stream.write_all(again).await?;
                    seen.written.fetch_add(again.len(), Ordering::SeqCst);
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

/// An address whose queue of connections is full: whoever dials it waits. Held by what is returned.
pub async fn black_hole() -> (SocketAddr, impl Drop) {
    struct Held(#[expect(dead_code, reason = "held open")] (TcpListener, Vec<TcpStream>));
    impl Drop for Held {
        fn drop(&mut self) {}
    }
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut held = Vec::new();
    for _ in 0..8 {
        let dial = tokio::time::timeout(
            Duration::from_millis(200),
            TcpSocket::new_v4().unwrap().connect(address),
        );
        match dial.await {
            Ok(stream) => held.push(stream.unwrap()),
            Err(_) => break,
        }
    }
    (address, Held((listener, held)))
}

/// Looks names up at a server of the test.
pub fn resolver(nameserver: SocketAddr) -> Arc<dyn Resolver> {
    Arc::new(SystemResolver::new(&[nameserver]).unwrap())
}

/// A resolver for URLs that hold addresses: it is never asked.
pub fn no_resolver() -> Arc<dyn Resolver> {
    resolver(SocketAddr::from(([127, 0, 0, 1], 1)))
}

/// A client that may call `allow` beside public addresses, and trusts `roots`.
pub fn client(allow: &str, resolver: Arc<dyn Resolver>, roots: Option<&std::path::Path>) -> Client {
    let guard = Guard {
        allow_http: true,
        allow: vec![allow.parse().unwrap()],
        ports: vec!["1-65535".parse().unwrap()],
        ..Guard::default()
    };
    Client::with_roots(Arc::new(guard), resolver, roots).unwrap()
}

pub fn request(url: &str) -> OutboundRequest {
    OutboundRequest::new(Method::Post, url.parse().unwrap(), "{}".into())
}

/// Calls a server once, with a deadline.
pub async fn call(client: &Client, url: &str, deadline: Duration) -> Result<Reply> {
    client.send(&request(url), Instant::now() + deadline, &CancellationToken::new()).await
}
