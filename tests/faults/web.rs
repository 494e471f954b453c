//! A small HTTP server that answers each request as a function of its text.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A running server.
pub struct Web {
    /// Scheme, host and port.
    pub origin: String,
    /// The requests so far, head and body, byte for byte.
    pub requests: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Web {
    /// Starts a server. `answer` gives the status line's end, header lines, and the body.
    pub async fn start(answer: impl Fn(&str) -> (String, String) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (answer, seen) = (Arc::new(answer), Arc::clone(&requests));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (answer, seen) = (Arc::clone(&answer), Arc::clone(&seen));
                tokio::spawn(async move {
                    let mut read = Vec::new();
                    while let Ok(1..) = stream.read_buf(&mut read).await {
                        let Some(request) = whole(&mut read) else { continue };
                        seen.lock().unwrap().push(request.clone());
                        let (head, body) = answer(&String::from_utf8_lossy(&request));
                        let length = body.len();
                        let reply =
                            format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\n\r\n{body}");
                        if stream.write_all(reply.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { origin, requests }
    }

    pub fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    /// The requests so far as text.
    pub fn all(&self) -> Vec<String> {
        let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
        self.requests.lock().unwrap().iter().map(text).collect()
    }
}

/// Takes a whole request off what was read.
fn whole(read: &mut Vec<u8>) -> Option<Vec<u8>> {
    let end = read.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&read[..end]).into_owned();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let end = end + length.map_or(0, |length| length.parse().unwrap());
    (read.len() >= end).then(|| read.drain(..end).collect())
}
