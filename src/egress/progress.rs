//! How far one call has come, noted where it happens and read when it fails.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::proxy::Proxy;
use super::stream::ConnectionInfo;
use crate::domain::outcome::Phase;
use crate::ports::{Error, Result};

/// Where a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Waiting for a pooled connection, or looking the name up.
    Resolving,
    /// Connecting to the operator's proxy.
    ToProxy,
    /// Waiting for the proxy, which had answered so often before, to open a tunnel.
    Tunnelling(u64),
    /// Connecting.
    Connecting,
    /// In the TLS handshake.
    Handshaking,
    /// On a connection.
    Connected,
}

/// The progress of one call; shared with the connector that works for it.
#[derive(Debug)]
pub struct Progress {
    now: Mutex<(Stage, Option<SocketAddr>)>,
    made: OnceLock<ConnectionInfo>,
    proxy: Option<Arc<Proxy>>,
    connect_timeout: Duration,
    deadline: Instant,
}

impl Progress {
    /// A call that has just begun, ends by `deadline`, and goes through `proxy` if there is one.
    pub fn new(connect_timeout: Duration, deadline: Instant, proxy: Option<&Arc<Proxy>>) -> Self {
        let now = Mutex::new((Stage::Resolving, None));
        Self { now, made: OnceLock::new(), proxy: proxy.cloned(), connect_timeout, deadline }
    }

    /// When a connection that is begun now must be there.
    pub fn connect_by(&self) -> Instant {
        self.deadline.min(Instant::now() + self.connect_timeout)
    }

    /// Notes the stage, and the address where there is one.
    pub fn reach(&self, stage: Stage, address: Option<SocketAddr>) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        *now = (stage, address.or(now.1));
    }

    /// Notes the connection that was made.
    pub fn connected(&self, made: ConnectionInfo) {
        self.reach(Stage::Connected, None);
        // A later one is made only where the first was not used.
        let _ = self.made.set(made);
    }

    /// The connection that was made for this call; another may have served it.
    pub fn made(&self) -> Option<&ConnectionInfo> {
        self.made.get()
    }

    /// What it is called that the time is over now, before there was a connection.
    ///
    /// # Errors
    /// If it was ours that took so long.
    pub fn late(&self) -> Result<Phase> {
        match self.read().0 {
            Stage::Resolving => Err(Error::new("resolver.lookup", "no answer in time")),
            Stage::ToProxy => Err(Error::new("egress.proxy", "no connection to the proxy in time")),
            // It waits for the target, or it hangs. If others had answers meanwhile, it does not hang.
            Stage::Tunnelling(before) if self.answers() > before => Ok(Phase::ConnectTimeout),
            Stage::Tunnelling(_) => {
                Err(Error::new("egress.proxy", "the proxy gave no answer to anybody in time"))
            }
            Stage::Connecting => Ok(Phase::ConnectTimeout),
            Stage::Handshaking => Ok(Phase::TlsTimeout),
            Stage::Connected => Ok(Phase::ResponseTimeout),
        }
    }

    fn answers(&self) -> u64 {
        self.proxy.as_ref().map_or(0, |proxy| proxy.answers())
    }

    /// The stage and the address last dialled.
    pub fn read(&self) -> (Stage, Option<SocketAddr>) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

tokio::task_local! {
    /// The progress of the call that this task is making.
    pub static PROGRESS: Arc<Progress>;
}
