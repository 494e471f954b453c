//! `MATRIX.md` has every fault once, and the tests that it names are there.

use std::collections::BTreeMap;
use std::path::Path;

use crate::data::shared;

const MATRIX: &str = include_str!("MATRIX.md");
/// The kinds of faults, and how many there are of each.
const NUMBERED: [(&str, u32); 5] =
    [("kill", 17), ("aws", 39), ("ep", 28), ("ops", 34), ("crash", 0)];
const NAMED: [&str; 3] = ["crash-oom", "crash-panic", "crash-loop"];

struct Row {
    id: &'static str,
    result: &'static str,
    tests: Vec<&'static str>,
    note: &'static str,
}

fn rows() -> Vec<Row> {
    let lines = MATRIX.lines().skip_while(|line| !line.starts_with("| id |")).skip(2);
    let row = |line: &'static str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [id, _, result, tests, note] = cells[..] else { panic!("{line}") };
        let tests = tests.split("<br>").map(|test| test.trim_matches('`'));
        Row { id, result, tests: tests.filter(|test| !test.is_empty()).collect(), note }
    };
    lines.map(row).collect()
}

#[test]
fn every_fault_has_one_row() {
    let numbered = NUMBERED
        .iter()
        .flat_map(|(kind, count)| (1..=*count).map(move |n| format!("{kind}-{n:02}")));
    let mut expected: Vec<String> = numbered.chain(NAMED.map(str::to_owned)).collect();
    let mut found: Vec<String> = rows().iter().map(|row| row.id.to_owned()).collect();
    expected.sort();
    found.sort();
    assert_eq!((found.len(), &found), (121, &expected));
    if let Some(file) = shared("fault_matrix.json") {
        let cases = file["cases"].as_array().unwrap();
        let mut ids: Vec<&str> = cases.iter().map(|case| case["id"].as_str().unwrap()).collect();
        ids.sort_unstable();
        assert_eq!(ids, expected);
    }
}

#[test]
fn every_test_that_is_named_is_there_and_every_other_row_says_why_there_is_none() {
    let mut missing = Vec::new();
    for Row { id, result, tests, note } in rows() {
        match result {
            "shown" => assert!(!tests.is_empty(), "{id}"),
            "in part" => assert!(!tests.is_empty() && !note.is_empty(), "{id}"),
            "open" | "not here" => assert!(tests.is_empty() && !note.is_empty(), "{id}"),
            other => panic!("{id}: {other} is no result"),
        }
        missing.extend(tests.into_iter().filter(|test| !exists(test)).map(|test| (id, test)));
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// Whether `path::name` is a test: a function after an attribute that says so, or a sentence of a
/// contract, which stands in a list.
fn exists(test: &str) -> bool {
    let Some((path, name)) = test.split_once("::") else { return false };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let Ok(text) = std::fs::read_to_string(path) else { return false };
    let Some((before, _)) = text.split_once(&format!("fn {name}(")) else { return false };
    let (before, _) = before.rsplit_once('\n').unwrap_or_default();
    let mut attributes =
        before.lines().rev().take_while(|line| line.trim_start().starts_with("#["));
    let is_listed = text.lines().any(|line| line.trim() == format!("{name},"));
    is_listed || attributes.any(|line| line.contains("test")) || before.contains("proptest! {")
}

#[test]
fn the_summary_counts_the_rows() {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    rows().iter().for_each(|row| *counts.entry(row.result).or_default() += 1);
    for (result, count) in counts {
        assert!(MATRIX.contains(&format!("| {result} | {count} |\n")), "{result}: {count}");
    }
}
