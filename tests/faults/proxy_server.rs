//! A proxy that opens tunnels, or does as it is told.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use sealpost::egress::proxy::Proxy;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// What the proxy does when it is asked.
#[derive(Clone)]
pub enum Then {
    /// Opens a tunnel to this server, whatever address was named.
    Tunnel(SocketAddr),
    /// Sends this and closes.
    Say(Vec<u8>),
    /// Sends this again and again.
    Flood(Vec<u8>),
    /// Says nothing.
    Hang,
}

/// A running proxy.
pub struct ProxyServer {
    pub address: SocketAddr,
    /// The heads that came.
    pub asked: Arc<Mutex<Vec<String>>>,
}

impl ProxyServer {
    /// Does one thing after another; the last one for ever.
    pub async fn start(what: Vec<Then>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, asked) = (listener.local_addr().unwrap(), Arc::default());
        let (seen, mut what) = (Arc::clone(&asked), VecDeque::from(what));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let then = what[0].clone();
                if what.len() > 1 {
                    what.pop_front();
                }
                tokio::spawn(serve(stream, then, Arc::clone(&seen)));
            }
        });
        Self { address, asked }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What a client is told of it.
    pub fn configured(&self, credentials: Option<&std::path::Path>) -> Option<Proxy> {
        Proxy::configured(Some(&self.url().parse().unwrap()), credentials).unwrap()
    }

    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    then: Then,
    asked: Arc<Mutex<Vec<String>>>,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    asked.lock().unwrap().push(String::from_utf8(head).unwrap());
    match then {
        Then::Tunnel(server) => {
            let mut target = TcpSocket::new_v4()?.connect(server).await?;
            stream.write_all(b"HTTP/1.1 200 Connection established\r\nvia: p\r\n\r\n").await?;
            copy_bidirectional(&mut stream, &mut target).await.map(|_| ())
        }
        Then::Say(bytes) => stream.write_all(&bytes).await,
        Then::Flood(bytes) => loop {
            stream.write_all(&bytes).await?;
        },
        Then::Hang => std::future::pending().await,
    }
}
