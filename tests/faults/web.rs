//! A small HTTP server that answers each request as a function of its text.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A running server.
pub struct Web {
    /// Scheme, host and port.
    pub origin: String,
    /// The requests so far, head and body.
    pub requests: Arc<Mutex<Vec<String>>>,
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
                    let mut text = String::new();
                    let mut buffer = vec![0; 64 * 1024];
                    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
                        let Some(request) = whole(&mut text) else { continue };
                        seen.lock().unwrap().push(request.clone());
                        let (head, body) = answer(&request);
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

    pub fn all(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// Takes a whole request off the text.
fn whole(text: &mut String) -> Option<String> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    let end = head.len() + 4 + length;
    if body.len() < length {
        return None;
    }
    let request = text[..end].to_owned();
    text.drain(..end);
    Some(request)
}
