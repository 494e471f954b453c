//! Schemathesis reads our OpenAPI document and makes requests of it, good and bad ones. Installed by
//! `make fuzzer`.

use std::path::PathBuf;

use tokio::process::Command;

use crate::server::Server;

fn program() -> PathBuf {
    let folder = std::env::var_os("FUZZER_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/fuzzer"),
        PathBuf::from,
    );
    let program = folder.join("venv/bin/schemathesis");
    assert!(program.exists(), "no fuzzer in {}: run `make fuzzer`", folder.display());
    program
}

/// That all that the schema permits is accepted is not asked: a schema cannot say everything, such as
/// how many wildcards a URL has.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_makes_the_server_fail_and_nothing_is_accepted_that_the_document_forbids() {
    let server = Server::start_with(|config| config.api.requests_per_second = 1_000_000).await;
    let folder = tempfile::tempdir().unwrap();
    let fuzzed = Command::new(program())
        .args(["run", &format!("{}/openapi.json", server.origin)])
        .args(["--header", &format!("Authorization: Bearer {}", server.operator)])
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", "10", "--seed", "1"])
        .args(["--exclude-checks", "positive_data_acceptance"])
        // It would revoke the key that it works with.
        .args(["--exclude-operation-id", "revokeApiKey"])
        .args(["--continue-on-failure", "--no-color", "--warnings", "off"])
        .current_dir(folder.path())
        .output()
        .await
        .unwrap();
    let told = String::from_utf8_lossy(&fuzzed.stdout);
    assert!(fuzzed.status.success(), "{told}{}", String::from_utf8_lossy(&fuzzed.stderr));
    assert!(told.contains("Tested: 50"), "{told}");
}
