//! The console in Debian's Chromium: the scripts of `tests/browser/`, installed by `make browser`.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rcgen::{CertificateParams, KeyPair};

use crate::program::{Program, terminate};

fn folder() -> PathBuf {
    let folder = std::env::var_os("BROWSER_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/browser"),
        PathBuf::from,
    );
    let hint = format!("no browser's driver in {}: run `make browser`", folder.display());
    assert!(folder.join("key").exists(), "{hint}");
    folder
}

/// Runs one of the scripts beside a server of its own, which may call loopback and whose customer's page
/// may be framed by `https://product.example`.
fn run(script: &str) {
    let program = Program::new();
    let key = program.ok(&["api-key", "create", "ops-1", "--scope", "operator"], "");
    // The browser speaks TLS to a proxy of the script's own, as it does over a network.
    let names = ["hooks.example".to_owned(), "product.example".to_owned()];
    let pair = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(names).unwrap().self_signed(&pair).unwrap();
    let mut serving = program
        .command(&["serve", "--json"])
        .env("SEALPOST_API_LISTEN", "127.0.0.1:0")
        .env("SEALPOST_DELIVERIES_RECORD", "all")
        .env("SEALPOST_DELIVERIES_KEEP_BODIES", "all")
        .env("SEALPOST_CONSOLE_EMBED_ORIGINS", "['https://product.example']")
        .env("SEALPOST_LOG_LEVEL", "info")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(serving.stderr.take().unwrap()).lines();
    let line = log.find(|line| line.as_ref().unwrap().contains("api_listening")).unwrap().unwrap();
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    // What is not read would fill the pipe and stop the server.
    let rest = std::thread::spawn(move || log.map_while(Result::ok).collect::<Vec<_>>());

    let mut driver = Command::new("node");
    driver.arg(folder().join(script));
    driver.env("CONSOLE", format!("http://{}", line["address"].as_str().unwrap()));
    driver.env("KEY", key.trim()).env("SCREENSHOTS", folder().join("screenshots"));
    driver.env("CERTIFICATE", certificate.pem()).env("PRIVATE_KEY", pair.serialize_pem());
    let output = driver.output().unwrap();
    terminate(&serving);
    assert!(serving.wait().unwrap().success());
    let log = rest.join().unwrap().join("\n");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {said}\n{complained}\nlog:\n{log}");
    assert!(said.ends_with("done\n"), "{said}");
    for text in [key.trim(), "sps_", "spt_", "whsec_"] {
        assert!(!log.contains(text), "{text} is in the log: {log}");
    }
}

#[test]
fn an_operator_registers_tests_mends_and_replays_in_a_browser() {
    run("operator.mjs");
}

#[test]
fn a_customer_s_page_is_opened_by_a_link_and_shown_in_the_operator_s_product() {
    run("customer.mjs");
}
