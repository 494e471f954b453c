//! A power cut in the middle of a write: the log ends anywhere, and what is there is a beginning of what was
//! written.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use sealpost::app::{App, Role};
use sealpost::ports::queue::NewMessage;

use crate::bench::{Bench, loopback};

const JOBS: usize = 12;

#[tokio::test]
async fn a_log_cut_at_any_place_gives_a_beginning_of_what_was_written() {
    let bench = Bench::open(loopback()).await;
    for n in 0..JOBS {
        let body = format!(r#"{{"customerId":"c","endpointId":"e","data":{n}}}"#);
        let message = NewMessage { body: body.into(), ..NewMessage::default() };
        bench.app.queue.send(vec![message]).await.unwrap();
    }
    let files = bench.files();
    let log = files.iter().find(|(name, _)| name.ends_with("sealpost.db-wal")).unwrap();
    assert!(log.1.len() > 20_000, "everything is in the log still");
    let mut last = 0;
    // Every frame is cut in its head, in its page and at its end.
    for cut in (0..=log.1.len()).step_by(1373).chain([log.1.len() - 1, log.1.len()]) {
        let directory = tempfile::tempdir().unwrap();
        for (name, bytes) in &files {
            let name = std::path::Path::new(name).file_name().unwrap().to_owned();
            // The index of the log is made anew, and the lock is not held.
            let is_log = name == "sealpost.db-wal";
            if name == "sealpost.db-shm" {
                continue;
            }
            let kept = if is_log { &bytes[..cut] } else { &bytes[..] };
            let path = directory.path().join(name);
            std::fs::write(&path, kept).unwrap();
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        let app = App::embedded(directory.path(), loopback(), Role::Worker).await.unwrap();
        let received = app.queue.receive(JOBS, Duration::ZERO).await.unwrap();
        let bodies: Vec<String> = (received.iter())
            .map(|message| String::from_utf8(message.body.to_vec()).unwrap())
            .collect();
        for (n, body) in bodies.iter().enumerate() {
            assert!(body.ends_with(&format!(":{n}}}")), "cut at {cut}: {bodies:?}");
        }
        assert!(bodies.len() >= last || cut == log.1.len() - 1, "cut at {cut}");
        last = bodies.len();
    }
    assert_eq!(last, JOBS, "nothing is missing of the whole log");
}
