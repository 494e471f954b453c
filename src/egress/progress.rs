//! How far one call has come, noted where it happens and read when it fails.

use std::net::SocketAddr;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::stream::ConnectionInfo;
use crate::domain::outcome::Phase;
use crate::ports::{Error, Result};

/// Where a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Waiting for a pooled connection, or looking the name up.
    Resolving,
    /// Connecting.
    Connecting,
    /// In the TLS handshake.
    Handshaking,
    /// On a connection.
    Connected,
}

impl Stage {
    /// What it is called that the time was over at this stage.
    ///
    /// # Errors
    /// If it was ours that took so long.
    pub fn late(self) -> Result<Phase> {
        match self {
            Self::Resolving => Err(Error::new("resolver.lookup", "no answer in time")),
            Self::Connecting => Ok(Phase::ConnectTimeout),
            Self::Handshaking => Ok(Phase::TlsTimeout),
            Self::Connected => Ok(Phase::ResponseTimeout),
        }
    }
}

/// The progress of one call; shared with the connector that works for it.
#[derive(Debug)]
pub struct Progress {
    now: Mutex<(Stage, Option<SocketAddr>)>,
    made: OnceLock<ConnectionInfo>,
    connect_timeout: Duration,
    deadline: Instant,
}

impl Progress {
    /// A call that has just begun, and ends by `deadline`.
    pub fn new(connect_timeout: Duration, deadline: Instant) -> Self {
        let now = Mutex::new((Stage::Resolving, None));
        Self { now, made: OnceLock::new(), connect_timeout, deadline }
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

    /// The stage and the address last dialled.
    pub fn read(&self) -> (Stage, Option<SocketAddr>) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

tokio::task_local! {
    /// The progress of the call that this task is making.
    pub static PROGRESS: std::sync::Arc<Progress>;
}
