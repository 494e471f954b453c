//! Dependencies point one way, and the project speaks of itself alone.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What each part of the house may use of the others.
const MAY_USE: &[(&str, &[&str])] = &[
    ("domain", &["domain"]),
    ("cost", &["cost", "domain"]),
    ("import", &["import", "domain"]),
    ("auth", &["auth", "domain"]),
    ("transform", &["transform", "domain"]),
    ("ports", &["ports", "domain"]),
    ("cache", &["cache", "telemetry", "ports"]),
    ("vault", &["vault", "cache", "telemetry", "ports", "domain"]),
    ("egress", &["egress", "ports", "domain"]),
    ("telemetry", &["telemetry", "ports", "domain"]),
    (
        "delivery",
        &[
            "delivery",
            "auth",
            "transform",
            "cache",
            "egress",
            "vault",
            "telemetry",
            "ports",
            "domain",
        ],
    ),
    ("replay", &["replay", "telemetry", "ports", "domain"]),
    ("test_calls", &["test_calls", "ports", "domain"]),
    ("worker", &["worker", "delivery", "telemetry", "ports", "domain"]),
    (
        "api",
        &[
            "api",
            "access",
            "app",
            "customer",
            "redrive",
            "replay",
            "monitor",
            "registration",
            "telemetry",
            "test_calls",
            "vault",
            "worker",
            "ports",
            "domain",
        ],
    ),
    (
        "doctor",
        &[
            "doctor",
            "app",
            "config",
            "delivery",
            "egress",
            "process",
            "telemetry",
            "vault",
            "ports",
            "domain",
        ],
    ),
    ("monitor", &["monitor", "app", "cache", "delivery", "telemetry", "ports", "domain"]),
    ("adapters", &["adapters", "egress", "import", "vault", "telemetry", "ports", "domain"]),
    (
        "console",
        &["console", "access", "api", "auth", "config", "keygen", "telemetry", "ports", "domain"],
    ),
];

fn sources(of: &Path, found: &mut Vec<PathBuf>) {
    if of.is_file() {
        found.push(of.to_owned());
        return;
    }
    let Ok(entries) = fs::read_dir(of) else { return };
    entries.for_each(|entry| sources(&entry.unwrap().path(), found));
}

fn files_of(part: &str) -> Vec<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    sources(&source.join(part), &mut found);
    sources(&source.join(format!("{part}.rs")), &mut found);
    // Tests may put real parts together.
    found.retain(|path| !path.to_string_lossy().ends_with("tests.rs"));
    assert!(!found.is_empty(), "src/{part} is gone: correct this test");
    found
}

/// The parts of the crate that a file names, outside its tests.
fn used(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]").next().unwrap().to_owned();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code: String = lines.collect::<Vec<_>>().join("\n");
    let name = |rest: &str| {
        rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap().to_owned()
    };
    code.split("crate::").skip(1).map(name).collect()
}

#[test]
fn each_part_uses_only_what_lies_below_it() {
    let mut wrong = Vec::new();
    for (part, allowed) in MAY_USE {
        for path in files_of(part) {
            for used in used(&path) {
                if !allowed.contains(&used.as_str()) {
                    wrong.push(format!("{}: uses crate::{used}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A worker has the halves that read and open; the writing and sealing halves are not even named.
#[test]
fn the_worker_names_nothing_that_could_write_secrets_or_endpoints_or_seal() {
    let writers = ["dyn Secrets", "dyn Endpoints", "dyn Keys", "SealKeys", "Sealer", "Vault"];
    for path in files_of("delivery").into_iter().chain(files_of("worker")) {
        let text = fs::read_to_string(&path).unwrap();
        let words: Vec<&str> =
            text.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ' ').collect();
        for writer in writers {
            let names = |part: &&str| part.ends_with(writer) || part.trim() == writer;
            assert!(!words.iter().any(names), "{} names {writer}", path.display());
        }
    }
}

#[test]
fn pure_parts_do_no_input_or_output_and_never_ask_for_the_time() {
    let forbidden = [
        "tokio",
        "std::fs",
        "std::net::Tcp",
        "SystemTime::now",
        "Instant::now",
        "rusqlite",
        "hyper",
    ];
    for path in ["domain", "cost", "import"].into_iter().flat_map(files_of) {
        let text = fs::read_to_string(&path).unwrap();
        for word in forbidden {
            assert!(!text.contains(word), "{} names {word}", path.display());
        }
    }
}

#[test]
fn the_domain_decides_without_catch_all_arms() {
    for file in [
        "decide.rs",
        "outcome.rs",
        "reason.rs",
        "backoff.rs",
        "breaker.rs",
        "limiter.rs",
        "gate.rs",
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/domain").join(file);
        assert!(!fs::read_to_string(&path).unwrap().contains("_ =>"), "{file} has a catch-all arm");
    }
}

/// What cargo-deny would check of `deny.toml`, but for advisories, which come over the network: without a
/// tool that is not there.
#[test]
fn nothing_is_built_in_that_deny_toml_does_not_allow() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rules: toml::Table = fs::read_to_string(root.join("deny.toml")).unwrap().parse().unwrap();
    let banned: Vec<(&str, semver::VersionReq)> = rules["bans"]["deny"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| {
            let rule = rule["crate"].as_str().unwrap();
            let (name, versions) = rule.split_once('@').unwrap_or((rule, "*"));
            (name, versions.parse().unwrap())
        })
        .collect();
    let licences = rules["licenses"]["allow"].as_array().unwrap();
    let is_allowed = |id: &str| licences.iter().any(|allowed| allowed.as_str() == Some(id));
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--all-features", "--edges", "normal,build"])
        .args(["--prefix", "none", "--format", "{p}\t{l}"])
        .current_dir(root)
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let built = String::from_utf8(tree.stdout).unwrap();
    assert!(built.lines().count() > 50);
    for package in built.lines() {
        let (package, licence) = package.split_once('\t').unwrap();
        let (name, rest) = package.split_once(" v").unwrap();
        let version: semver::Version = rest.split(' ').next().unwrap().parse().unwrap();
        let is_banned = banned.iter().any(|(ban, req)| *ban == name && req.matches(&version));
        assert!(!is_banned, "{name} {version} is banned by deny.toml");
        // Cargo marks what it has shown before.
        let licence = licence.trim_end_matches(" (*)");
        let terms = spdx::Expression::parse_mode(licence, spdx::ParseMode::LAX).unwrap();
        let permits = terms.evaluate(|term| {
            term.addition.is_none() && term.license.id().is_some_and(|id| is_allowed(id.name))
        });
        assert!(permits, "{name} {version} is under {licence:?}, which deny.toml does not allow");
    }
    let lock: toml::Table = fs::read_to_string(root.join("Cargo.lock")).unwrap().parse().unwrap();
    let sources =
        lock["package"].as_array().unwrap().iter().filter_map(|p| p.get("source")?.as_str());
    let sources: std::collections::BTreeSet<&str> = sources.collect();
    assert!(
        sources.len() == 1 && sources.iter().all(|s| s.starts_with("registry+")),
        "{sources:?}"
    );
}

/// `folder/file::test` in a document's table, in `tests/`, or from `src/` on.
#[test]
fn every_test_that_a_document_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut named = 0;
    for document in std::fs::read_dir(root.join("docs")).unwrap() {
        let document = document.unwrap().path();
        let Some("md") = document.extension().and_then(|e| e.to_str()) else { continue };
        let text = std::fs::read_to_string(&document).unwrap();
        let rows = text.lines().filter(|line| line.starts_with("| "));
        for name in rows.flat_map(|row| row.split('`').skip(1).step_by(2)) {
            let Some((file, test)) = name.split_once("::").filter(|(file, _)| file.contains('/'))
            else {
                continue;
            };
            let folder = if file.starts_with("src/") { root.into() } else { root.join("tests") };
            let source = std::fs::read_to_string(folder.join(format!("{file}.rs")));
            let is_there = source.is_ok_and(|source| source.contains(&format!("fn {test}(")));
            assert!(is_there, "{}: there is no test {name}", document.display());
            named += 1;
        }
    }
    assert!(named >= 60, "{named} tests are named");
}
