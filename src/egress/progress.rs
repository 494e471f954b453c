//! How far one call has come, noted where it happens and read when it fails.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

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

/// The progress of one call; shared with the connector that works for it.
#[derive(Debug)]
pub struct Progress(Mutex<(Stage, Option<SocketAddr>)>);

impl Progress {
    /// A call that has just begun.
    pub fn new() -> Self {
        Self(Mutex::new((Stage::Resolving, None)))
    }

    /// Notes the stage, and the address where there is one.
    pub fn reach(&self, stage: Stage, address: Option<SocketAddr>) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = (stage, address.or(now.1));
    }

    /// The stage and the address last dialled.
    pub fn read(&self) -> (Stage, Option<SocketAddr>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

tokio::task_local! {
    /// The progress of the call that this task is making.
    pub static PROGRESS: std::sync::Arc<Progress>;
}
