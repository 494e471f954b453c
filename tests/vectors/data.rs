//! Reads the cases: shared ones where they are present, and the project's own in `fixtures/`.

#![allow(dead_code, reason = "each suite uses its part")]

use std::path::{Path, PathBuf};

use serde_json::Value;

/// A file of the shared conformance data; `None`, with a notice, where it is not on this machine.
pub fn shared(name: &str) -> Option<Value> {
    let root = std::env::var_os("SEALPOST_TEST_VECTORS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors"),
        PathBuf::from,
    );
    let path = root.join(name);
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(serde_json::from_str(&text).unwrap()),
        Err(_) => {
            eprintln!("skipped: {} is not here", path.display());
            None
        }
    }
}

/// The project's own cases.
pub fn own(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The own cases and the shared ones.
pub fn cases(own_name: &str, shared_name: &str) -> Vec<Value> {
    let list = |file: Value| file["cases"].as_array().unwrap().clone();
    let mut cases = list(own(own_name));
    cases.extend(shared(shared_name).map(list).unwrap_or_default());
    cases
}

/// A key for tests of `fixtures/keys`.
pub fn key(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/keys").join(name);
    std::fs::read_to_string(path).unwrap()
}
