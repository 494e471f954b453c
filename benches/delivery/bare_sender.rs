//! The bare sender: hyper on connections of its own, and nothing else. What no worker can beat. It sends
//! as many bytes of headers and body as a delivery has, over as many connections.

use std::io::Read;

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::job;
use crate::process::Process;
use crate::processor::cpu_of;
use crate::sink::Sink;

/// Headers like those of a delivery that is signed as Standard Webhooks says.
const HEADERS: [(&str, &str); 6] = [
    ("content-type", "application/json"),
    ("user-agent", "sealpost/0.1.0"),
    ("webhook-id", "msg_0123456789abcdef0123456789abcdef"),
    ("idempotency-key", "msg_0123456789abcdef0123456789abcdef"),
    ("webhook-timestamp", "1800000000"),
    ("webhook-signature", "v1,MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="),
];
/// Bytes of bodies in one measurement, at most.
const MOST_BYTES: usize = 512 * 1024 * 1024;

/// What the bare sender is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Load {
    /// Bytes of a body.
    pub body_len: usize,
    /// Connections, with one request at a time on each.
    pub connections: usize,
}

/// What the bare sender does.
#[derive(Debug, Clone, Copy)]
pub struct Bare {
    /// Processor time of a request, in µs.
    pub cpu_us: f64,
    /// Requests a second.
    pub per_second: f64,
    /// Bytes of the headers.
    pub head_bytes: usize,
}

/// Sends `each` requests on each connection to `address`; prints the processor time that it took, in µs.
pub fn run(address: &str, each: usize, load: Load) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let body = Bytes::from(job::body(load.body_len));
        let senders: Vec<_> = (0..load.connections)
            .map(|_| tokio::spawn(send(address.to_owned(), each, body.clone())))
            .collect();
        for sender in senders {
            sender.await??;
        }
        println!("{}", cpu_of("self")?.as_secs_f64() * 1e6);
        Ok(())
    })
}

async fn send(address: String, requests: usize, body: Bytes) -> anyhow::Result<()> {
    let stream = TcpStream::connect(&address).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    for _ in 0..requests {
        let mut request = Request::post("/").header("host", &address);
        for (name, value) in HEADERS {
            request = request.header(name, value);
        }
        let response = sender.send_request(request.body(Full::new(body.clone()))?).await?;
        response.into_body().collect().await?;
    }
    Ok(())
}

/// About `requests` requests against a sink of its own.
pub fn measure(requests: usize, load: Load) -> anyhow::Result<Bare> {
    let sink = Sink::start(0)?;
    let each = (requests.min(MOST_BYTES / load.body_len) / load.connections).max(4);
    let numbers = [each, load.body_len, load.connections].map(|number| number.to_string());
    let [each_text, body_len, connections] = &numbers;
    let (_process, mut output) =
        Process::part(&["bare-sender", &sink.address, each_text, body_len, connections])?;
    let mut printed = String::new();
    output.read_to_string(&mut printed)?;
    let sent = each * load.connections;
    let report = sink.wait_for(sent)?;
    Ok(Bare {
        cpu_us: printed.trim().parse::<f64>()? / sent as f64,
        per_second: report.per_second(),
        head_bytes: report.head_bytes,
    })
}
