//! Signals: the first SIGTERM or SIGINT stops cleanly, the second stops hard.

use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use super::Stop;

/// Turns signals into stops, until the process ends.
///
/// # Errors
/// If the operating system refuses to hand signals over.
pub fn listen() -> std::io::Result<Stop> {
    let stop = Stop::default();
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let signalled = stop.clone();
    tokio::spawn(async move {
        for token in [signalled.soft, signalled.hard] {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
            let how = if token.is_cancelled() { "again" } else { "once" };
            info!(event = "stopping", how);
            token.cancel();
        }
    });
    Ok(stop)
}
