//! A producer in this process, which sends jobs to the worker's HTTP API.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::stage::Stage;
use crate::http::{call, request};
use crate::job;

/// Connections.
const CLIENTS: usize = 8;
/// Jobs in a request where they are sent as fast as they are taken.
const BULK: usize = 1000;

/// A producer with connections to the API.
pub struct Producer {
    api: SocketAddr,
    key: String,
    runtime: Runtime,
}

impl Producer {
    /// A producer of the worker of a stage, which may still be starting.
    pub fn of(stage: &Stage) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let producer = Self { api: stage.api, key: stage.key.clone(), runtime };
        for _ in 0..1000 {
            if std::net::TcpStream::connect(producer.api).is_ok() {
                return Ok(producer);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        anyhow::bail!("the API does not listen at {} within ten seconds", producer.api)
    }

    /// Sends `jobs` jobs in bulk, as fast as they are taken.
    pub fn send_all(&self, jobs: usize) -> anyhow::Result<()> {
        self.runtime.block_on(async {
            let mut stream = connect(self.api).await?;
            for start in (0..jobs).step_by(BULK) {
                let request = bulk(&self.key, BULK.min(jobs - start));
                call(&mut stream, &request, "200").await?;
            }
            Ok(())
        })
    }

    /// Sends `per_second` jobs a second for `span`, `at_once` of them in each request, and returns how
    /// many. A request is sent when it is due, as long as one of the connections is free.
    pub fn send_at(
        &self,
        per_second: f64,
        at_once: usize,
        span: Duration,
    ) -> anyhow::Result<usize> {
        let requests = (per_second * span.as_secs_f64() / at_once as f64) as usize;
        let every = at_once as f64 / per_second;
        self.runtime.block_on(async {
            let (begun, mut clients) = (Instant::now(), JoinSet::new());
            for client in 0..CLIENTS {
                let (api, key) = (self.api, self.key.clone());
                clients.spawn(async move {
                    let mut stream = connect(api).await?;
                    for number in (client..requests).step_by(CLIENTS) {
                        let due = begun + Duration::from_secs_f64(number as f64 * every);
                        sleep_until(due.into()).await;
                        // The jobs are made now.
                        call(&mut stream, &bulk(&key, at_once), "200").await?;
                    }
                    anyhow::Ok(())
                });
            }
            while let Some(ended) = clients.join_next().await {
                ended??;
            }
            Ok(requests * at_once)
        })
    }
}

async fn connect(api: SocketAddr) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(api).await.context("the API")?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn bulk(key: &str, jobs: usize) -> Vec<u8> {
    let lines: String = (0..jobs).map(|_| job::job(0, job::BODY_LEN) + "\n").collect();
    request(key, "/v1/jobs/bulk", "application/x-ndjson", &lines)
}
