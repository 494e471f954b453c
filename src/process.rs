//! What the program asks of the operating system for itself: no picture of its memory, which holds
//! secrets, and as many open files as it may have.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

/// Open files beside those of deliveries: the database, its logs, the queue's and the API's connections.
const OWN_FILES: u64 = 64;
/// Open files for one delivery: its connection, and one that waits to be used again.
const FILES_EACH: u64 = 2;

/// Turns core dumps off, and keeps other processes of the same user from reading this one's memory.
///
/// # Errors
/// If the operating system refuses.
pub fn keep_memory_private() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    // A core that is piped to a program is made whatever the limit says (core(5)).
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// How many deliveries at once there are open files for: `wanted`, if the limit allows as many. The
/// limit is raised as far as it may be.
pub fn deliveries_with_open_files(wanted: usize) -> usize {
    let Err(TooFewFiles { limit, deliveries }) = check_open_files(wanted) else { return wanted };
    warn!(
        event = "open_files",
        limit,
        wanted,
        concurrency = deliveries,
        "too few open files for worker.concurrency: raise the limit (ulimit -n, LimitNOFILE)"
    );
    deliveries
}

/// The limit of open files is too low.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooFewFiles {
    /// How many files may be open.
    pub limit: u64,
    /// For how many deliveries at once that is enough.
    pub deliveries: usize,
}

/// Whether the limit of open files, raised as far as it may be, is enough for `wanted` deliveries at once;
/// the limit, if there is one.
///
/// # Errors
/// If it is not.
pub fn check_open_files(wanted: usize) -> Result<Option<u64>, TooFewFiles> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let limit = if raised.is_ok() { maximum } else { current };
    // Unlimited, where nothing is said.
    let Some(limit) = limit else { return Ok(None) };
    let possible = limit.saturating_sub(OWN_FILES) / FILES_EACH;
    let deliveries = usize::try_from(possible).unwrap_or(usize::MAX).max(1);
    if deliveries < wanted { Err(TooFewFiles { limit, deliveries }) } else { Ok(Some(limit)) }
}
