//! Every log line has an event of a stable name, and the documents list them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

/// The events of a source's log lines; fails at a line without one.
fn events(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut events = Vec::new();
    for macro_name in ["error!(", "warn!(", "info!(", "debug!(", "trace!("] {
        for (at, _) in text.match_indices(macro_name) {
            let before = text[..at].chars().next_back().unwrap_or(' ');
            if before.is_alphanumeric() || before == '_' || before == '`' {
                continue;
            }
            let inner = text[at + macro_name.len()..].trim_start();
            let event = inner.strip_prefix("event = \"").and_then(|rest| rest.split('"').next());
            let line = inner.lines().next().unwrap();
            let shown = path.display();
            events.push(event.unwrap_or_else(|| panic!("{shown}: no event: {line}")).to_owned());
        }
    }
    events
}

#[test]
fn every_log_line_has_an_event_that_the_documents_list_and_no_other() {
    let mut paths = Vec::new();
    sources(&root().join("src"), &mut paths);
    let used: BTreeSet<String> = paths.iter().flat_map(|path| events(path)).collect();
    assert!(used.len() > 15, "{used:?}");
    let documented = std::fs::read_to_string(root().join("docs/OPERATIONS.md")).unwrap();
    let (_, table) = documented.split_once("| event | level | when |\n").unwrap();
    let rows = table.split("\n\n").next().unwrap().lines().skip(1);
    let listed: BTreeSet<String> = rows
        .flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect();
    assert_eq!(used, listed);
}
