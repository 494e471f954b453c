//! Whole requests, byte for byte, as they were recorded in `fixtures/requests`: one folder each with the
//! endpoint, the job, and the request. `SEALPOST_TEST_RECORD=1` records them anew.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::bench::{Bench, loopback, put};
use crate::parameters::{put_secret, web};

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/requests");
    let mut cases: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    cases
}

/// What the receiver got, with its own name for its address.
async fn request_of(case: &Path) -> String {
    let read = |name: &str| std::fs::read_to_string(case.join(name)).unwrap();
    let web = web().await;
    let authority = web.origin.trim_start_matches("http://").to_owned();
    let bench = Bench::open(loopback()).await;
    let endpoint = read("endpoint.json").replace("https://receiver.example", &web.origin);
    let mut endpoint: Value = serde_json::from_str(&endpoint).unwrap();
    // The values of the secrets stand beside the endpoint that names them.
    let secrets = endpoint.as_object_mut().unwrap().remove("secrets").unwrap_or_default();
    let secrets: BTreeMap<String, String> = serde_json::from_value(secrets).unwrap_or_default();
    put(&bench.app, endpoint).await;
    for (id, value) in &secrets {
        put_secret(&bench, &web, id, value).await;
    }
    let body = read("job.json").trim_end().to_owned();
    let message = sealpost::ports::queue::NewMessage { body: body.into(), ..Default::default() };
    bench.app.queue.send(vec![message]).await.unwrap();
    bench.deliver_due().await;
    let dead = bench.dead_letters().await;
    assert!(dead.is_empty(), "{}: {}", case.display(), dead[0].message);
    web.all()[0].replace("\r\n", "\n").replace(&authority, "receiver.example")
}

#[tokio::test]
async fn requests_are_what_was_recorded() {
    let record = std::env::var("SEALPOST_TEST_RECORD").is_ok();
    let cases = cases();
    assert!(cases.len() >= 10);
    for case in cases {
        let (request, file) = (request_of(&case).await, case.join("request.http"));
        if record {
            std::fs::write(&file, &request).unwrap();
        }
        let recorded = std::fs::read_to_string(&file).unwrap();
        assert_eq!(request, recorded, "{}", case.display());
    }
}
