//! The embedded form's log torn by a loss of power: what is left is a beginning of what was written.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sealpost::app::{App, Role};
use sealpost::ports::Clock;
use sealpost::ports::queue::NewMessage;

use crate::bench::{Bench, loopback};

const JOBS: usize = 12;
/// A header of 32 bytes, then frames: 24 bytes and a page of 4,096 (SQLite, "Database File Format", 4.1).
const HEADER: usize = 32;
const FRAME: usize = 24 + 4096;

/// The files of a data directory, and how long its log was after each accepted job.
async fn written() -> (Bench, Vec<(String, Vec<u8>)>, Vec<usize>) {
    let bench = Bench::open(loopback()).await;
    let mut lengths = vec![log_of(&bench.files()).len()];
    for number in 0..JOBS {
        let body = format!(r#"{{"customerId":"c","endpointId":"e","data":{number}}}"#);
        let message = NewMessage { body: body.into(), ..NewMessage::default() };
        bench.app.queue.send(vec![message]).await.unwrap();
        lengths.push(log_of(&bench.files()).len());
    }
    let files = bench.files();
    (bench, files, lengths)
}

fn log_of(files: &[(String, Vec<u8>)]) -> &[u8] {
    &files.iter().find(|(name, _)| name.ends_with("-wal")).unwrap().1
}

/// The numbers of the jobs that are found where the log ends after so many bytes.
async fn jobs_after(bench: &Bench, files: &[(String, Vec<u8>)], cut: usize) -> Vec<usize> {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files.iter().filter(|(name, _)| !name.ends_with("-shm")) {
        let bytes = if name.ends_with("-wal") { &bytes[..cut] } else { &bytes[..] };
        let copy = folder.path().join(Path::new(name).file_name().unwrap());
        std::fs::write(&copy, bytes).unwrap();
        // The key file is refused when others may read it.
        let mode = std::fs::metadata(name).unwrap().permissions();
        std::fs::set_permissions(&copy, mode).unwrap();
    }
    let clock: Arc<dyn Clock> = Arc::clone(&bench.clock) as _;
    let app = App::embedded_with_clock(folder.path(), loopback(), Role::Worker, clock).await;
    let found = app.unwrap().queue.receive(100, Duration::ZERO).await.unwrap();
    let number = |body: &[u8]| {
        let job: serde_json::Value = serde_json::from_slice(body).unwrap();
        usize::try_from(job["data"].as_u64().unwrap()).unwrap()
    };
    let mut numbers: Vec<usize> = found.iter().map(|message| number(&message.body)).collect();
    numbers.sort_unstable();
    numbers
}

/// Where the log is cut: within its header, and around and in the middle of each frame.
fn cuts(log: usize) -> Vec<usize> {
    let frames = (HEADER..=log).step_by(FRAME);
    let around = frames.flat_map(|at| [at - 1, at, at + 1, at + 24, at + FRAME / 2]);
    let mut cuts: Vec<usize> = [0, 1, 8].into_iter().chain(around).collect();
    cuts.retain(|cut| *cut <= log);
    cuts
}

#[tokio::test]
async fn a_log_that_is_cut_anywhere_leaves_a_beginning_of_what_was_accepted() {
    let (bench, files, lengths) = written().await;
    let log = log_of(&files).len();
    assert!((lengths[JOBS] == log) && lengths.is_sorted() && lengths[0] < log, "{lengths:?}");
    // Before the first job there is only the layout, which is made anew.
    let begun = lengths[0].saturating_sub(3 * FRAME);
    for cut in cuts(log).into_iter().filter(|cut| *cut < 100 || *cut > begun) {
        let jobs = jobs_after(&bench, &files, cut).await;
        let whole = lengths.iter().skip(1).filter(|length| **length <= cut).count();
        assert_eq!(jobs, (0..whole).collect::<Vec<_>>(), "cut at {cut} of {log}: {lengths:?}");
    }
}
