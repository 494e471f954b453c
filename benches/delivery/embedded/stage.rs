//! A data directory with endpoints at a sink, and `sealpost serve` on it in a process of its own.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use futures_util::future::try_join_all;
use sealpost::access::issue_key;
use sealpost::app::{App, Role};
use sealpost::domain::access::{Grant, Scope};
use sealpost::ports::queue::NewMessage;
use tokio::runtime::Runtime;

use crate::bare_sender::Load;
use crate::endpoint::{Kind, loopback, register};
use crate::job;
use crate::process::Process;
use crate::run::Run;
use crate::sink::{Report, Sink};

/// Deliveries in hand at once, and so connections: as many as the bare sender has.
pub const CONNECTIONS: usize = 64;
/// Jobs, and bytes of them, that are enqueued in one commit.
const BATCH: usize = 500;
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// What is set up.
#[derive(Clone, Copy)]
pub struct Plan {
    /// Endpoints, which get jobs in turn.
    pub endpoints: usize,
    /// How each is configured.
    pub kind: Kind,
    /// Bytes of a body.
    pub body_len: usize,
    /// Attempts of each job that the sink answers 503.
    pub fail_first: u32,
}

impl Default for Plan {
    fn default() -> Self {
        Self { endpoints: 1, kind: Kind::default(), body_len: job::BODY_LEN, fail_first: 0 }
    }
}

impl Plan {
    /// What the bare sender is asked for beside it.
    pub fn load(&self) -> Load {
        Load { body_len: self.body_len, connections: CONNECTIONS }
    }
}

/// The directory, the endpoints, the sink.
pub struct Stage {
    pub sink: Sink,
    pub directory: tempfile::TempDir,
    /// Where the API will listen.
    pub api: SocketAddr,
    /// A key of a producer.
    pub key: String,
    plan: Plan,
    app: App,
    runtime: Runtime,
}

impl Stage {
    pub fn set(run: &Run<'_>, plan: Plan) -> anyhow::Result<Self> {
        let (sink, directory) = (Sink::start(plan.fail_first)?, tempfile::tempdir_in(&run.folder)?);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let api = free_address()?;
        let mut config = loopback()?;
        config.worker.concurrency = CONNECTIONS;
        config.api.listen = Some(api);
        config.api.requests_per_second = 1_000_000;
        std::fs::write(settings(directory.path()), toml::to_string(&config)?)?;
        let (app, key) = runtime.block_on(async {
            let app = App::embedded(directory.path(), config, Role::Command).await?;
            for numbers in (0..plan.endpoints).collect::<Vec<_>>().chunks(BATCH) {
                // Many at once share a commit.
                let put = |number: &usize| register(&app, *number, &sink.address, &plan.kind);
                try_join_all(numbers.iter().map(put)).await?;
            }
            let grant =
                Grant::Operator { scope: Scope::Producer, customers: None, endpoints: None };
            let key = issue_key(&app, "bench".to_owned(), grant, None).await?.text;
            anyhow::Ok((app, key.expose_str().context("a key is text")?.to_owned()))
        })?;
        Ok(Self { sink, directory, api, key, plan, app, runtime })
    }

    /// Enqueues `count` jobs for the endpoints in turn, from this process: each is made as its commit
    /// is.
    pub fn enqueue(&self, count: usize) -> anyhow::Result<()> {
        let batch = BATCH.min(BATCH_BYTES / self.plan.body_len).max(1);
        for start in (0..count).step_by(batch) {
            let message = |number: usize| NewMessage {
                body: job::job(number % self.plan.endpoints, self.plan.body_len).into(),
                ..NewMessage::default()
            };
            let messages = (start..count.min(start + batch)).map(message).collect();
            self.runtime.block_on(self.app.queue.send(messages))?;
        }
        Ok(())
    }

    pub fn serve(&self) -> anyhow::Result<Process> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sealpost"));
        command.arg("serve").arg("--data").arg(self.directory.path());
        command.arg("--config").arg(settings(self.directory.path())).stderr(Stdio::null());
        Ok(Process(command.spawn()?))
    }

    /// Waits until no job is left in the queue.
    pub fn settle(&self) -> anyhow::Result<()> {
        for _ in 0..1000 {
            if self.runtime.block_on(self.app.queue.depth())?.pending == 0 {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        anyhow::bail!("jobs are left in the queue")
    }

    /// Works off a backlog of `jobs` jobs that this process enqueues before the worker starts.
    pub fn work_off(&self, jobs: usize) -> anyhow::Result<WorkedOff> {
        self.enqueue(jobs)?;
        let worker = self.serve()?;
        let report = self.sink.wait_for(jobs)?;
        self.settle()?;
        Ok(WorkedOff {
            cpu_us: worker.cpu()?.as_secs_f64() * 1e6 / jobs as f64,
            per_second: report.per_second(),
            peak_mb: worker.peak_rss_mb()?,
            report,
        })
    }
}

/// How a backlog was worked off.
pub struct WorkedOff {
    /// Processor time of the worker for a delivery, in µs, from its start.
    pub cpu_us: f64,
    /// Deliveries a second, from the first to the last.
    pub per_second: f64,
    /// The most memory of the worker at once, in MB.
    pub peak_mb: f64,
    /// What the sink saw.
    pub report: Report,
}

fn settings(directory: &Path) -> PathBuf {
    directory.join("bench.toml")
}

/// An address of this machine at which nothing listens.
fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
