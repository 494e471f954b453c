//! This program under callgrind.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail, ensure};

use crate::file::Counts;

/// At the end of which function callgrind writes down what it has counted.
const END: &str = "--dump-after=*end_of_segment*";

/// How often everything is counted. The seeds of hash maps are random, and with them where the allocator
/// finds room: the least is taken, as everything else only adds.
const TIMES: usize = 3;
/// Copies go by vectors, whatever their length: of the instruction that copies bytes by itself, callgrind
/// counts each byte, and glibc takes it for lengths that depend on the machine.
const TUNABLES: &str =
    "glibc.cpu.x86_rep_movsb_threshold=1000000000:glibc.cpu.x86_rep_stosb_threshold=1000000000";

/// Counts the instructions of every stage.
pub fn count() -> anyhow::Result<Counts> {
    let Some(valgrind) = said("valgrind", &["--version"]) else {
        bail!(
            "valgrind is not installed: install the package `valgrind` (Debian: apt-get install valgrind)"
        );
    };
    let mut least: BTreeMap<String, u64> = BTreeMap::new();
    for _ in 0..TIMES {
        for (name, count) in count_once()? {
            least.entry(name).and_modify(|least| *least = count.min(*least)).or_insert(count);
        }
    }
    let rustc = said("rustc", &["--version"]).context("no rustc")?;
    Ok(Counts { commit: commit(), valgrind, rustc, instructions: least })
}

fn count_once() -> anyhow::Result<Vec<(String, u64)>> {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("out");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", END])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(std::env::current_exe()?)
        .arg("run")
        .env("GLIBC_TUNABLES", TUNABLES)
        .output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the stages failed under valgrind:\n{told}");
    // Two segments each, of which the second counts.
    let count = |(index, line): (usize, &str)| {
        let (runs, name) = line.split_once(' ').context("a stage without its runs")?;
        let instructions = total(&folder.path().join(format!("out.{}", 2 * index + 2)))?;
        Ok((name.to_owned(), (instructions as f64 / runs.parse::<f64>()?).round() as u64))
    };
    String::from_utf8(output.stdout)?.lines().enumerate().map(count).collect()
}

/// What callgrind has counted in all in one of its files.
fn total(path: &Path) -> anyhow::Result<u64> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("callgrind did not write {}", path.display()))?;
    let line = text.lines().find_map(|line| line.strip_prefix("summary: "));
    Ok(line.context("callgrind's file has no summary")?.trim().parse()?)
}

fn commit() -> String {
    let commit = said("git", &["rev-parse", "--short=12", "HEAD"]);
    let changed =
        said("git", &["status", "--porcelain", "src"]).is_some_and(|text| !text.is_empty());
    commit.unwrap_or_else(|| "unknown".to_owned()) + if changed { " with changes" } else { "" }
}

fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    let output = command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
