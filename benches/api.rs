//! How fast the HTTP API takes jobs, with its clients on the same machine: `cargo bench --bench api`.
//!
//! A job is durable when it is answered.

#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock and dials its own server"
)]
#![allow(missing_docs, reason = "a program")]

#[path = "support/http.rs"]
mod http;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Parser;
use sealpost::access::issue_key;
use sealpost::api::{Api, serve};
use sealpost::app::{App, Role};
use sealpost::config::Config;
use sealpost::domain::access::{Grant, Scope};
use sealpost::monitor::Monitor;
use sealpost::worker::Stop;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use http::{call, request};

/// Measures the API; prints jobs a second.
#[derive(Debug, Parser)]
struct Bench {
    /// Jobs sent one by one in a run
    #[arg(long, default_value_t = 20_000)]
    jobs: usize,
    /// Jobs sent in bulk in a run
    #[arg(long, default_value_t = 100_000)]
    bulk: usize,
    /// Clients at once
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// Runs of each measurement
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Where the data directory is made: on the disk that is to be measured
    #[arg(long, default_value = env!("CARGO_TARGET_TMPDIR"))]
    folder: PathBuf,
    /// What cargo adds
    #[arg(long, hide = true)]
    bench: bool,
}

/// A server to be measured.
struct Server {
    address: SocketAddr,
    key: String,
}

fn main() -> anyhow::Result<()> {
    let bench = Bench::parse();
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(measure(&bench))
}

async fn measure(bench: &Bench) -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(&bench.folder)?;
    let mut config = Config::default();
    config.api.requests_per_second = 1_000_000;
    let app = Arc::new(App::embedded(folder.path(), config, Role::Command).await?);
    let grant = Grant::Operator { scope: Scope::Producer, customers: None, endpoints: None };
    let key = issue_key(&app, "bench".to_owned(), grant, None).await?.text;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let key = key.expose_str().context("a key is text")?.to_owned();
    let server = Server { address: listener.local_addr()?, key };
    let router = Arc::new(Api::new(Monitor::new(Arc::clone(&app), None))).router();
    tokio::spawn(serve(listener, router, Duration::from_secs(1), Stop::default()));
    let mut rows: [(&str, Vec<f64>); 4] = [
        ("one by one, without an id", Vec::new()),
        ("one by one, with an id", Vec::new()),
        ("in bulk, without ids", Vec::new()),
        ("in bulk, with ids", Vec::new()),
    ];
    for run in 0..bench.runs {
        for (row, named) in [(0, false), (1, true)] {
            rows[row].1.push(one_by_one(&server, bench, named.then_some(run)).await?);
        }
        for (row, named) in [(2, false), (3, true)] {
            rows[row].1.push(in_bulk(&server, bench, named.then_some(run)).await?);
        }
    }
    let sent = bench.runs * 2 * (bench.jobs / bench.clients * bench.clients + bench.bulk);
    let pending = app.queue.depth().await?.pending;
    ensure!(pending == sent as u64, "{pending} jobs are in the queue, and {sent} were sent");
    println!(
        "jobs a second, median (least to most) of {} runs, {} clients",
        bench.runs, bench.clients
    );
    for (name, mut rates) in rows {
        rates.sort_by(f64::total_cmp);
        let (median, last) = (rates[rates.len() / 2], rates.len() - 1);
        println!("{name:<28}{median:>8.0} ({:.0} to {:.0})", rates[0], rates[last]);
    }
    Ok(())
}

/// A job of about 1 KiB; with an id where a run is named.
fn job(named: Option<usize>, number: usize) -> String {
    let mut job = json!({"customerId": "acme", "endpointId": "orders", "type": "order.created",
                         "data": {"orderId": number, "note": "x".repeat(900)}});
    if let Some(run) = named {
        job["id"] = format!("evt_{run}_{number}").into();
    }
    job.to_string()
}

async fn one_by_one(server: &Server, bench: &Bench, named: Option<usize>) -> anyhow::Result<f64> {
    let each = bench.jobs / bench.clients;
    let mut clients = JoinSet::new();
    let begun = Instant::now();
    for client in 0..bench.clients {
        let body = |n| {
            let job = job(named, client * each + n);
            request(&server.key, "/v1/jobs", "application/json", &job)
        };
        let requests: Vec<Vec<u8>> = (0..each).map(body).collect();
        let address = server.address;
        clients.spawn(async move {
            let mut stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            for request in requests {
                call(&mut stream, &request, "202").await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended??;
    }
    Ok((each * bench.clients) as f64 / begun.elapsed().as_secs_f64())
}

async fn in_bulk(server: &Server, bench: &Bench, named: Option<usize>) -> anyhow::Result<f64> {
    // Not the ids of those that were sent one by one.
    let named = named.map(|run| run + 1000);
    let mut lines = String::new();
    for number in 0..bench.bulk {
        writeln!(lines, "{}", job(named, number))?;
    }
    let request = request(&server.key, "/v1/jobs/bulk", "application/x-ndjson", &lines);
    let mut stream = TcpStream::connect(server.address).await?;
    let begun = Instant::now();
    call(&mut stream, &request, "200").await?;
    Ok(bench.bulk as f64 / begun.elapsed().as_secs_f64())
}
