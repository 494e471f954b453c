//! What the figures were measured on and of: the machine, its load, the commit.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde_json::{Value, json};

use crate::summary::spread;

/// Writes that are timed.
const FSYNCS: usize = 200;

/// The load averages of the last 1, 5 and 15 minutes.
pub fn load() -> Vec<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).filter_map(|number| number.parse().ok()).collect()
}

/// The commit, the date and the machine; `begun` is the load average at the beginning.
pub fn facts(begun: &[f64]) -> Value {
    let changed = said("git", &["status", "--porcelain"]).is_some_and(|text| !text.is_empty());
    json!({
        "commit": said("git", &["rev-parse", "HEAD"]),
        "uncommitted_changes": changed,
        "date": said("date", &["-u", "+%Y-%m-%dT%H:%M:%SZ"]),
        "rustc": said("rustc", &["--version"]),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "load_at_begin": begun,
        "load_at_end": load(),
    })
}

fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    let output = command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The time of an fsync in a folder: 4 KiB are written and put on the disk, in ms; the median of 200.
pub fn fsync_ms(folder: &Path) -> anyhow::Result<f64> {
    let mut file = File::create(folder.join("fsync"))?;
    let mut times = Vec::with_capacity(FSYNCS);
    for _ in 0..FSYNCS {
        let begun = Instant::now();
        file.write_all(&[b'x'; 4096])?;
        file.sync_data()?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    Ok(spread(&times).1)
}
