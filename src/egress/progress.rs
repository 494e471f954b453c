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

/// When a call came where. What it did not come to, or what was there before, has no time.
#[derive(Debug, Clone, Copy, Default)]
pub struct Timeline {
    /// The name was looked up; connecting began.
    pub connecting: Option<Instant>,
    /// The connection was there; the TLS handshake began.
    pub handshaking: Option<Instant>,
    /// Everything was ready for the request.
    pub connected: Option<Instant>,
    /// The last byte of the request was written.
    pub written: Option<Instant>,
    /// The response's head was there.
    pub answered: Option<Instant>,
}

/// The progress of one call; shared with the connector that works for it.
#[derive(Debug)]
pub struct Progress {
    now: Mutex<(Stage, Option<SocketAddr>)>,
    /// Where times are kept, if anybody asks for them.
    times: Option<Mutex<Timeline>>,
    made: OnceLock<ConnectionInfo>,
    proxy: Option<Arc<Proxy>>,
    connect_timeout: Duration,
    deadline: Instant,
}

impl Progress {
    /// A call that has just begun, ends by `deadline`, and goes through `proxy` if there is one.
    pub fn new(connect_timeout: Duration, deadline: Instant, proxy: Option<&Arc<Proxy>>) -> Self {
        let now = Mutex::new((Stage::Resolving, None));
        let (made, times, proxy) = (OnceLock::new(), None, proxy.cloned());
        Self { now, times, made, proxy, connect_timeout, deadline }
    }

    /// The same, which keeps times if `is_timed`.
    #[must_use]
    pub fn timed(self, is_timed: bool) -> Self {
        Self { times: is_timed.then(Mutex::default), ..self }
    }

    /// Whether it keeps times.
    pub fn is_timed(&self) -> bool {
        self.times.is_some()
    }

    /// The times so far, if they are kept.
    pub fn timeline(&self) -> Option<Timeline> {
        let times = self.times.as_ref()?;
        Some(*times.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note_time(&self, stage: Stage) {
        let Some(times) = &self.times else { return };
        let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
        let moment = Some(Instant::now());
        match stage {
            Stage::Resolving => {}
            Stage::ToProxy | Stage::Tunnelling(_) | Stage::Connecting => {
                times.connecting = times.connecting.or(moment);
            }
            Stage::Handshaking => times.handshaking = moment,
            Stage::Connected => times.connected = moment,
        }
    }

    /// When a connection that is begun now must be there.
    pub fn connect_by(&self) -> Instant {
        self.deadline.min(Instant::now() + self.connect_timeout)
    }

    /// Notes the stage, and the address where there is one.
    pub fn reach(&self, stage: Stage, address: Option<SocketAddr>) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        *now = (stage, address.or(now.1));
        drop(now);
        self.note_time(stage);
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
