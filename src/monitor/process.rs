//! What the operating system says of this process. Where it has no `/proc`, it says nothing.

/// Ticks of processor time in a second, in what Linux tells programs (proc(5), `USER_HZ`).
const TICKS: f64 = 100.0;

/// What the process uses.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// Processor time, in seconds.
    pub cpu_seconds: f64,
    /// Memory that it holds, in bytes.
    pub memory_bytes: f64,
    /// Open files and sockets.
    pub open_files: f64,
}

/// What the process uses now.
pub fn usage() -> Option<Usage> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The program's name stands in brackets, and may hold anything.
    let (_, fields) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    // The fields after the name begin with the third: `utime` is the 14th of proc(5), `stime` the next.
    let ticks = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
    let cpu_seconds = (ticks(14)? + ticks(15)?) / TICKS;
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let held = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: f64 = held.split_ascii_whitespace().next()?.parse().ok()?;
    let open_files = std::fs::read_dir("/proc/self/fd").ok()?.count() as f64;
    Some(Usage { cpu_seconds, memory_bytes: kilobytes * 1024.0, open_files })
}
