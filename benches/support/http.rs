//! A client of the API that writes requests as bytes and reads no more of an answer than its length, so
//! that what is measured is the server.

use anyhow::{Context, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A request with a key.
pub fn request(key: &str, path: &str, kind: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {key}\r\ncontent-type: {kind}\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Sends a request and reads the answer to its end.
pub async fn call(stream: &mut TcpStream, request: &[u8], status: &str) -> anyhow::Result<()> {
    stream.write_all(request).await?;
    let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut piece).await?;
        ensure!(read > 0, "the server closed the connection");
        answer.extend_from_slice(&piece[..read]);
        let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
        ensure!(head[9..].starts_with(status), "{}", String::from_utf8_lossy(&answer));
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.context("no content-length")?.parse()?;
        if answer.len() == end + 4 + length {
            return Ok(());
        }
    }
}
