//! The bare sender: hyper on connections of its own, and nothing else. What no worker can beat.

use std::io::Read;

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::process::Process;
use crate::processor::cpu_of;
use crate::sink::Sink;
use crate::summary::Summary;
use crate::{CONNECTIONS, job};

/// Sends `requests` requests to `address` and prints the processor time that each took, in µs.
pub fn run(address: &str, requests: usize) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let each = requests / CONNECTIONS;
        let senders: Vec<_> =
            (0..CONNECTIONS).map(|_| tokio::spawn(send(address.to_owned(), each))).collect();
        for sender in senders {
            sender.await??;
        }
        let used = cpu_of("self")?;
        println!("{}", used.as_secs_f64() * 1e6 / (each * CONNECTIONS) as f64);
        Ok(())
    })
}

async fn send(address: String, requests: usize) -> anyhow::Result<()> {
    let stream = TcpStream::connect(&address).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let body = Bytes::from(job::body());
    for _ in 0..requests {
        let request = Request::post("/")
            .header("host", &address)
            .header("content-type", "application/json")
            .body(Full::new(body.clone()))?;
        let response = sender.send_request(request).await?;
        response.into_body().collect().await?;
    }
    Ok(())
}

/// One run against a sink of its own.
pub fn measure(requests: usize, summary: &mut Summary) -> anyhow::Result<()> {
    let sink = Sink::start()?;
    let (_process, mut output) =
        Process::part(&["bare-sender", &sink.address, &requests.to_string()])?;
    let mut printed = String::new();
    output.read_to_string(&mut printed)?;
    summary.add("bare_sender.cpu_us_per_request", printed.trim().parse()?);
    Ok(())
}
