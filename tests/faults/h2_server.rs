//! A server that speaks HTTP/2 in frames written by hand, so that it can speak it badly.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::server::Seen;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// What the server does on each of its connections.
#[derive(Clone)]
pub struct Script {
    /// Sent at once.
    pub first: Vec<u8>,
    /// How many whole requests are awaited.
    pub requests: usize,
    /// Sent then.
    pub after: Vec<u8>,
    /// Done after that.
    pub end: End,
}

#[derive(Clone)]
pub enum End {
    /// Closes.
    Close,
    /// Reads on and says nothing more.
    Hang,
    /// Sends this again and again, as fast as it can.
    Flood(Vec<u8>),
}

/// After one request, this.
pub fn after(bytes: Vec<u8>, end: End) -> Script {
    Script { first: settings(&[]), requests: 1, after: bytes, end }
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

pub fn settings(pairs: &[(u16, u32)]) -> Vec<u8> {
    let pair = |(id, value): &(u16, u32)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat();
    frame(4, 0, 0, &pairs.iter().flat_map(pair).collect::<Vec<_>>())
}

pub fn goaway(last: u32, words: &str) -> Vec<u8> {
    frame(7, 0, 0, &[&last.to_be_bytes()[..], &[0; 4], words.as_bytes()].concat())
}

pub fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(3, 0, stream, &code.to_be_bytes())
}

/// A head with this status and no more, and whether nothing follows it.
pub fn status(stream: u32, status: &str, is_all: bool) -> Vec<u8> {
    let flags = END_HEADERS | if is_all { END_STREAM } else { 0 };
    frame(HEADERS, flags, stream, &[&[8, 3], status.as_bytes()].concat())
}

pub fn body(stream: u32, bytes: &[u8]) -> Vec<u8> {
    frame(DATA, 0, stream, bytes)
}

/// A head of about so many bytes, over as many frames as it takes.
pub fn large_head(stream: u32, size: usize) -> Vec<u8> {
    let line = [&[0, 1, b'x', 100][..], &[b'y'; 100]].concat();
    let block = [&[0x88], &line.repeat(size / line.len())[..]].concat();
    let mut pieces = block.chunks(16 * 1024).peekable();
    let mut frames = frame(HEADERS, END_STREAM, stream, pieces.next().unwrap());
    while let Some(piece) = pieces.next() {
        let flags = if pieces.peek().is_none() { END_HEADERS } else { 0 };
        frames.extend(frame(9, flags, stream, piece));
    }
    frames
}

/// Listens on loopback. The beginning of each request counts as received, as `POST /`.
pub async fn listen(acceptor: TlsAcceptor, script: Script) -> (SocketAddr, Arc<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(Seen::default());
    let shared = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            shared.connections.fetch_add(1, Ordering::SeqCst);
            let (acceptor, script, seen) = (acceptor.clone(), script.clone(), Arc::clone(&shared));
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return Ok(()) };
                play(stream, script, &seen).await
            });
        }
    });
    (address, seen)
}

async fn play(
    mut stream: TlsStream<TcpStream>,
    script: Script,
    seen: &Seen,
) -> std::io::Result<()> {
    stream.write_all(&script.first).await?;
    stream.read_exact(&mut [0; 24]).await?;
    for _ in 0..script.requests {
        while !read_frame(&mut stream, seen).await? {}
    }
    stream.write_all(&script.after).await?;
    match script.end {
        End::Close => stream.shutdown().await,
        End::Hang => loop {
            read_frame(&mut stream, seen).await?;
        },
        End::Flood(again) => loop {
            stream.write_all(&again).await?;
            seen.written.fetch_add(again.len(), Ordering::SeqCst);
        },
    }
}

/// Whether it ends a request.
async fn read_frame(stream: &mut TlsStream<TcpStream>, seen: &Seen) -> std::io::Result<bool> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await?;
    let [a, b, c, kind, flags, ..] = head;
    let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
    stream.read_exact(&mut vec![0; length]).await?;
    if kind == HEADERS {
        seen.received.lock().unwrap().extend(b"POST / ");
    }
    Ok(matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0)
}
